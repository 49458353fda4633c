//! [`Capabilities`], on the wire and off it.

use super::{known, required, unknown};
use crate::{
    Batching, Capabilities, ChatCapabilities, ChatImages, ChatParameter, EmbedCapabilities, Filter, ImageSpec, Invalid,
    Matryoshka, Modality, ResizeMode, Scoring, ScoringRule, proto,
};

impl TryFrom<proto::Capabilities> for Capabilities {
    type Error = Invalid;

    fn try_from(wire: proto::Capabilities) -> Result<Self, Invalid> {
        let capabilities = Capabilities {
            revision: wire.revision,
            memory_bytes: wire.memory_bytes,
            batching: match known(wire.batching, "batching")? {
                proto::Batching::Host => Batching::Host,
                proto::Batching::Plugin => Batching::Plugin,
                proto::Batching::Unspecified => return Err(unknown(wire.batching, "batching")),
            },
            max_batch: wire.max_batch,
            device: wire.device,
            dtype: wire.dtype,
            embed: wire.embed.map(embed).transpose()?,
            chat: wire.chat.map(chat).transpose()?,
            image: wire.image.map(Into::into),
        };
        capabilities.validate()?;
        Ok(capabilities)
    }
}

fn embed(wire: proto::EmbedCapabilities) -> Result<EmbedCapabilities, Invalid> {
    Ok(EmbedCapabilities {
        modalities: wire.modalities.into_iter().map(modality).collect::<Result<_, _>>()?,
        width: wire.width,
        context_length: wire.context_length,
        matryoshka: wire.matryoshka.map(|m| Matryoshka {
            dimensions: m.dimensions,
        }),
        scoring: wire.scoring.map(scoring).transpose()?,
        image: wire.image.map(image_spec).transpose()?,
        token_ids: wire.token_ids,
    })
}

fn chat(wire: proto::ChatCapabilities) -> Result<ChatCapabilities, Invalid> {
    let images = |wire: proto::ChatImages| {
        let spec = required(wire.spec, "chat.images.spec")?;
        Ok::<_, Invalid>(ChatImages {
            spec: image_spec(spec)?,
            max_images: wire.max_images,
            min_side: wire.min_side,
        })
    };
    // A parameter that a later minor version has added is of no use to this host.
    let parameters = wire.parameters.into_iter().filter_map(parameter);
    Ok(ChatCapabilities {
        context_length: wire.context_length,
        parameters: parameters.collect(),
        images: wire.images.map(images).transpose()?,
        vocabulary: wire.vocabulary,
        max_top_logprobs: wire.max_top_logprobs,
    })
}

fn parameter(number: i32) -> Option<ChatParameter> {
    use proto::ChatParameter as Wire;
    Some(match Wire::try_from(number).ok()? {
        Wire::Temperature => ChatParameter::Temperature,
        Wire::TopP => ChatParameter::TopP,
        Wire::TopK => ChatParameter::TopK,
        Wire::MinP => ChatParameter::MinP,
        Wire::Seed => ChatParameter::Seed,
        Wire::PresencePenalty => ChatParameter::PresencePenalty,
        Wire::FrequencyPenalty => ChatParameter::FrequencyPenalty,
        Wire::RepetitionPenalty => ChatParameter::RepetitionPenalty,
        Wire::LogitBias => ChatParameter::LogitBias,
        Wire::Logprobs => ChatParameter::Logprobs,
        Wire::Tools => ChatParameter::Tools,
        Wire::JsonObject => ChatParameter::JsonObject,
        Wire::JsonSchema => ChatParameter::JsonSchema,
        Wire::Completion => ChatParameter::Completion,
        Wire::Conversation => ChatParameter::Conversation,
        Wire::Unspecified => return None,
    })
}

