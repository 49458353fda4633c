//! The configuration files of a Hugging Face directory, checked, and put where mistral.rs reads them.

use std::{collections::BTreeSet, path::PathBuf};

use mistralrs::MultimodalLoaderType;
use serde_json::{Map, Value, json};
use tokenizers_021::Tokenizer;

use super::{
    architecture::Architecture,
    config::{count_layers_as_llava, translate},
    facts::Facts,
    numbers::Numbers,
    vision::{Vision, VisionFiles},
};
use crate::{
    checkpoint::{ModelDir, Staging, weights},
    error::LoadError,
    options::Options,
    prompt::ChatTemplate,
};

/// A template that leaves a prompt as it is: prompts are rendered here, not in the engine.
const AS_IT_IS: &str = "{{ messages[0]['content'] }}";

/// Ends of turns that a model's generation_config.json may forget, as mistral.rs has them.
const TURN_ENDS: [&str; 5] = [
    "<|im_end|>",
    "<end_of_turn>",
    "<|end_of_text|>",
    "<|end|>",
    "<|eot_id|>",
];

/// A model's directory, read.
pub(crate) struct ModelFiles {
    /// What loads it.
    pub(crate) architecture: Architecture,
    /// How it reads images; `None`: it doesn't.
    pub(crate) vision: Option<Vision>,
    /// `None`: it only continues text.
    pub(crate) template: Option<ChatTemplate>,
    pub(crate) tokenizer: Tokenizer,
    /// Tokens that end a reply; at least one.
    pub(crate) end: Vec<u32>,
    /// How prompts are written for the engine.
    pub(crate) numbers: Numbers,
    /// How many positions it tells apart.
    pub(crate) positions: Option<u32>,
    /// Numbers in its weights.
    pub(crate) parameters: u64,
    /// config.json.
    pub(crate) config: Map<String, Value>,
    /// Files of weights, by the names that they have for the caller, and where the engine reads them.
    pub(crate) weights: Vec<(String, PathBuf)>,
}

// === impl ModelFiles ===

impl ModelFiles {
    /// Reads `dir` and fills `staging` with what the engine is to read.
    ///
    /// # Errors
    /// What is missing or makes no sense.
    pub(crate) fn read(dir: &ModelDir, options: &Options, staging: &Staging) -> Result<Self, LoadError> {
        let config = dir.require_object("config.json")?;
        let name = config
            .get("architectures")
            .and_then(|names| names.get(0))
            .and_then(Value::as_str);
        let name = name.ok_or_else(|| LoadError::file("config.json", "has no `architectures`"))?;
        let architecture = Architecture::find(name)?;
        let mut config = translate(&config, name);
        let vision = read_vision(dir, &architecture, &config, options)?;

        let tokenizer = read_tokenizer(dir)?;
        let tokens = dir.object("tokenizer_config.json")?.unwrap_or_default();
        let template = ChatTemplate::read(dir, &tokens)?;
        check_image_token(&config, vision.as_ref(), &tokenizer)?;
        let numbers = vision
            .as_ref()
            .map(|vision| vision.numbers(|name| tokenizer.token_to_id(name)));
        let numbers = numbers.unwrap_or_default();
        let end = end_tokens(dir, &config, &tokens, template.as_ref(), &tokenizer)?;

        let engine_tokenizer = numbers.tokenizer(extent(&config, &tokenizer)?);
        staging.write("tokenizer.json", engine_tokenizer.to_string().as_bytes())?;
        if let Architecture::Multimodal(MultimodalLoaderType::LLaVA) = architecture {
            count_layers_as_llava(&mut config)?;
        }
        staging.write_json("config.json", &config)?;
        staging.write("chat_template.jinja", AS_IT_IS.as_bytes())?;
        staging.write_json("tokenizer_config.json", &Map::new())?;
        staging.write_json(
            "generation_config.json",
            &Map::from_iter([("eos_token_id".to_owned(), json!(end))]),
        )?;
        if let Some(vision) = &vision {
            staging.write_json("preprocessor_config.json", vision.preprocessor())?;
            staging.write_json("processor_config.json", vision.processor())?;
        } else if let Architecture::Multimodal(_) = architecture {
            stage_as_they_are(dir, staging)?;
        }
        let (parameters, weights) = find_weights(dir)?;
        let text = Facts::new("config.json", &config).section_or_self("text_config");
        let positions = text.number("max_position_embeddings")?;
        Ok(Self {
            architecture,
            vision,
            template,
            tokenizer,
            end,
            numbers,
            positions,
            parameters,
            config,
            weights,
        })
    }
}

fn read_vision(
    dir: &ModelDir,
    architecture: &Architecture,
    config: &Map<String, Value>,
    options: &Options,
) -> Result<Option<Vision>, LoadError> {
    let Architecture::Multimodal(kind) = architecture else {
        return Ok(None);
    };
    let preprocessor = match dir.object("preprocessor_config.json")? {
        Some(preprocessor) => preprocessor,
        None => {
            let processor = dir.object("processor_config.json")?.unwrap_or_default();
            let inner = processor.get("image_processor").and_then(Value::as_object).cloned();
            inner.unwrap_or_default()
        }
    };
    let files = VisionFiles {
        config,
        preprocessor: &preprocessor,
    };
    Vision::read(kind, files, options.max_image_pixels)
}

