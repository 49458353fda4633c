//! The registry as it is written: every key optional, nothing checked but its type.
//!
//! The doc comments below are what an operator reads in the JSON Schema.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::model::{Dtype, LoadPolicy, TokenInput, Truncate};

/// Sensorium's registry: which models are served, by which plugin, and how.
/// It is read again when it changes; an edit with a mistake changes nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Sensorium registry")]
pub(super) struct RawRegistry {
    /// The models, in the order in which they are listed to clients.
    #[schemars(length(min = 1))]
    #[expect(dead_code, reason = "the reader takes the list apart itself; this is for the schema")]
    pub model: Vec<RawModel>,
}

/// One model.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Model")]
pub(super) struct RawModel {
    /// What requests call the model: up to 128 printable ASCII characters, no spaces.
    #[schemars(required, length(min = 1, max = 128), regex(pattern = r"^[!-~]+$"))]
    pub id: Option<String>,

    /// Other names that requests may use for it. A name belongs to one model only.
    pub aliases: Option<Vec<String>>,

    /// The plugin that runs it: `candle` means the executable `sensorium-candle`, looked for in
    /// the directories of SENSORIUM_PLUGIN_PATH, then beside the server.
    #[schemars(required, length(min = 1))]
    pub plugin: Option<String>,

    /// Where its files are. Left out for models without files.
    pub source: Option<RawSource>,

    /// `eager`: loaded at start, and the server is ready only then. `lazy`: loaded at its first
    /// request. Default: `lazy`.
    pub load: Option<LoadPolicy>,

    /// `auto`, `cpu`, `cuda:0`, `metal:0`; a list makes one instance for each entry.
    /// Default: `auto`.
    pub device: Option<RawDevices>,

    /// Precision to compute in. Default: `auto`.
    pub dtype: Option<Dtype>,

    /// Unload the model after this long without a request: `10m`, `1h 30m`. Default: never.
    pub ttl: Option<String>,

    /// How waiting items are gathered into batches.
    pub batch: Option<RawBatch>,

    /// Requests that may be admitted at once; one more is answered 429. Default: 256.
    #[schemars(range(min = 1, max = 65536))]
    pub queue: Option<i64>,

    /// CPU threads of one instance. By default the cores are shared out.
    #[schemars(range(min = 1, max = 1024))]
    pub threads: Option<i64>,

    /// What arrays of token ids in a request mean: `cl100k`, ids of OpenAI's cl100k_base, turned
    /// back into text; `native`, ids of the model's own tokenizer; `reject`, an error.
    /// Default: `cl100k`.
    pub token_input: Option<TokenInput>,

    /// Text longer than the model's context: `cut` it, as its tokenizer would, or answer with an
    /// `error`. A request may say otherwise. Default: `cut`.
    pub truncate: Option<Truncate>,

    /// Deadline of a request to this model that brings none: `30s`. Default: the server's.
    pub timeout: Option<String>,

    /// The plugin's own options; `sensorium-<plugin> describe` prints their schema.
    pub options: Option<Map<String, Value>>,
}

/// Where a model's files are: `path`. The other keys are refused in this version.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Source")]
pub(super) struct RawSource {
    /// Directory of the model, in the Hugging Face layout. A relative path starts at the
    /// registry's directory and stays inside it; an absolute one may lead anywhere.
    pub path: Option<String>,

    /// Repository on the Hugging Face Hub. Always refused in this version: download it and give its `path`.
    pub hf: Option<String>,

    /// Revision of the repository on the Hub. Always refused in this version.
    pub revision: Option<String>,
}

/// How waiting items are gathered into batches.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Batch")]
pub(super) struct RawBatch {
    /// Most items in one batch. By default as many as the model can take.
    #[schemars(range(min = 1, max = 65536))]
    pub max: Option<i64>,

    /// How long a free instance waits for more items, at most `10s`. Default: `0ms`, it takes
    /// what is there.
    pub wait: Option<String>,
}

/// One device or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a device such as \"cpu\", or a list of devices")]
#[schemars(rename = "Devices")]
pub(super) enum RawDevices {
    /// One instance.
    One(String),
    /// One instance for each entry.
    Many(Vec<String>),
}

// === schema ===

/// The JSON Schema of the registry file.
pub fn registry_schema() -> Value {
    schema_of::<RawRegistry>().to_value()
}

/// The keys that a table of type `T` may have, in alphabetical order.
pub(super) fn keys<T: JsonSchema>() -> Vec<String> {
    let schema = schema_of::<T>();
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut keys: Vec<String> = properties.map(|all| all.keys().cloned().collect()).unwrap_or_default();
    keys.sort();
    keys
}

fn schema_of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(without_null));
    settings.into_generator().into_root_schema_for::<T>()
}

/// `Option` means that a key may be left out. TOML has no null, so it is not among the types.
fn without_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                schema.insert(key, value);
            }
        }
    }
}