impl From<ChatParameter> for proto::ChatParameter {
    fn from(parameter: ChatParameter) -> Self {
        match parameter {
            ChatParameter::Temperature => Self::Temperature,
            ChatParameter::TopP => Self::TopP,
            ChatParameter::TopK => Self::TopK,
            ChatParameter::MinP => Self::MinP,
            ChatParameter::Seed => Self::Seed,
            ChatParameter::PresencePenalty => Self::PresencePenalty,
            ChatParameter::FrequencyPenalty => Self::FrequencyPenalty,
            ChatParameter::RepetitionPenalty => Self::RepetitionPenalty,
            ChatParameter::LogitBias => Self::LogitBias,
            ChatParameter::Logprobs => Self::Logprobs,
            ChatParameter::Tools => Self::Tools,
            ChatParameter::JsonObject => Self::JsonObject,
            ChatParameter::JsonSchema => Self::JsonSchema,
            ChatParameter::Completion => Self::Completion,
            ChatParameter::Conversation => Self::Conversation,
        }
    }
}

impl From<ChatCapabilities> for proto::ChatCapabilities {
    fn from(chat: ChatCapabilities) -> Self {
        let parameters = chat
            .parameters
            .into_iter()
            .map(|p| proto::ChatParameter::from(p).into());
        Self {
            context_length: chat.context_length,
            parameters: parameters.collect(),
            images: chat.images.map(|images| proto::ChatImages {
                spec: Some(images.spec.into()),
                max_images: images.max_images,
                min_side: images.min_side,
            }),
            vocabulary: chat.vocabulary,
            max_top_logprobs: chat.max_top_logprobs,
        }
    }
}

fn modality(number: i32) -> Result<Modality, Invalid> {
    match known(number, "embed.modalities")? {
        proto::Modality::Text => Ok(Modality::Text),
        proto::Modality::Image => Ok(Modality::Image),
        proto::Modality::Unspecified => Err(unknown(number, "embed.modalities")),
    }
}

fn scoring(wire: proto::Scoring) -> Result<Scoring, Invalid> {
    let rule = match known(wire.rule, "scoring.rule")? {
        proto::ScoringRule::Softmax => ScoringRule::Softmax,
        proto::ScoringRule::Sigmoid => ScoringRule::Sigmoid,
        proto::ScoringRule::Unspecified => return Err(unknown(wire.rule, "scoring.rule")),
    };
    Ok(Scoring {
        rule,
        scale: wire.scale,
        bias: wire.bias,
    })
}

fn image_spec(wire: proto::ImageSpec) -> Result<ImageSpec, Invalid> {
    let mode = match known(wire.mode, "image.mode")? {
        proto::ResizeMode::ShortestEdgeCrop => ResizeMode::ShortestEdgeCrop {
            shortest_edge: wire.shortest_edge,
        },
        proto::ResizeMode::Squash => ResizeMode::Squash,
        proto::ResizeMode::Fit => ResizeMode::Fit,
        proto::ResizeMode::Unspecified => return Err(unknown(wire.mode, "image.mode")),
    };
    let filter = match known(wire.filter, "image.filter")? {
        proto::Filter::Nearest => Filter::Nearest,
        proto::Filter::Box => Filter::Box,
        proto::Filter::Bilinear => Filter::Bilinear,
        proto::Filter::Hamming => Filter::Hamming,
        proto::Filter::Bicubic => Filter::Bicubic,
        proto::Filter::Lanczos => Filter::Lanczos,
        proto::Filter::Unspecified => return Err(unknown(wire.filter, "image.filter")),
    };
    Ok(ImageSpec {
        width: wire.width,
        height: wire.height,
        mode,
        filter,
    })
}

impl From<Capabilities> for proto::Capabilities {
    fn from(capabilities: Capabilities) -> Self {
        let batching = match capabilities.batching {
            Batching::Host => proto::Batching::Host,
            Batching::Plugin => proto::Batching::Plugin,
        };
        Self {
            revision: capabilities.revision,
            memory_bytes: capabilities.memory_bytes,
            batching: batching.into(),
            max_batch: capabilities.max_batch,
            device: capabilities.device,
            dtype: capabilities.dtype,
            embed: capabilities.embed.map(Into::into),
            chat: capabilities.chat.map(Into::into),
            image: capabilities.image.map(Into::into),
        }
    }
}

