//! Holds the arrows between rooms, as `cargo metadata` sees them.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::Command;

use serde_json::Value;

/// Room -> rooms it may depend on. `plugins/*` is one rule for every plugin.
const ARROWS: &[(&str, &[&str])] = &[
    ("sensorium", &["sensorium-api", "sensorium-engine", "sensorium-media"]),
    ("sensorium-api", &["sensorium-engine", "sensorium-media"]),
    ("sensorium-engine", &["sensorium-contract"]),
    ("sensorium-media", &[]),
    ("sensorium-checkpoint", &[]),
    ("sensorium-contract", &[]),
    ("sensorium-kernels", &[]),
    ("sensorium-tests", &[]),
    (
        "plugins/*",
        &["sensorium-checkpoint", "sensorium-contract", "sensorium-kernels"],
    ),
];

/// Crates that compute models. The host must not reach any of them.
const ML: &[&str] = &[
    "sensorium-kernels",
    "candle-core",
    "candle-nn",
    "mistralrs",
    "tch",
    "torch-sys",
    "diffusers",
    "tokenizers",
    "ort",
];

#[test]
fn arrows_between_rooms_run_one_way() {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().expect("packages");
    let rooms: BTreeSet<&str> = packages.iter().map(name).collect();
    for package in packages {
        let allowed = allowed_for(package);
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            // A room's own tests may drive another room; what ships may not.
            if dependency["kind"] == "dev" {
                continue;
            }
            let target = name(dependency);
            if rooms.contains(target) {
                assert!(
                    allowed.contains(&target),
                    "{} must not depend on {target}",
                    name(package)
                );
            }
        }
    }
}

#[test]
fn the_host_links_no_ml_library() {
    let metadata = metadata(&[]);
    let names: BTreeMap<&str, &str> = array(&metadata["packages"])
        .map(|p| (text(&p["id"]), name(p)))
        .collect();
    let edges: BTreeMap<&str, &Value> = array(&metadata["resolve"]["nodes"])
        .map(|n| (text(&n["id"]), n))
        .collect();
    let host = names
        .iter()
        .find(|(_, name)| **name == "sensorium")
        .expect("the host is a workspace member")
        .0;

    let mut seen = BTreeSet::from([*host]);
    let mut queue = VecDeque::from([*host]);
    while let Some(id) = queue.pop_front() {
        for dependency in array(&edges[id]["deps"]) {
            let ships = array(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null());
            let target = text(&dependency["pkg"]);
            if ships && seen.insert(target) {
                queue.push_back(target);
            }
        }
    }
    let linked: Vec<&str> = seen
        .iter()
        .map(|id| names[id])
        .filter(|name| ML.contains(name))
        .collect();
    assert!(seen.len() > 50, "the graph was not walked: {} crates", seen.len());
    assert_eq!(linked, Vec::<&str>::new(), "the host links ML libraries");
}

#[test]
fn every_room_is_known() {
    let metadata = metadata(&["--no-deps"]);
    for package in array(&metadata["packages"]) {
        let known = is_plugin(package) || ARROWS.iter().any(|(room, _)| *room == name(package));
        assert!(
            known,
            "{} is a new room: give it its arrows here and in ARCHITECTURE.md",
            name(package)
        );
    }
}

fn allowed_for(package: &Value) -> &'static [&'static str] {
    let room = if is_plugin(package) { "plugins/*" } else { name(package) };
    ARROWS.iter().find(|(from, _)| *from == room).map_or(&[], |(_, to)| to)
}

fn is_plugin(package: &Value) -> bool {
    text(&package["manifest_path"]).contains("/plugins/")
}

fn metadata(extra: &[&str]) -> Value {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--manifest-path",
            manifest,
        ])
        // Crates of other platforms need not be on this machine.
        .args(["--filter-platform", &host()])
        .args(extra)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

fn host() -> String {
    let output = Command::new("rustc")
        .args(["--version", "--verbose"])
        .output()
        .expect("rustc runs");
    let version = String::from_utf8(output.stdout).expect("rustc speaks UTF-8");
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("rustc names its host")
        .to_owned()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn name(value: &Value) -> &str {
    text(&value["name"])
}
