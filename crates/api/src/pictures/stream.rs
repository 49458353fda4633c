//! Images as server-sent events: steps as comments, previews and images under OpenAI's names.

use std::collections::VecDeque;

use actix_web::web::Data;
use bytes::Bytes;
use futures::Stream;
use futures::stream;
use sensorium_engine::{ImageEvent, ImagePreview, RgbImage};

use super::begin::Begun;
use super::making::Making;
use super::rank::{Ranked, Scorer};
use super::sheet::{Sheet, now, to_base64};
use crate::error::ApiError;
use crate::state::AppState;
use crate::wire::images::event::{ImageCompletedEvent, Names, PartialImageEvent, named, step_comment};
use crate::wire::images::reply::ImagesUsage;

/// Images that are sent as they come.
pub(crate) struct Pictures {
    state: Data<AppState>,
    making: Making,
    sheet: Sheet,
    names: Names,
    /// Those of which only the best are sent, at the end.
    contest: Option<Contest>,
    /// Events that are ready.
    ready: VecDeque<Bytes>,
}

/// Images of which the best are chosen.
struct Contest {
    scorer: Scorer,
    /// How many are chosen.
    wanted: usize,
    /// Those that are done.
    images: Vec<Option<RgbImage>>,
}

// === impl Pictures ===

impl Pictures {
    /// Images that have begun, under these names.
    pub(crate) fn new(state: Data<AppState>, begun: Begun, names: Names) -> Self {
        let counts = begun.counts;
        let contest = begun.scorer.map(|scorer| Contest {
            scorer,
            wanted: counts.wanted,
            images: vec![None; counts.made],
        });
        Self {
            state,
            making: begun.making,
            sheet: begun.sheet,
            names,
            contest,
            ready: VecDeque::new(),
        }
    }

    /// Their events, until the last image or an error.
    pub(crate) fn events(self) -> impl Stream<Item = Result<Bytes, ApiError>> + 'static {
        stream::unfold(Some(self), |pictures| async move {
            let mut pictures = pictures?;
            match pictures.next().await? {
                Ok(event) => Some((Ok(event), Some(pictures))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn next(&mut self) -> Option<Result<Bytes, ApiError>> {
        if let Some(event) = self.ready.pop_front() {
            return Some(Ok(event));
        }
        while let Some(event) = self.making.next().await {
            match event {
                Ok(ImageEvent::Step(step)) => return Some(Ok(step_comment(step))),
                Ok(ImageEvent::Preview(preview)) => return Some(self.partial(preview).await),
                Ok(ImageEvent::Image(done)) => {
                    let index = done.index as usize;
                    match &mut self.contest {
                        None => return Some(self.completed(index, index, &done.image, None).await),
                        Some(contest) => contest.take(index, done.image),
                    }
                }
                Ok(ImageEvent::Started(_) | ImageEvent::Finished | ImageEvent::Refused(_)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        let contest = self.contest.take()?;
        if let Err(error) = self.settle(contest).await {
            return Some(Err(error));
        }
        self.ready.pop_front().map(Ok)
    }

    /// The images that are chosen, in events.
    async fn settle(&mut self, contest: Contest) -> Result<(), ApiError> {
        let images: Option<Vec<RgbImage>> = contest.images.into_iter().collect();
        let images = images.ok_or(ApiError::Internal("an image was lost"))?;
        let best = contest
            .scorer
            .best(&self.state, &self.sheet.prompt, &images, contest.wanted)
            .await?;
        for (place, Ranked { index, score }) in best.into_iter().enumerate() {
            let event = self.completed(place, index, &images[index], Some(score)).await?;
            self.ready.push_back(event);
        }
        Ok(())
    }

    async fn partial(&self, preview: ImagePreview) -> Result<Bytes, ApiError> {
        let index = preview.index as usize;
        let file = self.sheet.file(&self.state, index, &preview.image, false).await?;
        let event = PartialImageEvent {
            kind: self.names.partial,
            b64_json: to_base64(&file),
            created_at: now(),
            about: &self.sheet.about,
            partial_image_index: preview.number,
            index,
            seed: self.sheet.seed(index),
        };
        Ok(named(self.names.partial, &event))
    }

    /// `place` is where the client sees it, `index` where its seed is.
    async fn completed(
        &self,
        place: usize,
        index: usize,
        image: &RgbImage,
        score: Option<f32>,
    ) -> Result<Bytes, ApiError> {
        let file = self.sheet.file(&self.state, index, image, true).await?;
        let event = ImageCompletedEvent {
            kind: self.names.completed,
            b64_json: to_base64(&file),
            created_at: now(),
            about: &self.sheet.about,
            usage: ImagesUsage::from(self.making.started()),
            index: place,
            seed: self.sheet.seed(index),
            score,
            parameters: &self.sheet.parameters,
        };
        Ok(named(self.names.completed, &event))
    }
}

// === impl Contest ===

impl Contest {
    fn take(&mut self, index: usize, image: RgbImage) {
        if let Some(place) = self.images.get_mut(index) {
            *place = Some(image);
        }
    }
}
