//! Plugins are found, asked once, and asked again when they change.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::super::{PluginCatalog, Registry, check_registry};
use super::{World, manifest};

/// An executable that prints a manifest, and a line to a file each time that it is asked.
fn install(directory: &Path, name: &str, comment: &str) {
    let manifest = serde_json::to_string(&manifest(name, None)).expect("it is JSON");
    let asked = directory.join("asked");
    let script = format!(
        "#!/bin/sh\n# {comment}\necho >>'{}'\necho '{manifest}'\n",
        asked.display()
    );
    let executable = directory.join(format!("sensorium-{name}"));
    std::fs::write(&executable, script).expect("a script");
    std::fs::set_permissions(&executable, PermissionsExt::from_mode(0o755)).expect("it is ours");
}

fn times_asked(directory: &Path) -> usize {
    std::fs::read_to_string(directory.join("asked")).map_or(0, |asked| asked.lines().count())
}

fn write(world: &World, plugin: &str) -> std::path::PathBuf {
    let file = world.dir().join("models.toml");
    std::fs::write(&file, format!("[[model]]\nid = \"a\"\nplugin = {plugin:?}\n")).expect("a file");
    file
}

#[tokio::test]
async fn a_plugin_is_asked_again_only_if_it_changed() {
    let (world, bin) = (World::new(), tempfile::tempdir().expect("a directory"));
    install(bin.path(), "here", "");
    let file = write(&world, "here");
    let catalog = PluginCatalog::new(vec![bin.path().into()]);
    for _ in 0..3 {
        let registry = Registry::load(&file, &catalog).await.expect("a good registry");
        assert_eq!(registry.models[0].executable, bin.path().join("sensorium-here"));
    }
    assert_eq!(times_asked(bin.path()), 1);
    install(bin.path(), "here", "another version");
    Registry::load(&file, &catalog).await.expect("a good registry");
    assert_eq!(times_asked(bin.path()), 2);
}

#[tokio::test]
async fn plugins_that_cannot_be_used_are_named_with_what_to_do() {
    let (world, bin) = (World::new(), tempfile::tempdir().expect("a directory"));
    for (name, script) in [
        ("broken", "#!/bin/sh\necho no >&2\nexit 3\n"),
        ("chatty", "#!/bin/sh\necho hello\n"),
    ] {
        let executable = bin.path().join(format!("sensorium-{name}"));
        std::fs::write(&executable, script).expect("a script");
        std::fs::set_permissions(&executable, PermissionsExt::from_mode(0o755)).expect("it is ours");
    }
    let place = bin.path().display().to_string();
    let rows = [
        (
            "absent",
            vec!["no executable sensorium-absent in", &place, "SENSORIUM_PLUGIN_PATH"],
        ),
        ("../sh", vec!["is not a plugin's name: use lower-case letters"]),
        ("broken", vec!["can't say what it is", "status 3"]),
        ("chatty", vec!["can't say what it is"]),
    ];
    for (name, expected) in rows {
        let file = write(&world, name);
        let error = check_registry(&file, &[bin.path().into()])
            .await
            .expect_err("the plugin can't be used");
        let shown = error.to_string();
        let start = format!("{}:3: model \"a\": plugin {name:?} ", file.display());
        assert!(
            shown.starts_with(&start) && expected.iter().all(|part| shown.contains(part)),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn files_that_cannot_be_read_say_so() {
    let world = World::new();
    let file = world.dir().join("models.toml");
    let check = async |expected: &str| {
        let error = check_registry(&file, &[])
            .await
            .expect_err("it can't be read")
            .to_string();
        assert!(error.starts_with(&format!("{}: {expected}", file.display())), "{error}");
    };
    check("can't be read: No such file").await;
    std::fs::write(&file, b"id = \"\xff\"").expect("a file");
    check("can't be read: stream did not contain valid UTF-8; save it as UTF-8 text").await;
    std::fs::write(&file, vec![b'#'; (4 << 20) + 1]).expect("a file");
    check("has 4194305 bytes; a registry has at most 4194304").await;
    std::fs::remove_file(&file).expect("it is there");
    std::fs::create_dir(&file).expect("a directory");
    check("is not a file").await;
}
