//! `modules.json` and the files that it leads to.

use std::collections::HashMap;

use serde::Deserialize;

use super::PoolingMode;
use crate::{checkpoint::ModelDir, error::LoadError};

/// What happens around a text encoder.
#[derive(Debug, Clone)]
pub(crate) struct SentenceConfig {
    /// Pooling modes, whose vectors are put one after another; at least one.
    pub(crate) pooling: Vec<PoolingMode>,
    /// What follows, in order.
    pub(crate) steps: Vec<Step>,
    /// Longest text in tokens, if said.
    pub(crate) max_length: Option<usize>,
    /// Lower-case the text first.
    pub(crate) lowercase: bool,
    /// Put before every text.
    pub(crate) prompt: String,
}

/// What follows the pooling.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// To unit length.
    Normalize,
    /// A linear map and an activation.
    Dense(Dense),
}

/// A linear map and an activation.
#[derive(Debug, Clone)]
pub(crate) struct Dense {
    /// Directory of its weights.
    pub(crate) path: String,
    /// Length of what comes in.
    pub(crate) input: usize,
    /// Length of what goes out.
    pub(crate) output: usize,
    /// Whether it adds a bias.
    pub(crate) bias: bool,
    /// Applied last.
    pub(crate) activation: DenseActivation,
}

/// The activation of a [`Dense`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DenseActivation {
    /// None.
    Identity,
    /// `tanh(x)`.
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// `x · Φ(x)`.
    Gelu,
    /// `x · sigmoid(x)`.
    Silu,
}

#[derive(Debug, Deserialize)]
struct RawModule {
    #[serde(default)]
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// `sentence_bert_config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawSentenceBert {
    max_seq_length: Option<usize>,
    do_lower_case: bool,
}

/// `config_sentence_transformers.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawPrompts {
    prompts: HashMap<String, String>,
    default_prompt_name: Option<String>,
}

/// `1_Pooling/config.json`, before and after version 5.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct RawPooling {
    pooling_mode: Option<OneOrMore>,
    pooling_mode_cls_token: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
    pooling_mode_weightedmean_tokens: bool,
    pooling_mode_lasttoken: bool,
    include_prompt: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(PoolingMode),
    More(Vec<PoolingMode>),
}

/// `2_Dense/config.json`.
#[derive(Debug, Deserialize)]
struct RawDense {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    activation_function: Option<String>,
    module_input_name: Option<String>,
    module_output_name: Option<String>,
    #[serde(default)]
    use_residual: bool,
}

fn yes() -> bool {
    true
}

// === impl SentenceConfig ===

impl SentenceConfig {
    /// Reads `modules.json` of `dir` and what it names; `encoder` is the directory of the encoder's own files. Without
    /// `modules.json`: the mean of the tokens, as sentence-transformers does.
    ///
    /// # Errors
    /// If a module isn't supported or its files make no sense.
    pub(crate) fn load(dir: &ModelDir, encoder: &ModelDir) -> Result<Self, LoadError> {
        const FILE: &str = "modules.json";
        let prompt = default_prompt(dir)?;
        let modules: Option<Vec<RawModule>> = dir.json(FILE)?;
        let limits: RawSentenceBert = encoder.json("sentence_bert_config.json")?.unwrap_or_default();
        let mut config = Self {
            pooling: vec![PoolingMode::Mean],
            steps: Vec::new(),
            max_length: limits.max_seq_length,
            lowercase: limits.do_lower_case,
            prompt,
        };
        let mut pooled = modules.is_none();
        for (index, module) in modules.into_iter().flatten().enumerate() {
            let kind = module.kind.rsplit('.').next().unwrap_or_default();
            match (index, kind, pooled) {
                (0, "Transformer", _) => {}
                (1, "Pooling", _) => {
                    config.pooling = pooling(&dir.sub(&module.path)?, &config.prompt)?;
                    pooled = true;
                }
                (_, "Normalize", true) => config.steps.push(Step::Normalize),
                (_, "Dense", true) => config.steps.push(Step::Dense(Dense::load(dir, module.path)?)),
                _ => {
                    let problem = format!("module {index} is `{kind}`, which isn't supported there");
                    return Err(LoadError::file(dir.label(FILE), problem));
                }
            }
        }
        match pooled {
            true => Ok(config),
            false => Err(LoadError::file(dir.label(FILE), "has no Pooling module")),
        }
    }

