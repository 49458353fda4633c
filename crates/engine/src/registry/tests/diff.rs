//! What a reload touches.

use super::super::RegistryDiff;
use super::World;

const BEFORE: &str = "id = \"a\"\nplugin = \"files\"\nsource.path = \"models/m\"\n";

/// How a model that was `BEFORE` with `old` lines is touched by becoming `BEFORE` with `new` ones.
fn touched(old: &str, new: &str) -> &'static str {
    let world = World::new();
    let registry = |lines: &str| world.registry(&format!("[[model]]\n{BEFORE}{lines}"));
    let diff = RegistryDiff::between(&registry(old), &registry(new));
    match (diff.needs_restart.len(), diff.updated.len(), diff.unchanged.len()) {
        (1, 0, 0) => "restart",
        (0, 1, 0) => "update",
        (0, 0, 1) => "nothing",
        other => panic!("{new}: {other:?}"),
    }
}

#[test]
fn only_what_a_process_was_started_with_restarts_it() {
    let rows = [
        ("", "", "nothing"),
        ("", "# a comment\n\n", "nothing"),
        ("", "queue = 256\n", "nothing"),
        ("device = \"auto\"\n", "device = [\"auto\"]\n", "nothing"),
        ("ttl = \"60s\"\n", "ttl = \"1m\"\n", "nothing"),
        ("", "aliases = [\"b\"]\n", "update"),
        ("", "queue = 3\n", "update"),
        ("", "ttl = \"1m\"\n", "update"),
        ("", "timeout = \"1m\"\n", "update"),
        ("", "load = \"eager\"\n", "update"),
        ("", "token_input = \"reject\"\n", "update"),
        ("", "truncate = \"error\"\n", "update"),
        ("", "batch.wait = \"1ms\"\n", "update"),
        ("", "batch.max = 3\n", "restart"),
        ("", "device = \"cpu\"\n", "restart"),
        ("device = \"cpu\"\n", "device = [\"cpu\", \"cpu\"]\n", "restart"),
        ("", "dtype = \"f16\"\n", "restart"),
        ("", "threads = 1\n", "restart"),
        ("", "options.pool = \"cls\"\n", "restart"),
        ("options.pool = \"mean\"\n", "options.pool = \"cls\"\n", "restart"),
    ];
    for (old, new, expected) in rows {
        assert_eq!(touched(old, new), expected, "from {old:?} to {new:?}");
    }
}

#[test]
fn plugin_and_source_restart_too() {
    let world = World::new();
    let before = world.registry(&format!("[[model]]\n{BEFORE}"));
    for (from, to) in [("files", "free"), ("models/m", "models/n")] {
        let after = world.registry(&format!("[[model]]\n{BEFORE}").replace(from, to));
        assert_eq!(RegistryDiff::between(&before, &after).needs_restart, ["a"], "{to}");
    }
}

#[test]
fn models_come_and_go_by_their_ids() {
    let world = World::new();
    let model = |id: &str, queue: u32| format!("[[model]]\nid = {id:?}\nplugin = \"free\"\nqueue = {queue}\n");
    let before = world.registry(&(model("gone", 1) + &model("same", 1) + &model("other", 1)));
    let after = world.registry(&(model("new", 1) + &model("other", 2) + &model("same", 1)));
    let diff = RegistryDiff::between(&before, &after);
    let expected = RegistryDiff {
        added: vec!["new".into()],
        removed: vec!["gone".into()],
        needs_restart: vec![],
        updated: vec!["other".into()],
        unchanged: vec!["same".into()],
    };
    assert_eq!(diff, expected);
}
