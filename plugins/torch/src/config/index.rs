//! `model_index.json`: which pipeline it is, and of what parts.

use serde_json::{Map, Value};

use crate::{checkpoint::ModelDir, error::LoadError};

/// The file that says what a pipeline is made of.
const FILE: &str = "model_index.json";

/// Pipelines that can be loaded, as `_class_name` names them. What is done with a model, text to image, image to image
/// or inpainting, is up to the request; the class only says which family it is of.
pub(crate) const PIPELINES: [&str; 8] = [
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
    "LatentConsistencyModelPipeline",
    "LatentConsistencyModelImg2ImgPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLInpaintPipeline",
];

/// Which text encoders and conditions a pipeline has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Stable Diffusion 1 and 2: one text encoder, its last states.
    StableDiffusion,
    /// Stable Diffusion XL: two text encoders, their last but one states, and the second's pooled one.
    Xl,
}

/// What a pipeline is made of.
#[derive(Debug, Clone)]
pub(crate) struct PipelineIndex {
    /// Which family it is of.
    pub(crate) family: Family,
    /// Class of its scheduler, as diffusers names it.
    pub(crate) scheduler: String,
    /// SDXL: an empty negative prompt is zeros, not the states of an empty text.
    pub(crate) zeros_for_empty: bool,
    /// True if there is a safety checker, which isn't run.
    pub(crate) safety_checker: bool,
    /// Guidance scale and steps that the pipeline's class has by default.
    pub(crate) defaults: (f32, u32),
}

// === impl PipelineIndex ===

impl PipelineIndex {
    /// Reads the file.
    ///
    /// # Errors
    /// If it is missing, or a part is of a class that isn't supported.
    pub(crate) fn load(dir: &ModelDir) -> Result<Self, LoadError> {
        let mut map: Map<String, Value> = dir.require_json(FILE)?;
        let fail = |problem: String| LoadError::file(dir.label(FILE), problem);
        let class = map
            .get("_class_name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if !PIPELINES.contains(&class.as_str()) {
            return Err(fail(format!(
                "_class_name is `{class}`; this plugin loads {}",
                PIPELINES.join(", ")
            )));
        }
        let family = if class.contains("XL") {
            Family::Xl
        } else {
            Family::StableDiffusion
        };
        map.retain(|name, _| !name.starts_with('_'));

        let mut part = |name: &str| take_part(&mut map, name).map_err(&fail);
        let scheduler = part("scheduler")?.ok_or_else(|| fail("scheduler is missing".to_owned()))?;
        let wanted: &[(&str, &[&str])] = match family {
            Family::StableDiffusion => &SINGLE,
            Family::Xl => &DOUBLE,
        };
        for (name, classes) in wanted {
            match part(name)? {
                Some(class) if classes.contains(&class.as_str()) => {}
                Some(class) => {
                    return Err(fail(format!(
                        "{name} is a {class}; only {} is supported",
                        classes.join(" or ")
                    )));
                }
                None => {
                    return Err(fail(format!(
                        "{name} is missing; a pipeline without one isn't supported"
                    )));
                }
            }
        }
        let safety_checker = part("safety_checker")?.is_some();
        // What makes the safety checker's and IP adapters' inputs: nothing here asks for them.
        part("feature_extractor")?;
        part("image_encoder")?;
        let flag = |map: &mut Map<String, Value>, name: &str| match map.remove(name) {
            Some(Value::Bool(flag)) => Ok(flag),
            None | Some(Value::Null) => Ok(false),
            Some(other) => Err(fail(format!("{name} is {other}; it is true or false"))),
        };
        let zeros_for_empty = match (family, map.contains_key("force_zeros_for_empty_prompt")) {
            (Family::Xl, false) => true,
            _ => flag(&mut map, "force_zeros_for_empty_prompt")?,
        };
        if flag(&mut map, "requires_aesthetics_score")? {
            return Err(fail(
                "requires_aesthetics_score is true: refiners aren't supported".to_owned(),
            ));
        }
        flag(&mut map, "requires_safety_checker")?;
        flag(&mut map, "add_watermarker")?;
        if let Some((name, value)) = map.iter().next() {
            return Err(fail(format!("{name} is {value}, and the field isn't known")));
        }
        let defaults = match (class.starts_with("LatentConsistency"), family) {
            (true, _) => (8.5, 4),
            (false, Family::Xl) => (5.0, 50),
            (false, Family::StableDiffusion) => (7.5, 50),
        };
        Ok(Self {
            family,
            scheduler,
            zeros_for_empty,
            safety_checker,
            defaults,
        })
    }
}

const TOKENIZERS: &[&str] = &["CLIPTokenizer", "CLIPTokenizerFast"];
const SINGLE: [(&str, &[&str]); 4] = [
    ("text_encoder", &["CLIPTextModel"]),
    ("tokenizer", TOKENIZERS),
    ("unet", &["UNet2DConditionModel"]),
    ("vae", &["AutoencoderKL"]),
];
const DOUBLE: [(&str, &[&str]); 6] = [
    ("text_encoder", &["CLIPTextModel"]),
    ("text_encoder_2", &["CLIPTextModelWithProjection"]),
    ("tokenizer", TOKENIZERS),
    ("tokenizer_2", TOKENIZERS),
    ("unet", &["UNet2DConditionModel"]),
    ("vae", &["AutoencoderKL"]),
];

/// The class of `"name": ["library", "Class"]`; `None` for `[null, null]` and what isn't there.
fn take_part(map: &mut Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match map.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(pair)) => match pair.as_slice() {
            [Value::String(_), Value::String(class)] => Ok(Some(class.clone())),
            [Value::Null, Value::Null] => Ok(None),
            _ => Err(format!(
                "{name} is {}; it is [library, class]",
                Value::Array(pair.clone())
            )),
        },
        Some(other) => Err(format!("{name} is {other}; it is [library, class]")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn load(change: impl FnOnce(&mut Value)) -> Result<PipelineIndex, String> {
        let mut json = json!({
            "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.6.0",
            "scheduler": ["diffusers", "PNDMScheduler"],
            "safety_checker": [null, null], "feature_extractor": [null, null],
            "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
        });
        change(&mut json);
        let temp = tempfile::tempdir().expect("temp dir");
        std::fs::write(temp.path().join(FILE), json.to_string()).expect("written");
        let dir = ModelDir::open(temp.path()).expect("opens");
        PipelineIndex::load(&dir).map_err(|error| error.to_string())
    }

    #[test]
    fn a_pipeline_is_what_its_index_says() {
        let index = load(|_| {}).expect("a plain pipeline");
        assert_eq!(
            (index.family, index.scheduler.as_str()),
            (Family::StableDiffusion, "PNDMScheduler")
        );
        assert_eq!(index.defaults, (7.5, 50));
        for (change, part) in [
            (
                ("_class_name", json!("FluxPipeline")),
                "this plugin loads StableDiffusionPipeline",
            ),
            (
                ("vae", json!(["diffusers", "AutoencoderTiny"])),
                "vae is a AutoencoderTiny",
            ),
            (("unet", json!([null, null])), "unet is missing"),
            (("controlnet", json!(["diffusers", "ControlNetModel"])), "controlnet"),
            (("requires_aesthetics_score", json!(true)), "refiners"),
            (
                ("_class_name", json!("StableDiffusionXLPipeline")),
                "text_encoder_2 is missing",
            ),
        ] {
            let message = load(|json| json[change.0] = change.1.clone()).expect_err(part);
            assert!(message.contains(part), "{message}");
        }
    }
}
