//! The embed task's inputs and results, on the wire and off it.

use super::{known, required, unknown};
use crate::{
    EmbedCapabilities, EmbedInput, EmbedPayload, Embedding, Invalid, ItemError, ItemErrorCode, Modality, proto,
};

impl TryFrom<proto::EmbedInput> for EmbedInput {
    type Error = Invalid;

    fn try_from(wire: proto::EmbedInput) -> Result<Self, Invalid> {
        use proto::embed_input::Input;
        let payload = match required(wire.input, "input")? {
            Input::Text(text) => EmbedPayload::Text(text),
            Input::Image(image) => EmbedPayload::Image(image.try_into()?),
            Input::TokenIds(ids) => EmbedPayload::TokenIds(ids.ids),
        };
        Ok(Self {
            payload,
            truncate: wire.truncate,
        })
    }
}

impl From<EmbedInput> for proto::EmbedInput {
    fn from(input: EmbedInput) -> Self {
        use proto::embed_input::Input;
        let payload = match input.payload {
            EmbedPayload::Text(text) => Input::Text(text),
            EmbedPayload::Image(image) => Input::Image(image.into()),
            EmbedPayload::TokenIds(ids) => Input::TokenIds(proto::TokenIds { ids }),
        };
        Self {
            input: Some(payload),
            truncate: input.truncate,
        }
    }
}

/// Checks inputs against what the model said it can do.
///
/// # Errors
/// The first input that the model didn't list, or a batch that is empty or too large.
pub(crate) fn check_inputs(inputs: &[EmbedInput], embed: &EmbedCapabilities, max_batch: u32) -> Result<(), Invalid> {
    if inputs.is_empty() {
        return Err(Invalid::new("inputs", "is empty; a batch has at least one"));
    }
    if inputs.len() as u64 > u64::from(max_batch) {
        return Err(Invalid::new(
            "inputs",
            format!("has {} items; this model takes {max_batch}", inputs.len()),
        ));
    }
    inputs.iter().try_for_each(|input| check_input(&input.payload, embed))
}

fn check_input(payload: &EmbedPayload, embed: &EmbedCapabilities) -> Result<(), Invalid> {
    if !embed.reads(payload.modality()) {
        let what = match payload.modality() {
            Modality::Text => "text",
            Modality::Image => "images",
        };
        return Err(Invalid::new(
            "input",
            format!("is of a kind that this model doesn't read: {what}"),
        ));
    }
    match payload {
        EmbedPayload::Text(_) => Ok(()),
        EmbedPayload::TokenIds(_) if embed.token_ids => Ok(()),
        EmbedPayload::TokenIds(_) => Err(Invalid::new("token_ids", "is not understood by this model; send text")),
        EmbedPayload::Image(image) => match embed.image {
            Some(spec) if !spec.admits(image.width(), image.height()) => {
                let (width, height) = (image.width(), image.height());
                let problem = format!(
                    "is {width}×{height} pixels; this model takes {}×{}",
                    spec.width, spec.height
                );
                Err(Invalid::new("image", problem))
            }
            _ => Ok(()),
        },
    }
}

/// The results of a reply to `expected` inputs, each vector checked to be one of `width`.
///
/// # Errors
/// If there is not exactly one valid result for each input.
pub(crate) fn results_from_reply(
    reply: proto::EmbedReply,
    expected: usize,
    width: u32,
) -> Result<Vec<Result<Embedding, ItemError>>, Invalid> {
    if reply.results.len() != expected {
        let problem = format!("has {} items for {expected} inputs", reply.results.len());
        return Err(Invalid::new("results", problem));
    }
    reply
        .results
        .into_iter()
        .map(|result| result_from_wire(result, width))
        .collect()
}

fn result_from_wire(wire: proto::EmbedResult, width: u32) -> Result<Result<Embedding, ItemError>, Invalid> {
    use proto::embed_result::Result as Wire;
    match required(wire.result, "result")? {
        Wire::Embedding(embedding) => {
            let embedding = Embedding {
                values: embedding.values,
                tokens: embedding.tokens,
                truncated: embedding.truncated,
            };
            embedding.validate(width)?;
            Ok(Ok(embedding))
        }
        Wire::Error(error) => ItemError::try_from(error).map(Err),
    }
}

impl TryFrom<proto::ItemError> for ItemError {
    type Error = Invalid;

    fn try_from(wire: proto::ItemError) -> Result<Self, Invalid> {
        let code = match known(wire.code, "error.code")? {
            proto::ItemErrorCode::InvalidInput => ItemErrorCode::InvalidInput,
            proto::ItemErrorCode::ContextLength => ItemErrorCode::ContextLength,
            proto::ItemErrorCode::Unspecified => return Err(unknown(wire.code, "error.code")),
        };
        Ok(Self {
            code,
            message: wire.message,
        })
    }
}

