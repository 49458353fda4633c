//! A prompt as a request of mistral.rs.

use std::sync::Arc;

use either::Either;
use indexmap::IndexMap;
use mistralrs::{Constraint, CustomLogitsProcessor, NormalRequest, Request, RequestMessage, Response, SamplingParams};
use tokio::sync::mpsc;

use crate::prompt::Input;

/// Responses beside those for tokens: errors, the last one.
const SPARE: usize = 16;

/// The request, and where the engine answers. There is room for all it will ever say, so that no reader holds it up.
pub(super) fn request(
    input: Input,
    max_tokens: u32,
    processor: Arc<dyn CustomLogitsProcessor>,
) -> (Request, mpsc::Receiver<Response>) {
    let (response, responses) = mpsc::channel(max_tokens as usize + SPARE);
    let messages = match input {
        Input::Ids(ids) => RequestMessage::CompletionTokens(ids),
        Input::Images { prompt, images } => RequestMessage::MultimodalChat {
            images,
            audios: Vec::new(),
            videos: Vec::new(),
            // The staged chat template writes the first message's content and nothing else.
            messages: vec![IndexMap::from_iter([
                ("role".to_owned(), Either::Left("user".to_owned())),
                ("content".to_owned(), Either::Left(prompt)),
            ])],
            enable_thinking: None,
            reasoning_effort: None,
        },
    };
    let request = NormalRequest {
        messages,
        // No temperature would be a temperature of 1 (add_request.rs:401).
        sampling_params: SamplingParams {
            temperature: Some(0.0),
            max_len: Some(max_tokens as usize),
            ..SamplingParams::neutral()
        },
        response,
        return_logprobs: false,
        // A request that doesn't stream panics the engine if its receiver goes away (sampling.rs:383).
        is_streaming: true,
        id: 0,
        constraint: Constraint::None,
        suffix: None,
        tools: None,
        tool_choice: None,
        logits_processors: Some(vec![processor]),
        return_raw_logits: false,
        web_search_options: None,
        model_id: None,
        truncate_sequence: false,
    };
    (Request::Normal(Box::new(request)), responses)
}
