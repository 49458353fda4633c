//! What a stub model may be told in the registry.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use sensorium_contract::{
    Batching, Capabilities, EmbedCapabilities, Filter, ImageSpec, MAX_IMAGE_SIDE, Matryoshka, Modality, PluginError,
    ResizeMode, Scoring, ScoringRule,
};
use serde::{Deserialize, Serialize};

use crate::chat::ChatOptions;
use crate::hash::hash;
use crate::image::ImageOptions;

/// Options of a stub model; all have defaults.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    /// What it can do.
    pub(crate) tasks: Vec<Does>,
    /// How it chats, if it does.
    pub(crate) chat: ChatOptions,
    /// How it makes images, if it does.
    pub(crate) image: ImageOptions,
    /// Length of a vector.
    pub(crate) width: u32,
    /// Most items in one call; or, if calls are gathered by itself, most calls at once.
    pub(crate) max_batch: u32,
    /// Who gathers requests. Absent: itself if it chats or makes images, else the host.
    pub(crate) batching: Option<Gathers>,
    /// What it reads.
    pub(crate) modalities: Vec<Reads>,
    /// Side of the square that images are brought to, in pixels.
    pub(crate) image_size: u32,
    /// Longest text: words, and two special tokens.
    pub(crate) context_length: u32,
    /// Lengths to which vectors may be cut; an empty list: any. Absent: none.
    pub(crate) matryoshka: Option<Vec<u32>>,
    /// How a text scores against an image. Absent: no scores.
    pub(crate) scoring: Option<Rule>,
    /// Bytes of device memory that it says it holds.
    pub(crate) memory_bytes: u64,
    /// What loading takes, as `2s`.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub(crate) load_latency: Duration,
    /// What a batch takes, whatever its size, as `5ms`.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub(crate) latency: Duration,
    /// What each item of a batch takes on top, as `100us`.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub(crate) item_latency: Duration,
    /// Act on texts like `stub:die:SIGSEGV`. Otherwise they are texts like any other.
    pub(crate) allow_misbehaviour: bool,
    /// What to do instead of loading, as `die:SIGKILL`, `hang` or `error:model`.
    pub(crate) misbehave_on_load: Option<String>,
    /// How many loads fail (by `misbehave_on_load`, or else with an error) before one succeeds; needs
    /// `state_directory`.
    pub(crate) fail_first_loads: u32,
    /// Directory in which loads are counted across processes.
    pub(crate) state_directory: Option<PathBuf>,
}

/// What a stub model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Does {
    /// Vectors of texts and images.
    Embed,
    /// Replies to prompts.
    Chat,
    /// Images of prompts.
    Image,
}

/// Who gathers requests into batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Gathers {
    /// The host.
    Host,
    /// The plugin.
    Plugin,
}

/// What a stub model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reads {
    /// Text and token ids.
    Text,
    /// RGB pixels.
    Image,
}

/// A scoring rule: CLIP's softmax with scale 100, or SigLIP's sigmoid with scale 10 and bias -1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rule {
    /// Over the candidates.
    Softmax,
    /// Of each alone.
    Sigmoid,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            tasks: vec![Does::Embed],
            chat: ChatOptions::default(),
            image: ImageOptions::default(),
            width: 64,
            max_batch: 64,
            batching: None,
            modalities: vec![Reads::Text, Reads::Image],
            image_size: 32,
            context_length: 77,
            matryoshka: Some(Vec::new()),
            scoring: Some(Rule::Softmax),
            memory_bytes: 1 << 20,
            load_latency: Duration::ZERO,
            latency: Duration::ZERO,
            item_latency: Duration::ZERO,
            allow_misbehaviour: false,
            misbehave_on_load: None,
            fail_first_loads: 0,
            state_directory: None,
        }
    }
}

impl Options {
    /// Reads the options of a load request.
    pub(crate) fn parse(options: &serde_json::Map<String, serde_json::Value>) -> Result<Self, PluginError> {
        let options: Self = serde_json::from_value(serde_json::Value::Object(options.clone()))
            .map_err(|error| PluginError::caller(format!("options: {error}")))?;
        if options.context_length < 3 {
            return Err(PluginError::caller(
                "options: context_length is at least 3: one word, two special tokens",
            ));
        }
        if !(1..=MAX_IMAGE_SIDE).contains(&options.image_size) {
            return Err(PluginError::caller(format!(
                "options: image_size is 1 to {MAX_IMAGE_SIDE}"
            )));
        }
        if !(1..=MAX_IMAGE_SIDE).contains(&options.chat.image_side) {
            return Err(PluginError::caller(format!(
                "options: chat.image_side is 1 to {MAX_IMAGE_SIDE}"
            )));
        }
        let image = options.image.capabilities();
        image
            .validate()
            .map_err(|invalid| PluginError::caller(format!("options: {invalid}")))?;
        if options.fail_first_loads > 0 && options.state_directory.is_none() {
            return Err(PluginError::caller("options: fail_first_loads needs state_directory"));
        }
        Ok(options)
    }

