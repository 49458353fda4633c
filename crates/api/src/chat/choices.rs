//! The choices of one request: replies that are made side by side and merged as their parts come.
//!
//! Nothing is pulled from a choice before its reader asks for more, so a reply that nobody reads holds one event of
//! each choice and no more. Dropping it all calls all work off.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, LocalBoxStream, SelectAll};
use sensorium_engine::{Admission, ChatEvent, ChatRequest, ChatStarted, ChatStream, Error as EngineError};

use super::refusal::PromptParam;
use crate::body::Reservation as BodyReservation;
use crate::context::Call;
use crate::error::ApiError;
use crate::wire::usage::Usage;

/// The choices of one request, under way.
pub(crate) struct Choices {
    /// Parts that came while the request was being opened.
    held: VecDeque<(usize, Step)>,
    merged: SelectAll<LocalBoxStream<'static, (usize, Result<Step, EngineError>)>>,
    /// Choices that have not begun.
    pending: usize,
    /// Choices of one prompt: the first of each counts its prompt.
    each: usize,
    param: PromptParam,
    usage: Usage,
    /// The request's slot, cancellation and copies of its prompt.
    _admission: Arc<Admission>,
    _call: Call,
    copies: Option<BodyReservation>,
}

/// What a choice did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Its prompt has been read.
    Started(ChatStarted),
    /// It says more, or it ended.
    Event(ChatEvent),
}

/// What a request needs to be answered.
pub(crate) struct Asking {
    /// Its slot.
    pub(crate) admission: Arc<Admission>,
    /// Its deadline and cancellation.
    pub(crate) call: Call,
    /// One for each choice, all of a prompt's in a row.
    pub(crate) requests: Vec<ChatRequest>,
    /// Choices of one prompt.
    pub(crate) each: usize,
    /// Where the prompts came from.
    pub(crate) param: PromptParam,
    /// The memory of the requests.
    pub(crate) copies: Option<BodyReservation>,
}

/// How far one choice is.
enum Choice {
    Asked(Arc<Admission>, Box<ChatRequest>),
    Answering(ChatStream),
    Over,
}

// === impl Choices ===

impl Choices {
    /// Asks for all choices, and waits until they have begun: from then on the prompt is not refused any more.
    ///
    /// Where the model has no room for all of them at once, some begin only when others are done; so the first that has
    /// something to say ends the waiting, too.
    ///
    /// # Errors
    /// The first that any choice ends with.
    pub(crate) async fn open(asking: Asking) -> Result<Self, ApiError> {
        let pending = asking.requests.len();
        let streams = asking.requests.into_iter().enumerate().map(|(index, request)| {
            let choice = Choice::Asked(asking.admission.clone(), Box::new(request));
            let steps = stream::unfold(choice, Choice::step);
            steps.map(move |step| (index, step)).boxed_local()
        });
        let mut choices = Self {
            held: VecDeque::new(),
            merged: stream::select_all(streams),
            pending,
            each: asking.each.max(1),
            param: asking.param,
            usage: Usage::default(),
            _admission: asking.admission,
            _call: asking.call,
            copies: asking.copies,
        };
        while choices.pending > 0 {
            let Some(next) = choices.pull().await else { break };
            let (index, step) = next?;
            let begun = matches!(step, Step::Started(_));
            choices.held.push_back((index, step));
            if !begun {
                break;
            }
        }
        Ok(choices)
    }

    /// The next part of any choice; `None` once all have ended.
    ///
    /// # Errors
    /// The first that any choice ends with; nothing comes after it.
    pub(crate) async fn next(&mut self) -> Option<Result<(usize, Step), ApiError>> {
        match self.held.pop_front() {
            Some(step) => Some(Ok(step)),
            None => self.pull().await,
        }
    }

    /// What it all took, so far.
    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    async fn pull(&mut self) -> Option<Result<(usize, Step), ApiError>> {
        let (index, step) = self.merged.next().await?;
        let step = match step {
            Ok(step) => step,
            Err(error) => return Some(Err(self.param.error(index / self.each, error))),
        };
        let counts_prompt = index.is_multiple_of(self.each);
        match &step {
            Step::Started(started) => {
                self.pending = self.pending.saturating_sub(1);
                if self.pending == 0 {
                    self.copies = None;
                }
                if counts_prompt {
                    self.usage.prompt(started.prompt_tokens, started.image_tokens);
                }
            }
            Step::Event(ChatEvent::Finished(finished)) => {
                self.usage.completion(finished.completion_tokens);
                if counts_prompt {
                    self.usage.cached(finished.cached_tokens);
                }
            }
            Step::Event(_) => {}
        }
        Some(Ok((index, step)))
    }
}

// === impl Choice ===

impl Choice {
    async fn step(self) -> Option<(Result<Step, EngineError>, Self)> {
        match self {
            Self::Asked(admission, request) => match admission.chat(*request).await {
                Ok(stream) => Some((Ok(Step::Started(stream.started())), Self::Answering(stream))),
                Err(error) => Some((Err(error), Self::Over)),
            },
            Self::Answering(mut stream) => match stream.next().await? {
                Ok(event) => Some((Ok(Step::Event(event)), Self::Answering(stream))),
                Err(error) => Some((Err(error), Self::Over)),
            },
            Self::Over => None,
        }
    }
}
