//! What a model's files come to before mistral.rs loads them: its loader, and what the engine is to read.

use std::path::PathBuf;

use mistralrs::{
    IsqType, MultimodalLoaderType,
    core::{
        AdapterPaths, GGUFLoaderBuilder, GGUFSpecificConfig, Loader, LocalModelPaths, ModelPaths,
        MultimodalLoaderBuilder, MultimodalSpecificConfig, NormalLoaderBuilder, NormalSpecificConfig,
    },
};
use tokenizers_021::Tokenizer;

use super::{architecture::Architecture, files::ModelFiles, numbers::Numbers, raw_pixels, vision::Vision};
use crate::{
    checkpoint::{ModelDir, Staging},
    error::LoadError,
    options::Options,
    placement::Placement,
    prompt::ChatTemplate,
    vision_fast::{self, Source},
};

/// The files of a model, read.
pub(super) struct Parts {
    pub(super) loader: Box<dyn Loader>,
    /// Where the engine reads what; `None`: a GGUF file, which the loader knows.
    pub(super) paths: Option<Box<dyn ModelPaths>>,
    pub(super) vision: Option<Vision>,
    /// `None`: there is none, or the engine has it.
    pub(super) template: Option<ChatTemplate>,
    /// The model's own tokenizer and the tokens that end a reply; `None`: the engine has them.
    pub(super) tokens: Option<(Tokenizer, Vec<u32>)>,
    pub(super) numbers: Numbers,
    /// Bytes of the weights in memory.
    pub(super) memory_bytes: u64,
    /// It may read images, or would if this plugin knew how to give it any.
    pub(super) multimodal: bool,
    /// How many positions the model tells apart; the engine may think of more (llava/config.rs:28).
    pub(super) positions: Option<u32>,
}

/// How a model is to be loaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct How<'a> {
    pub(super) options: &'a Options,
    pub(super) placement: &'a Placement,
    pub(super) isq: Option<IsqType>,
    /// Threads of this plugin's own kernels.
    pub(super) threads: usize,
}

// === impl Parts ===

impl Parts {
    /// Reads `dir`; what the engine is to read instead of some of it goes to `staging`.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub(super) fn read(dir: &ModelDir, how: How<'_>, staging: &Staging) -> Result<Self, LoadError> {
        match gguf_name(dir, how.options)? {
            Some(_) if how.isq.is_some() => Err(LoadError::Request(
                "options: isq is for safetensors; a GGUF file is quantised already".to_owned(),
            )),
            Some(name) => Self::gguf(dir, &name),
            None => Self::directory(dir, how, staging),
        }
    }

    fn directory(dir: &ModelDir, how: How<'_>, staging: &Staging) -> Result<Self, LoadError> {
        let mut files = ModelFiles::read(dir, how.options, staging)?;
        let replaced = replace_weights(&mut files, how, staging)?;
        let id = Some(staging.path().to_string_lossy().into_owned());
        let multimodal = matches!(files.architecture, Architecture::Multimodal(_));
        let loader = match files.architecture {
            Architecture::Multimodal(kind) => {
                MultimodalLoaderBuilder::new(MultimodalSpecificConfig::default(), None, None, id, None)
                    .build(Some(kind))
            }
            Architecture::Text(kind) => {
                NormalLoaderBuilder::new(NormalSpecificConfig::default(), None, None, id, false, None)
                    .build(Some(kind))
                    .map_err(|error| LoadError::Engine(error.to_string()))?
            }
        };
        let width = if how.placement.dtype_name == "f32" { 32.0 } else { 16.0 };
        let bits = how.isq.map_or(width, |isq| bits(isq).min(width));
        // What is read last replaces what was read before.
        let weights = files.weights.into_iter().map(|(_, path)| path).chain(replaced);
        Ok(Self {
            loader,
            paths: Some(paths(staging, weights.collect())),
            vision: files.vision,
            template: files.template,
            tokens: Some((files.tokenizer, files.end)),
            numbers: files.numbers,
            memory_bytes: (files.parameters as f64 * bits / 8.0) as u64,
            multimodal,
            positions: files.positions,
        })
    }

    fn gguf(dir: &ModelDir, name: &str) -> Result<Self, LoadError> {
        let memory_bytes = dir.mark_weights(name)?;
        let path = dir.find(name)?.ok_or_else(|| LoadError::file(name, "is missing"))?;
        let folder = path.parent().unwrap_or(&path).to_string_lossy().into_owned();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let config = GGUFSpecificConfig { topology: None };
        Ok(Self {
            loader: GGUFLoaderBuilder::new(None, None, folder, vec![file], config, false, None).build(),
            paths: None,
            vision: None,
            template: None,
            tokens: None,
            numbers: Numbers::default(),
            memory_bytes,
            multimodal: false,
            positions: None,
        })
    }
}

