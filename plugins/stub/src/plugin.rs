//! The plugin: its manifest, and how a model is loaded, or is not.

use std::path::Path;
use std::sync::Arc;

use sensorium_contract::{
    CallContext, Chat, Embed, Imagine, LoadProgress, LoadRequest, LoadedModel, Manifest, PROTOCOL, Plugin, PluginError,
    Task,
};

use crate::chat::ChatModel;
use crate::image::ImageModel;
use crate::misbehaviour::{Misbehaviour, sleep};
use crate::model::Model;
use crate::options::{Does, Options};

/// Steps in which loading is reported.
const STEPS: u32 = 4;

/// The stub.
pub(crate) struct Stub;

// === impl Stub ===

impl Plugin for Stub {
    fn manifest(&self) -> Manifest {
        Manifest {
            name: "stub".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            protocol: PROTOCOL,
            tasks: vec![Task::Embed, Task::Chat, Task::Image],
            devices: vec!["cpu".into()],
            network: false,
            options_schema: Some(Options::schema()),
            architectures: Vec::new(),
        }
    }

    fn load(&self, request: &LoadRequest, progress: &dyn Fn(LoadProgress)) -> Result<LoadedModel, PluginError> {
        let options = Options::parse(&request.options)?;
        misbehave(&options)?;
        for done in 0..STEPS {
            progress(LoadProgress {
                stage: "weights".into(),
                done: done.into(),
                total: STEPS.into(),
            });
            sleep(options.load_latency / STEPS, &CallContext::default());
        }
        let chat = options.does(Does::Chat).then(|| {
            let chat = ChatModel::new(options.chat.clone(), options.max_batch, options.allow_misbehaviour);
            Arc::new(chat) as Arc<dyn Chat>
        });
        let image = options.does(Does::Image).then(|| {
            let image = ImageModel::new(options.image.clone(), options.allow_misbehaviour);
            Arc::new(image) as Arc<dyn Imagine>
        });
        let capabilities = options.capabilities();
        let embed = options
            .does(Does::Embed)
            .then(|| Box::new(Model::new(options)) as Box<dyn Embed>);
        Ok(LoadedModel {
            capabilities,
            embed,
            chat,
            image,
        })
    }
}

/// Fails to load, if the options say so.
fn misbehave(options: &Options) -> Result<(), PluginError> {
    let misbehaviour = match options.misbehave_on_load.as_deref() {
        Some(text) => Misbehaviour::parse(text)
            .ok_or_else(|| PluginError::caller(format!("options: misbehave_on_load can't be \"{text}\"")))?,
        None if options.fail_first_loads > 0 => Misbehaviour::Error(PluginError::instance("told to fail")),
        None => return Ok(()),
    };
    if let Some(directory) = options
        .state_directory
        .as_deref()
        .filter(|_| options.fail_first_loads > 0)
        && count_load(directory)? > options.fail_first_loads
    {
        return Ok(());
    }
    misbehaviour.act(&CallContext::default(), &mut Vec::new())
}

/// Counts this load in `directory`; the count, this one included. One process at a time.
fn count_load(directory: &Path) -> Result<u32, PluginError> {
    let file = directory.join("stub-loads");
    let before = std::fs::read_to_string(&file)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0_u32);
    let count = before + 1;
    std::fs::write(&file, count.to_string())
        .map_err(|error| PluginError::caller(format!("options: cannot write to state_directory: {error}")))?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(json: &str) -> Result<LoadedModel, PluginError> {
        let request = LoadRequest {
            options: serde_json::from_str(json).unwrap(),
            ..LoadRequest::new("m")
        };
        Stub.load(&request, &|_| {})
    }

    #[test]
    fn the_manifest_keeps_the_contract() {
        Stub.manifest().validate().unwrap();
    }

    #[test]
    fn the_first_loads_fail_and_then_one_succeeds() {
        let directory = tempfile::tempdir().unwrap();
        let json = serde_json::json!({"fail_first_loads": 2, "state_directory": directory.path()}).to_string();
        assert!(load(&json).is_err());
        assert!(load(&json).is_err());
        assert!(load(&json).is_ok());
    }

    #[test]
    fn loading_fails_as_told() {
        assert_eq!(
            load(r#"{"misbehave_on_load": "error:model"}"#).err(),
            Some(PluginError::model("told to fail"))
        );
        assert!(load(r#"{"misbehave_on_load": "dance"}"#).is_err());
        assert!(load("{}").is_ok());
    }
}
