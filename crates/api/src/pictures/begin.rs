//! From a parsed request to images that are being made, in the order of what it costs: what the model can't do is
//! refused first, then memory is taken, then an image is fetched, and the model comes last.

use actix_web::web::Data;

use super::init::{begin, reserve};
use super::making::{Held, Making};
use super::plan::{Extra, check_asked, check_size, image_capabilities, request};
use super::rank::Scorer;
use super::sheet::Sheet;
use crate::context::Call;
use crate::error::ApiError;
use crate::inputs::truncates;
use crate::state::AppState;
use crate::wire::images::asked::Asked;
use crate::wire::images::output::Output;
use crate::wire::images::source::SourceImage;

/// What is to be made.
pub(crate) struct Order {
    /// Id or alias of the model.
    pub(crate) model: String,
    pub(crate) prompt: String,
    pub(crate) source: Option<SourceImage>,
    pub(crate) asked: Asked,
    pub(crate) output: Output,
    /// Previews of each image.
    pub(crate) previews: u32,
    /// What links begin with.
    pub(crate) base: String,
}

/// Images that are being made.
pub(crate) struct Begun {
    pub(crate) making: Making,
    pub(crate) sheet: Sheet,
    /// What chooses the best of them, if they are to be chosen from.
    pub(crate) scorer: Option<Scorer>,
    pub(crate) counts: Counts,
}

/// How many images there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    /// That are handed out.
    pub(crate) wanted: usize,
    /// That are made.
    pub(crate) made: usize,
}

// === impl Order ===

impl Order {
    /// Resolves once the model has read the prompts.
    ///
    /// # Errors
    /// Naming what of the request is to blame, if it is.
    pub(crate) async fn begin(self, state: &Data<AppState>, call: Call) -> Result<Begun, ApiError> {
        let Self { asked, previews, .. } = self;
        let admission = state.engine.admit(&self.model, call.context.clone()).await?;
        let image = image_capabilities(&admission)?.clone();
        check_asked(&image, &asked, previews)?;
        let mut size = asked.size.unwrap_or((image.default_width, image.default_height));
        if self.source.is_none() || asked.size.is_some() {
            check_size(&image, &asked, size)?;
        }
        let scorer = match asked.best_of {
            Some(_) => Some(Scorer::admit(state, &call.context).await?),
            None => None,
        };
        let pixels = reserve(state, &admission, &image, &asked, self.source.is_some()).await?;
        let mut init = None;
        if let Some(source) = self.source {
            let begun = begin(state, &admission, &image, &asked, source).await?;
            (init, size) = (Some(begun.init), begun.size);
        }
        let truncate = truncates(asked.truncate, admission.model());
        let extra = Extra { previews, truncate };
        let request = request(&image, &asked, self.prompt, size, init, extra);
        let sheet = Sheet::new(&request, &admission, &image, self.output, self.base);
        let held = Held {
            pixels,
            admission,
            call,
        };
        Ok(Begun {
            making: Making::begin(request, held).await?,
            sheet,
            scorer,
            counts: Counts {
                wanted: asked.n as usize,
                made: asked.candidates() as usize,
            },
        })
    }
}