impl From<Result<Embedding, ItemError>> for proto::EmbedResult {
    fn from(result: Result<Embedding, ItemError>) -> Self {
        use proto::embed_result::Result as Wire;
        let result = match result {
            Ok(embedding) => Wire::Embedding(proto::Embedding {
                values: embedding.values,
                tokens: embedding.tokens,
                truncated: embedding.truncated,
            }),
            Err(error) => {
                let code = match error.code {
                    ItemErrorCode::InvalidInput => proto::ItemErrorCode::InvalidInput,
                    ItemErrorCode::ContextLength => proto::ItemErrorCode::ContextLength,
                };
                Wire::Error(proto::ItemError {
                    code: code.into(),
                    message: error.message,
                })
            }
        };
        Self { result: Some(result) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RgbImage;
    use crate::{Filter, ImageSpec, ResizeMode};

    fn round_trip(input: EmbedInput) {
        assert_eq!(
            EmbedInput::try_from(proto::EmbedInput::from(input.clone())).unwrap(),
            input
        );
    }

    #[test]
    fn inputs_survive_the_round_trip() {
        round_trip(EmbedInput::text("a red circle\0😀", true));
        round_trip(EmbedInput::text("", false));
        round_trip(EmbedInput::token_ids(vec![0, u32::MAX], true));
        round_trip(EmbedInput::image(RgbImage::new(2, 3, vec![7; 18]).unwrap()));
    }

    #[test]
    fn images_that_lie_about_their_size_are_refused() {
        let check = |width, height, bytes: usize| {
            let image = proto::Image {
                width,
                height,
                rgb: vec![0; bytes].into(),
            };
            let wire = proto::EmbedInput {
                input: Some(proto::embed_input::Input::Image(image)),
                truncate: true,
            };
            assert_eq!(EmbedInput::try_from(wire).unwrap_err().field, "image");
        };
        check(2, 2, 11);
        check(2, 2, 13);
        check(0, 0, 0);
        check(16_385, 1, 16_385 * 3);
        check(u32::MAX, u32::MAX, 12);
    }

    #[test]
    fn an_input_without_a_payload_is_refused() {
        assert_eq!(
            EmbedInput::try_from(proto::EmbedInput::default()).unwrap_err().field,
            "input"
        );
    }

    #[test]
    fn only_what_the_model_listed_is_accepted() {
        let mut embed = EmbedCapabilities {
            modalities: vec![Modality::Text],
            width: 4,
            context_length: 8,
            matryoshka: None,
            scoring: None,
            image: None,
            token_ids: false,
        };
        let text = EmbedInput::text("x", true);
        let image = EmbedInput::image(RgbImage::new(2, 2, vec![0; 12]).unwrap());
        let check =
            |inputs: &[EmbedInput], embed: &EmbedCapabilities| check_inputs(inputs, embed, 2).map_err(|e| e.field);
        assert_eq!(check(std::slice::from_ref(&text), &embed), Ok(()));
        assert_eq!(check(&[], &embed), Err("inputs"));
        assert_eq!(check(&[text.clone(), text.clone(), text], &embed), Err("inputs"));
        assert_eq!(check(std::slice::from_ref(&image), &embed), Err("input"));
        assert_eq!(check(&[EmbedInput::token_ids(vec![1], true)], &embed), Err("token_ids"));
        embed.modalities.push(Modality::Image);
        embed.image = Some(ImageSpec {
            width: 2,
            height: 3,
            mode: ResizeMode::Squash,
            filter: Filter::Box,
        });
        assert_eq!(check(std::slice::from_ref(&image), &embed), Err("image"));
    }

    fn reply(values: &[f32]) -> proto::EmbedReply {
        let embedding = Embedding {
            values: values.to_vec(),
            tokens: 3,
            truncated: true,
        };
        proto::EmbedReply {
            results: vec![Ok(embedding).into()],
        }
    }

    #[test]
    fn results_survive_the_round_trip() {
        let results = results_from_reply(reply(&[0.6, 0.8]), 1, 2).unwrap();
        assert_eq!(results[0].as_ref().unwrap().values, [0.6, 0.8]);
        let error = ItemError::context_length("too long");
        let wire = proto::EmbedReply {
            results: vec![Err(error.clone()).into()],
        };
        assert_eq!(results_from_reply(wire, 1, 2).unwrap(), [Err(error)]);
    }

    #[test]
    fn replies_that_break_the_contract_are_refused() {
        let check = |reply: proto::EmbedReply, expected: usize, field: &str| {
            assert_eq!(results_from_reply(reply, expected, 2).unwrap_err().field, field);
        };
        check(reply(&[0.6, 0.8]), 2, "results");
        check(reply(&[0.6, 0.8]), 0, "results");
        check(reply(&[1.0]), 1, "embedding");
        check(reply(&[0.6, 0.6]), 1, "embedding");
        check(reply(&[f32::NAN, 0.8]), 1, "embedding");
        check(reply(&[f32::INFINITY, 0.8]), 1, "embedding");
        check(reply(&[f32::MAX, f32::MAX]), 1, "embedding");
        check(reply(&[0.0, 0.0]), 1, "embedding");
        check(
            proto::EmbedReply {
                results: vec![proto::EmbedResult::default()],
            },
            1,
            "result",
        );
        let unspecified = proto::embed_result::Result::Error(proto::ItemError::default());
        check(
            proto::EmbedReply {
                results: vec![proto::EmbedResult {
                    result: Some(unspecified),
                }],
            },
            1,
            "error.code",
        );
    }
}