impl From<EmbedCapabilities> for proto::EmbedCapabilities {
    fn from(embed: EmbedCapabilities) -> Self {
        Self {
            modalities: embed
                .modalities
                .into_iter()
                .map(|m| proto::Modality::from(m).into())
                .collect(),
            width: embed.width,
            context_length: embed.context_length,
            matryoshka: embed.matryoshka.map(|m| proto::Matryoshka {
                dimensions: m.dimensions,
            }),
            scoring: embed.scoring.map(Into::into),
            image: embed.image.map(Into::into),
            token_ids: embed.token_ids,
        }
    }
}

impl From<Modality> for proto::Modality {
    fn from(modality: Modality) -> Self {
        match modality {
            Modality::Text => Self::Text,
            Modality::Image => Self::Image,
        }
    }
}

impl From<Scoring> for proto::Scoring {
    fn from(scoring: Scoring) -> Self {
        let rule = match scoring.rule {
            ScoringRule::Softmax => proto::ScoringRule::Softmax,
            ScoringRule::Sigmoid => proto::ScoringRule::Sigmoid,
        };
        Self {
            rule: rule.into(),
            scale: scoring.scale,
            bias: scoring.bias,
        }
    }
}

impl From<ImageSpec> for proto::ImageSpec {
    fn from(spec: ImageSpec) -> Self {
        let (mode, shortest_edge) = match spec.mode {
            ResizeMode::ShortestEdgeCrop { shortest_edge } => (proto::ResizeMode::ShortestEdgeCrop, shortest_edge),
            ResizeMode::Squash => (proto::ResizeMode::Squash, 0),
            ResizeMode::Fit => (proto::ResizeMode::Fit, 0),
        };
        let filter = match spec.filter {
            Filter::Nearest => proto::Filter::Nearest,
            Filter::Box => proto::Filter::Box,
            Filter::Bilinear => proto::Filter::Bilinear,
            Filter::Hamming => proto::Filter::Hamming,
            Filter::Bicubic => proto::Filter::Bicubic,
            Filter::Lanczos => proto::Filter::Lanczos,
        };
        Self {
            width: spec.width,
            height: spec.height,
            mode: mode.into(),
            filter: filter.into(),
            shortest_edge,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> proto::Capabilities {
        proto::Capabilities {
            revision: "r1".into(),
            memory_bytes: 4 << 30,
            batching: 1,
            max_batch: 64,
            device: "cpu".into(),
            dtype: "f32".into(),
            embed: Some(proto::EmbedCapabilities {
                modalities: vec![1, 2],
                width: 512,
                context_length: 77,
                matryoshka: Some(proto::Matryoshka {
                    dimensions: vec![64, 512],
                }),
                scoring: Some(proto::Scoring {
                    rule: 2,
                    scale: 117.3,
                    bias: -12.9,
                }),
                image: Some(proto::ImageSpec {
                    width: 224,
                    height: 192,
                    mode: 1,
                    filter: 5,
                    shortest_edge: 256,
                }),
                token_ids: true,
            }),
            chat: Some(proto::ChatCapabilities {
                context_length: 4096,
                parameters: (1..=15).collect(),
                images: Some(proto::ChatImages {
                    spec: Some(proto::ImageSpec {
                        width: 1024,
                        height: 1024,
                        mode: 3,
                        filter: 5,
                        shortest_edge: 0,
                    }),
                    max_images: 8,
                    min_side: 28,
                }),
                vocabulary: 32_000,
                max_top_logprobs: 20,
            }),
            image: None,
        }
    }

    #[test]
    fn survives_the_round_trip() {
        let capabilities = Capabilities::try_from(wire()).unwrap();
        let image = capabilities.embed.as_ref().unwrap().image.unwrap();
        assert_eq!(image.mode, ResizeMode::ShortestEdgeCrop { shortest_edge: 256 });
        assert_eq!(image.filter, Filter::Bicubic);
        assert_eq!(proto::Capabilities::from(capabilities), wire());
    }

    #[test]
    fn every_filter_survives_the_round_trip() {
        for filter in 1..=6 {
            let mut message = wire();
            message.embed.as_mut().unwrap().image.as_mut().unwrap().filter = filter;
            assert_eq!(
                proto::Capabilities::from(Capabilities::try_from(message.clone()).unwrap()),
                message
            );
        }
    }

    #[test]
    fn refuses_what_breaks_the_contract() {
        let check = |field: &str, spoil: fn(&mut proto::Capabilities)| {
            let mut message = wire();
            spoil(&mut message);
            assert_eq!(Capabilities::try_from(message).unwrap_err().field, field);
        };
        check("revision", |m| m.revision.clear());
        check("batching", |m| m.batching = 0);
        check("batching", |m| m.batching = 7);
        check("max_batch", |m| m.max_batch = 0);

        let check = |field: &str, spoil: fn(&mut proto::EmbedCapabilities)| {
            let mut message = wire();
            spoil(message.embed.as_mut().unwrap());
            assert_eq!(Capabilities::try_from(message).unwrap_err().field, field);
        };
        check("embed.modalities", |m| m.modalities.clear());
        check("embed.modalities", |m| m.modalities = vec![2, 2]);
        check("embed.modalities", |m| m.modalities = vec![0]);
        check("embed.width", |m| m.width = 0);
        check("embed.width", |m| m.width = u32::MAX);
        check("embed.context_length", |m| m.context_length = 0);
        check("embed.context_length", |m| m.modalities = vec![2]);
        check("embed.token_ids", |m| (m.modalities, m.context_length) = (vec![2], 0));
        check("embed.image", |m| m.image = None);
        check("embed.image", |m| m.modalities = vec![1]);
        check("matryoshka.dimensions", |m| {
            m.matryoshka.as_mut().unwrap().dimensions.push(513)
        });
        check("matryoshka.dimensions", |m| {
            m.matryoshka.as_mut().unwrap().dimensions.push(0)
        });
        check("embed.scoring", |m| m.scoring.as_mut().unwrap().scale = f32::NAN);
        check("embed.scoring", |m| m.scoring.as_mut().unwrap().bias = f32::INFINITY);
        check("scoring.rule", |m| m.scoring.as_mut().unwrap().rule = 0);
        check("image.width", |m| m.image.as_mut().unwrap().width = 0);
        check("image.height", |m| m.image.as_mut().unwrap().height = 16_385);
        check("image.shortest_edge", |m| m.image.as_mut().unwrap().shortest_edge = 0);
        check("image.mode", |m| m.image.as_mut().unwrap().mode = 9);
        check("image.filter", |m| m.image.as_mut().unwrap().filter = 0);

        let check = |field: &str, spoil: fn(&mut proto::ChatCapabilities)| {
            let mut message = wire();
            spoil(message.chat.as_mut().unwrap());
            assert_eq!(Capabilities::try_from(message).unwrap_err().field, field);
        };
        check("chat.context_length", |m| m.context_length = 0);
        check("chat.parameters", |m| m.parameters.push(1));
        check("chat.parameters", |m| m.parameters.retain(|p| *p < 14));
        check("chat.vocabulary", |m| m.vocabulary = 0);
        check("chat.images.spec", |m| m.images.as_mut().unwrap().spec = None);
        check("chat.images.max_images", |m| m.images.as_mut().unwrap().max_images = 0);
        check("chat.images.min_side", |m| m.images.as_mut().unwrap().min_side = 0);
    }
}
