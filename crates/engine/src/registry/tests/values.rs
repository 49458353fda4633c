//! What the values of a good registry mean.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::super::{BatchConfig, Dtype, LoadPolicy, TokenInput, Truncate};
use super::World;

#[test]
fn every_key_is_read() {
    let world = World::new();
    let registry = world.registry(
        r#"
[[model]]
id          = "org/name:1"
aliases     = ["text-embedding-3-small", "clip"]
plugin      = "files"
source      = { path = "models/inside" }
load        = "eager"
device      = ["cuda:0", "cuda:1", "cpu"]
dtype       = "bf16"
ttl         = "1h 30m"
batch       = { max = 64, wait = "2ms" }
queue       = 7
threads     = 2
token_input = "native"
truncate    = "error"
timeout     = "5s"
[model.options]
pool = "cls"
size = { depth = [1, 2.5, true] }
"#,
    );
    let [model] = registry.models.as_slice() else {
        panic!("one model")
    };
    assert_eq!(model.id, "org/name:1");
    assert_eq!(model.aliases, ["text-embedding-3-small", "clip"]);
    assert_eq!(model.plugin, "files");
    assert_eq!(model.executable, PathBuf::from("/plugins/sensorium-files"));
    assert_eq!(model.path, Some(world.dir().join("models/m")));
    assert_eq!(model.load, LoadPolicy::Eager);
    assert_eq!(model.devices, ["cuda:0", "cuda:1", "cpu"]);
    assert_eq!(model.dtype, Dtype::Bf16);
    assert_eq!(model.ttl, Some(Duration::from_secs(5400)));
    assert_eq!(
        model.batch,
        BatchConfig {
            max: Some(64),
            wait: Duration::from_millis(2)
        }
    );
    assert_eq!((model.queue, model.threads), (7, Some(2)));
    assert_eq!(
        (model.token_input, model.truncate),
        (TokenInput::Native, Truncate::Error)
    );
    assert_eq!(model.timeout, Some(Duration::from_secs(5)));
    assert_eq!(
        json!(model.options),
        json!({ "pool": "cls", "size": { "depth": [1, 2.5, true] } })
    );

    let load = model.load_request("cuda:1");
    assert_eq!(
        (load.model.as_str(), load.device.as_str(), load.dtype.as_str()),
        ("org/name:1", "cuda:1", "bf16")
    );
    assert_eq!(
        (load.path, load.threads, load.options),
        (model.path.clone(), Some(2), model.options.clone())
    );
}

#[test]
fn what_is_left_out_has_its_default() {
    let registry = World::new().registry("[[model]]\nid = \"a\"\nplugin = \"free\"\n");
    let model = &registry.models[0];
    assert_eq!((model.load, model.dtype), (LoadPolicy::Lazy, Dtype::Auto));
    assert_eq!(model.devices, ["auto"]);
    assert_eq!(
        model.batch,
        BatchConfig {
            max: None,
            wait: Duration::ZERO
        }
    );
    assert_eq!((model.queue, model.threads), (256, None));
    assert_eq!((model.ttl, model.timeout, model.path.as_ref()), (None, None, None));
    assert_eq!((model.token_input, model.truncate), (TokenInput::Cl100k, Truncate::Cut));
    assert!(model.aliases.is_empty() && model.options.is_empty());
}

#[test]
fn absolute_paths_may_lead_anywhere() {
    let world = World::new();
    for path in [
        world.elsewhere(),
        world.dir().join("outside"),
        world.dir().join("../elsewhere"),
    ] {
        let text = format!("[[model]]\nid = \"a\"\nplugin = \"files\"\nsource.path = {path:?}\n");
        assert_eq!(
            world.registry(&text).models[0].path,
            Some(world.elsewhere()),
            "{path:?}"
        );
    }
}

#[test]
fn models_keep_the_order_of_the_file_and_their_names() {
    let model = |id: &str, alias: &str| format!("[[model]]\nid = {id:?}\naliases = [{alias:?}]\nplugin = \"free\"\n");
    let registry = World::new().registry(&(model("z", "last") + &model("a", "first")));
    let ids: Vec<&str> = registry.models.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(ids, ["z", "a"]);
    let aliases = |id: &str| registry.get(id).map(|model| model.aliases.clone());
    assert_eq!(aliases("z"), Some(vec!["last".to_owned()]));
    assert_eq!(aliases("a"), Some(vec!["first".to_owned()]));
    assert_eq!((aliases("last"), aliases("A")), (None, None));
}