/// The GGUF file, if that is what there is.
fn gguf_name(dir: &ModelDir, options: &Options) -> Result<Option<String>, LoadError> {
    if let Some(name) = &options.gguf {
        return match dir.find(name)? {
            Some(_) => Ok(Some(name.clone())),
            None => Err(LoadError::Request(format!("options: gguf: there is no {name}"))),
        };
    }
    if dir.find("config.json")?.is_some() {
        return Ok(None);
    }
    match dir.with_extension("gguf")?.as_slice() {
        [] => Ok(None),
        [name] => Ok(Some(name.clone())),
        names => Err(LoadError::Request(format!(
            "options: gguf: say which of these: {}",
            names.join(", ")
        ))),
    }
}

/// Weights that the engine is to read in place of some of the model's own: on a CPU an Idefics3's images are seen
/// outside the engine; LLaVA's first convolution takes pixels as they are.
fn replace_weights(files: &mut ModelFiles, how: How<'_>, staging: &Staging) -> Result<Option<PathBuf>, LoadError> {
    let Some(vision) = files.vision.as_mut() else {
        return Ok(None);
    };
    let source = Source {
        config: &files.config,
        preprocessor: vision.preprocessor(),
        weights: &files.weights,
    };
    match files.architecture {
        Architecture::Multimodal(MultimodalLoaderType::LLaVA) => raw_pixels::stage(source, staging).map(Some),
        Architecture::Multimodal(MultimodalLoaderType::Idefics3)
            if !how.placement.on_gpu() && how.placement.dtype_name == "f32" =>
        {
            let Some(staged) = vision_fast::stage(source, staging, how.threads)? else {
                tracing::info!("the vision tower runs in the engine, which is slow on a CPU");
                return Ok(None);
            };
            vision.look_through(staged.eye);
            Ok(Some(staged.weights))
        }
        _ => Ok(None),
    }
}

/// Where the engine reads what. It is told all of it, so that it never looks on the Hub.
fn paths(staging: &Staging, weights: Vec<PathBuf>) -> Box<dyn ModelPaths> {
    let path = |name: &str| staging.path().join(name);
    let if_there = |name: &str| Some(path(name)).filter(|path| path.exists());
    Box::new(LocalModelPaths {
        tokenizer_filename: path("tokenizer.json"),
        config_filename: path("config.json"),
        template_filename: Some(path("chat_template.jinja")),
        filenames: weights,
        adapter_paths: AdapterPaths::None,
        gen_conf: Some(path("generation_config.json")),
        preprocessor_config: if_there("preprocessor_config.json"),
        processor_config: if_there("processor_config.json"),
        chat_template_json_filename: None,
    })
}

/// About how many bits a quantised weight takes, scales included.
fn bits(isq: IsqType) -> f64 {
    match isq {
        IsqType::Q2K | IsqType::AFQ2 => 2.6,
        IsqType::Q3K | IsqType::AFQ3 => 3.5,
        IsqType::Q4_0 | IsqType::Q4_1 | IsqType::Q4K | IsqType::HQQ4 | IsqType::AFQ4 | IsqType::MXFP4 => 4.6,
        IsqType::Q5_0 | IsqType::Q5_1 | IsqType::Q5K => 5.6,
        IsqType::Q6K | IsqType::AFQ6 => 6.6,
        _ => 8.5,
    }
}
