//! A model's directory to a loaded model.

use sensorium_contract::{EmbedCapabilities, LoadProgress, Matryoshka, Modality, Scoring, ScoringRule};
use serde::Deserialize;

use super::{
    ImageTower, TextTower,
    bert::Bert,
    clip::{ClipText, ClipVision},
    siglip::{SiglipText, SiglipVision},
};
use crate::{
    checkpoint::{ModelDir, Weights},
    config::{BertConfig, ClipConfig, ModelConfig, SiglipConfig},
    error::LoadError,
    nn::Compute,
    options::{MatryoshkaOption, Options},
    preprocess::{Family, Preprocess},
    sentence::SentenceConfig,
    tokenizer::{TextTokenizer, TokenizerFamily, TokenizerNeeds},
};

/// A loaded model.
pub(crate) struct Model {
    /// Present if it reads text.
    pub(crate) text: Option<(TextTokenizer, Box<dyn TextTower>)>,
    /// Present if it reads images; with the patches of one.
    pub(crate) image: Option<(usize, Box<dyn ImageTower>)>,
    /// What it can do.
    pub(crate) capabilities: EmbedCapabilities,
    /// Numbers in its weights.
    pub(crate) parameters: u64,
}

/// The towers of a model, and the rule that scores one against the other.
struct Towers {
    width: usize,
    text: Option<(TextTokenizer, Box<dyn TextTower>)>,
    image: Option<(usize, Preprocess, Box<dyn ImageTower>)>,
    scoring: Option<Scoring>,
}

/// The first entry of `modules.json`, which says where the encoder's own files are.
#[derive(Deserialize)]
struct FirstModule {
    #[serde(default)]
    path: String,
}

/// Loads whatever `config.json` says the model is.
///
/// # Errors
/// If a file is missing, makes no sense, or isn't supported.
pub(crate) fn load(
    root: &ModelDir,
    options: &Options,
    compute: &Compute,
    progress: &dyn Fn(LoadProgress),
) -> Result<Model, LoadError> {
    let modules: Option<Vec<FirstModule>> = root.json("modules.json")?;
    let base = modules
        .and_then(|modules| modules.into_iter().next())
        .map(|first| first.path)
        .unwrap_or_default();
    let dir = root.sub(&base)?;
    let (config, matryoshka) = ModelConfig::load(&dir)?;
    let weights = Weights::open(&dir, progress)?;
    let towers = match config {
        ModelConfig::Clip(config) => clip(&dir, &weights, &config, options, compute)?,
        ModelConfig::Siglip(config) => siglip(&dir, &weights, &config, options, compute)?,
        ModelConfig::Bert(config) => bert(root, &dir, &weights, &config, options, compute)?,
    };
    let width = towers.width as u32;
    let matryoshka = resolve_matryoshka(options.matryoshka.as_ref(), matryoshka.as_ref(), width)?;
    Ok(towers.into_model(matryoshka, weights.parameters()))
}

// === impl Towers ===

impl Towers {
    fn into_model(self, matryoshka: Option<Matryoshka>, parameters: u64) -> Model {
        let modalities = [
            (self.text.is_some(), Modality::Text),
            (self.image.is_some(), Modality::Image),
        ];
        let capabilities = EmbedCapabilities {
            modalities: modalities
                .into_iter()
                .filter_map(|(reads, modality)| reads.then_some(modality))
                .collect(),
            width: self.width as u32,
            context_length: self
                .text
                .as_ref()
                .map_or(0, |(tokenizer, _)| tokenizer.context() as u32),
            matryoshka,
            scoring: self.scoring,
            image: self.image.as_ref().map(|(_, preprocess, _)| preprocess.spec),
            token_ids: self.text.is_some(),
        };
        let image = self.image.map(|(patches, _, tower)| (patches, tower));
        Model {
            text: self.text,
            image,
            capabilities,
            parameters,
        }
    }
}