    /// JSON Schema of the object that [`parse`](Self::parse) accepts.
    pub(crate) fn schema() -> serde_json::Value {
        schemars::schema_for!(Options).to_value()
    }

    /// True if it can do this.
    pub(crate) fn does(&self, task: Does) -> bool {
        self.tasks.contains(&task)
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        // What shapes the vectors, the replies and the images, and nothing else.
        let chat = self.does(Does::Chat).then_some(&self.chat);
        let image = self.does(Does::Image).then_some(&self.image);
        let (width, context) = (self.width, self.context_length);
        let identity = format!("{width} {context} {} {chat:?} {image:?}", self.image_size);
        let batching = match self.batching {
            Some(Gathers::Host) => Batching::Host,
            Some(Gathers::Plugin) => Batching::Plugin,
            None if self.does(Does::Chat) || self.does(Does::Image) => Batching::Plugin,
            None => Batching::Host,
        };
        Capabilities {
            revision: format!("stub-{:016x}", hash(0, identity.as_bytes())),
            memory_bytes: self.memory_bytes,
            batching,
            max_batch: self.max_batch,
            device: "cpu".into(),
            dtype: "f32".into(),
            embed: self.does(Does::Embed).then(|| self.embedding()),
            chat: self.does(Does::Chat).then(|| self.chat.capabilities()),
            image: self.does(Does::Image).then(|| self.image.capabilities()),
        }
    }

    fn embedding(&self) -> EmbedCapabilities {
        let reads_text = self.modalities.contains(&Reads::Text);
        let side = self.image_size;
        EmbedCapabilities {
            modalities: self.modalities.iter().copied().map(Modality::from).collect(),
            width: self.width,
            context_length: if reads_text { self.context_length } else { 0 },
            matryoshka: self.matryoshka.clone().map(|dimensions| Matryoshka { dimensions }),
            scoring: self.scoring.map(Scoring::from),
            image: self.modalities.contains(&Reads::Image).then_some(ImageSpec {
                width: side,
                height: side,
                mode: ResizeMode::ShortestEdgeCrop { shortest_edge: side },
                filter: Filter::Bicubic,
            }),
            token_ids: reads_text,
        }
    }
}

impl From<Reads> for Modality {
    fn from(reads: Reads) -> Self {
        match reads {
            Reads::Text => Modality::Text,
            Reads::Image => Modality::Image,
        }
    }
}

impl From<Rule> for Scoring {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Softmax => Scoring {
                rule: ScoringRule::Softmax,
                scale: 100.0,
                bias: 0.0,
            },
            Rule::Sigmoid => Scoring {
                rule: ScoringRule::Sigmoid,
                scale: 10.0,
                bias: -1.0,
            },
        }
    }
}

/// Durations as people write them: `5ms`, `1m 30s`.
pub(crate) mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*duration))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        humantime::parse_duration(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Options, PluginError> {
        Options::parse(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn what_is_not_given_has_a_default() {
        let options = parse(r#"{"width": 8, "latency": "5ms", "modalities": ["text"]}"#).unwrap();
        assert_eq!((options.width, options.latency), (8, Duration::from_millis(5)));
        let embed = options.capabilities().embed.unwrap();
        assert!(embed.image.is_none() && embed.context_length == 77);
        for json in [
            "{}",
            r#"{"tasks": ["chat"]}"#,
            r#"{"tasks": ["embed", "chat", "image"]}"#,
        ] {
            parse(json).unwrap().capabilities().validate().unwrap();
        }
    }

    #[test]
    fn bad_options_name_themselves() {
        let check = |json: &str, part: &str| {
            let message = parse(json).unwrap_err().message;
            assert!(message.contains(part), "{message}");
        };
        check(r#"{"widht": 8}"#, "widht");
        check(r#"{"latency": 5}"#, "string");
        check(r#"{"latency": "soon"}"#, "options");
        check(r#"{"context_length": 2}"#, "context_length");
        check(r#"{"image_size": 0}"#, "image_size");
        check(r#"{"chat": {"image_side": 0}}"#, "image_side");
        check(r#"{"chat": {"reply": "sing"}}"#, "sing");
        check(r#"{"chat": {"parameters": ["charm"]}}"#, "charm");
        check(r#"{"image": {"parameters": ["charm"]}}"#, "charm");
        check(r#"{"image": {"side_multiple": 0}}"#, "side_multiple");
        check(r#"{"fail_first_loads": 1}"#, "state_directory");
    }

    #[test]
    fn the_schema_lists_every_option() {
        let schema = Options::schema();
        let written = serde_json::to_value(Options::default()).unwrap();
        let listed: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(listed, written.as_object().unwrap().keys().collect::<Vec<_>>());
        assert_eq!(schema["additionalProperties"], false);
    }
}