/// Models whose images this plugin doesn't prepare keep their files; they are only checked to be JSON.
fn stage_as_they_are(dir: &ModelDir, staging: &Staging) -> Result<(), LoadError> {
    for name in ["preprocessor_config.json", "processor_config.json"] {
        if let Some(mut object) = dir.object(name)? {
            object.remove("chat_template");
            staging.write_json(name, &object)?;
        }
    }
    Ok(())
}

fn read_tokenizer(dir: &ModelDir) -> Result<Tokenizer, LoadError> {
    const NAME: &str = "tokenizer.json";
    let Some(bytes) = dir.read(NAME)? else {
        let problem = "is missing; make it with transformers: \
                       AutoTokenizer.from_pretrained(directory, use_fast=True).save_pretrained(directory)";
        return Err(LoadError::file(NAME, problem));
    };
    let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|error| LoadError::file(NAME, error))?;
    // Nothing is cut or filled up here.
    tokenizer.with_padding(None);
    tokenizer
        .with_truncation(None)
        .map_err(|error| LoadError::file(NAME, error))?;
    Ok(tokenizer)
}

/// How many tokens the engine needs to know: all of the tokenizer's and all that the model has logits for.
fn extent(config: &Map<String, Value>, tokenizer: &Tokenizer) -> Result<u32, LoadError> {
    let highest = tokenizer.get_vocab(true).into_values().max().map_or(0, |id| id + 1);
    let config = Facts::new("config.json", config);
    let own = config.section_or_self("text_config").number("vocab_size")?;
    let own = own.or(config.number("vocab_size")?).unwrap_or(0);
    Ok(own.max(highest))
}

/// The engine finds images by the token's text, the model by its id.
fn check_image_token(
    config: &Map<String, Value>,
    vision: Option<&Vision>,
    tokenizer: &Tokenizer,
) -> Result<(), LoadError> {
    let Some(token) = vision.map(Vision::token) else {
        return Ok(());
    };
    let Some(id) = tokenizer.token_to_id(token) else {
        return Err(LoadError::file("tokenizer.json", format!("has no token `{token}`")));
    };
    for key in ["image_token_id", "image_token_index"] {
        if let Some(own) = Facts::new("config.json", config).number(key)?
            && own != id
        {
            return Err(LoadError::file(
                "config.json",
                format!("`{key}` is {own}, but the tokenizer gives `{token}` the id {id}"),
            ));
        }
    }
    Ok(())
}

/// Ids that end a reply: those of generation_config.json and config.json, the tokenizer's, and ends of turns that the
/// chat template writes.
fn end_tokens(
    dir: &ModelDir,
    config: &Map<String, Value>,
    tokens: &Map<String, Value>,
    template: Option<&ChatTemplate>,
    tokenizer: &Tokenizer,
) -> Result<Vec<u32>, LoadError> {
    let generation = dir.object("generation_config.json")?.unwrap_or_default();
    let generation = Facts::new("generation_config.json", &generation);
    let config = Facts::new("config.json", config);
    let mut found: BTreeSet<u32> = generation.ids("eos_token_id").into_iter().collect();
    if found.is_empty() {
        found.extend(config.ids("eos_token_id"));
        found.extend(config.section_or_self("text_config").ids("eos_token_id"));
    }
    found.extend(special(tokens, "eos_token").and_then(|token| tokenizer.token_to_id(&token)));
    let written = |end: &&&str| template.is_some_and(|template| template.mentions(end));
    found.extend(
        TURN_ENDS
            .iter()
            .filter(written)
            .filter_map(|end| tokenizer.token_to_id(end)),
    );

    let (good, bad): (Vec<u32>, Vec<u32>) = found.into_iter().partition(|&id| tokenizer.id_to_token(id).is_some());
    if !bad.is_empty() {
        tracing::warn!(ids = ?bad, "end tokens that the tokenizer doesn't have are left out");
    }
    if good.is_empty() {
        let problem = "names no `eos_token_id` that the tokenizer knows; replies would never end";
        return Err(LoadError::file("generation_config.json", problem));
    }
    Ok(good)
}

/// A special token of tokenizer_config.json, which is a text or an object with one.
pub(crate) fn special(tokens: &Map<String, Value>, key: &str) -> Option<String> {
    match tokens.get(key)? {
        Value::String(token) => Some(token.clone()),
        Value::Object(token) => token.get("content").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    }
}

/// The weights, each by its name and where it is, and how many numbers they hold.
fn find_weights(dir: &ModelDir) -> Result<(u64, Vec<(String, PathBuf)>), LoadError> {
    let mut numbers = 0;
    let mut found = Vec::new();
    for name in weights::names(dir)? {
        dir.mark_weights(&name)?;
        let path = dir.find(&name)?.ok_or_else(|| LoadError::file(&name, "is missing"))?;
        numbers += weights::count(&path).map_err(|problem| LoadError::file(&name, problem))?;
        found.push((name, path));
    }
    Ok((numbers, found))
}