fn clip(
    dir: &ModelDir,
    weights: &Weights<'_>,
    config: &ClipConfig,
    options: &Options,
    compute: &Compute,
) -> Result<Towers, LoadError> {
    let text = match &config.text {
        None => None,
        Some(text) => {
            let needs = TokenizerNeeds {
                family: TokenizerFamily::Clip,
                vocabulary: text.tower.vocabulary,
                positions: text.tower.positions,
                max_length: options.max_length,
                pad_id: None,
                lowercase: false,
                prompt: plain_prompt(options)?,
            };
            let tower: Box<dyn TextTower> = Box::new(ClipText::load(weights, text, config.width, compute)?);
            Some((TextTokenizer::load(dir, needs)?, tower))
        }
    };
    let image = match &config.vision {
        None => None,
        Some(vision) => {
            let preprocess = Preprocess::load(dir, Family::Clip, vision.image)?;
            let tower = ClipVision::load(weights, vision, preprocess.scale, config.width, compute)?;
            let tower: Box<dyn ImageTower> = Box::new(tower);
            Some((vision.patches(), preprocess, tower))
        }
    };
    let scoring = match text.is_some() && image.is_some() {
        true => {
            let scale = weights.scalar(&logit_name(weights, "logit_scale")?)?.exp();
            Some(Scoring {
                rule: ScoringRule::Softmax,
                scale,
                bias: 0.0,
            })
        }
        false => None,
    };
    Ok(Towers {
        width: config.width,
        text,
        image,
        scoring,
    })
}

fn siglip(
    dir: &ModelDir,
    weights: &Weights<'_>,
    config: &SiglipConfig,
    options: &Options,
    compute: &Compute,
) -> Result<Towers, LoadError> {
    let needs = TokenizerNeeds {
        family: TokenizerFamily::Json,
        vocabulary: config.text.vocabulary,
        positions: config.text.positions,
        max_length: options.max_length,
        pad_id: Some(config.pad_id),
        lowercase: false,
        prompt: plain_prompt(options)?,
    };
    let tokenizer = TextTokenizer::load(dir, needs)?;
    let preprocess = Preprocess::load(dir, Family::Siglip, config.vision.image)?;
    let text: Box<dyn TextTower> = Box::new(SiglipText::load(weights, &config.text, config.width(), compute)?);
    let image: Box<dyn ImageTower> = Box::new(SiglipVision::load(weights, &config.vision, preprocess.scale, compute)?);
    let scoring = Scoring {
        rule: ScoringRule::Sigmoid,
        scale: weights.scalar(&logit_name(weights, "logit_scale")?)?.exp(),
        bias: weights.scalar(&logit_name(weights, "logit_bias")?)?,
    };
    Ok(Towers {
        width: config.width(),
        text: Some((tokenizer, text)),
        image: Some((config.vision.patches(), preprocess, image)),
        scoring: Some(scoring),
    })
}

fn bert(
    root: &ModelDir,
    dir: &ModelDir,
    weights: &Weights<'_>,
    config: &BertConfig,
    options: &Options,
    compute: &Compute,
) -> Result<Towers, LoadError> {
    let mut sentence = SentenceConfig::load(root, dir)?;
    if let Some(pooling) = options.pooling {
        sentence.pooling = vec![pooling];
    }
    if let Some(prompt) = &options.prompt {
        sentence.prompt.clone_from(prompt);
    }
    let needs = TokenizerNeeds {
        family: TokenizerFamily::Bert,
        vocabulary: config.tower.vocabulary,
        positions: config.context(),
        max_length: [sentence.max_length, options.max_length].into_iter().flatten().min(),
        pad_id: None,
        lowercase: sentence.lowercase,
        prompt: sentence.prompt.clone(),
    };
    let tokenizer = TextTokenizer::load(dir, needs)?;
    let width = sentence.width(config.tower.encoder.hidden)?;
    let tower: Box<dyn TextTower> = Box::new(Bert::load(root, weights, config, &sentence, compute)?);
    Ok(Towers {
        width,
        text: Some((tokenizer, tower)),
        image: None,
        scoring: None,
    })
}

/// The prompt of a model that isn't a sentence-transformer; those have no pooling either.
fn plain_prompt(options: &Options) -> Result<String, LoadError> {
    match options.pooling {
        Some(_) => Err(LoadError::Request(
            "options: pooling is for text embedders; remove it".to_owned(),
        )),
        None => Ok(options.prompt.clone().unwrap_or_default()),
    }
}

/// The full name of a scalar beside the towers.
fn logit_name(weights: &Weights<'_>, name: &str) -> Result<String, LoadError> {
    Ok(format!("{}{name}", weights.prefix(name)?))
}

/// The registry's word goes before the model's own.
fn resolve_matryoshka(
    option: Option<&MatryoshkaOption>,
    config: Option<&MatryoshkaOption>,
    width: u32,
) -> Result<Option<Matryoshka>, LoadError> {
    match (option, config) {
        (Some(option), _) => option
            .resolve(width)
            .map_err(|problem| LoadError::Request(format!("options: {problem}"))),
        (None, Some(config)) => config
            .resolve(width)
            .map_err(|problem| LoadError::file("config.json", problem)),
        (None, None) => Ok(None),
    }
}