    /// Length of the vectors that an encoder of width `hidden` ends in.
    ///
    /// # Errors
    /// If a Dense module doesn't fit what comes before it.
    pub(crate) fn width(&self, hidden: usize) -> Result<usize, LoadError> {
        let mut width = hidden * self.pooling.len();
        for step in &self.steps {
            if let Step::Dense(dense) = step {
                if dense.input != width {
                    let problem = format!("in_features is {}; what comes before it makes {width}", dense.input);
                    return Err(LoadError::file(format!("{}/config.json", dense.path), problem));
                }
                width = dense.output;
            }
        }
        Ok(width)
    }
}

// === impl Dense ===

impl Dense {
    fn load(dir: &ModelDir, path: String) -> Result<Self, LoadError> {
        const FILE: &str = "config.json";
        let dir = dir.sub(&path)?;
        let raw: RawDense = dir.require_json(FILE)?;
        let fail = |problem: String| LoadError::file(dir.label(FILE), problem);
        let names = [&raw.module_input_name, &raw.module_output_name];
        if names.into_iter().flatten().any(|name| name != "sentence_embedding") || raw.use_residual {
            return Err(fail(
                "only a plain map of the sentence embedding is supported".to_owned(),
            ));
        }
        let name = raw.activation_function.as_deref().unwrap_or("Identity");
        let activation = match name.rsplit('.').next().unwrap_or_default() {
            "Identity" => DenseActivation::Identity,
            "Tanh" => DenseActivation::Tanh,
            "ReLU" => DenseActivation::Relu,
            "GELU" => DenseActivation::Gelu,
            "SiLU" => DenseActivation::Silu,
            other => {
                return Err(fail(format!(
                    "activation `{other}` isn't supported; use Identity, Tanh, ReLU, GELU or SiLU"
                )));
            }
        };
        Ok(Self {
            path,
            input: raw.in_features,
            output: raw.out_features,
            bias: raw.bias,
            activation,
        })
    }
}

// === impl RawPooling ===

impl Default for RawPooling {
    fn default() -> Self {
        Self {
            pooling_mode: None,
            pooling_mode_cls_token: false,
            pooling_mode_max_tokens: false,
            pooling_mode_mean_tokens: false,
            pooling_mode_mean_sqrt_len_tokens: false,
            pooling_mode_weightedmean_tokens: false,
            pooling_mode_lasttoken: false,
            include_prompt: true,
        }
    }
}

impl RawPooling {
    fn modes(self) -> Vec<PoolingMode> {
        match self.pooling_mode {
            Some(OneOrMore::One(mode)) => return vec![mode],
            Some(OneOrMore::More(modes)) if !modes.is_empty() => return modes,
            _ => {}
        }
        let flags = [
            (self.pooling_mode_cls_token, PoolingMode::Cls),
            (self.pooling_mode_max_tokens, PoolingMode::Max),
            (self.pooling_mode_mean_tokens, PoolingMode::Mean),
            (self.pooling_mode_mean_sqrt_len_tokens, PoolingMode::MeanSqrtLen),
            (self.pooling_mode_weightedmean_tokens, PoolingMode::WeightedMean),
            (self.pooling_mode_lasttoken, PoolingMode::LastToken),
        ];
        let modes: Vec<_> = flags
            .into_iter()
            .filter_map(|(set, mode)| set.then_some(mode))
            .collect();
        if modes.is_empty() {
            vec![PoolingMode::Mean]
        } else {
            modes
        }
    }
}

fn pooling(dir: &ModelDir, prompt: &str) -> Result<Vec<PoolingMode>, LoadError> {
    const FILE: &str = "config.json";
    let raw: RawPooling = dir.require_json(FILE)?;
    if !raw.include_prompt && !prompt.is_empty() {
        return Err(LoadError::file(
            dir.label(FILE),
            "include_prompt is false, which isn't supported with a prompt",
        ));
    }
    Ok(raw.modes())
}

fn default_prompt(dir: &ModelDir) -> Result<String, LoadError> {
    const FILE: &str = "config_sentence_transformers.json";
    let mut raw: RawPrompts = dir.json(FILE)?.unwrap_or_default();
    match raw.default_prompt_name {
        None => Ok(String::new()),
        Some(name) => raw.prompts.remove(&name).ok_or_else(|| {
            LoadError::file(
                dir.label(FILE),
                format!("default_prompt_name is `{name}`, which prompts doesn't have"),
            )
        }),
    }
}
