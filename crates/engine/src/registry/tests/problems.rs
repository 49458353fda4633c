//! Every mistake has a message with its line, and none hides another.

use super::World;

/// One model `a` of the plugin `free`, whose further lines begin in line 4.
fn free(lines: &str) -> String {
    format!("[[model]]\nid = \"a\"\nplugin = \"free\"\n{lines}")
}

/// One model `a` of the plugin `files`, whose further lines begin in line 4.
fn files(lines: &str) -> String {
    format!("[[model]]\nid = \"a\"\nplugin = \"files\"\n{lines}")
}

/// Each text has exactly these problems. Messages may go on; they begin as given.
fn check(rows: &[(String, &[&str])]) {
    let world = World::new();
    for (text, expected) in rows {
        let found = world.problems(text);
        assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
        for (found, expected) in found.iter().zip(*expected) {
            let expected = format!("models.toml{expected}");
            assert!(
                found.starts_with(&expected),
                "{text}\n{found:?} does not begin with\n{expected:?}"
            );
        }
    }
}

#[test]
fn of_the_file() {
    check(&[
        (String::new(), &[": has no models: add one with the line [[model]]"]),
        ("# only a comment\n".into(), &[": has no models"]),
        ("model = []\n".into(), &[": has no models"]),
        (
            "\nmodel = 3\n".into(),
            &[":2: \"model\" is not a list: begin each model with the line [[model]]"],
        ),
        ("[model]\nid = \"a\"\n".into(), &[":1: \"model\" is not a list"]),
        (
            "model = [\n 3,\n]\n".into(),
            &[":2: a model is not a table: begin each with the line [[model]]"],
        ),
        (
            format!("models = 1\n{}", free("")),
            &[":1: unknown key \"models\" (expected one of model)"],
        ),
        (free("queue = \n"), &[":4: is not TOML: "]),
        (free("queue = 1\nqueue = 2\n"), &[":5: is not TOML: duplicate key"]),
        ("[[model]]\nid = \"a".into(), &[":2: is not TOML: "]),
    ]);
}

#[test]
fn of_keys_and_types() {
    check(&[
        (
            free("color = 1\n"),
            &[":4: model \"a\": unknown key \"color\" (expected one of aliases, batch, "],
        ),
        (
            free("\n\nqueue = \"many\"\n"),
            &[":6: model \"a\": queue is not right: invalid type: string \"many\", expected "],
        ),
        (
            free("load = \"soon\"\n"),
            &[":4: model \"a\": load is not right: unknown variant `soon`, expected `eager` or `lazy`"],
        ),
        (
            free("dtype = \"f8\"\n"),
            &[":4: model \"a\": dtype is not right: unknown variant `f8`, expected one of `auto`, "],
        ),
        (
            free("token_input = \"x\"\n"),
            &[":4: model \"a\": token_input is not right: unknown variant `x`, expected one of `cl100k`"],
        ),
        (free("truncate = true\n"), &[":4: model \"a\": truncate is not right: "]),
        (
            free("aliases = \"b\"\n"),
            &[":4: model \"a\": aliases is not right: invalid type: string \"b\", expected a sequence"],
        ),
        (
            free("device = 3\n"),
            &[":4: model \"a\": device is not right: expected a device such as \"cpu\", or a list of devices"],
        ),
        (free("batch = 3\n"), &[":4: model \"a\": batch is not right: "]),
        (
            free("batch = { size = 3, max = \"x\" }\n"),
            &[
                ":4: model \"a\": batch.max is not right: ",
                ":4: model \"a\": unknown key \"batch.size\" (expected one of max, wait)",
            ],
        ),
        (
            free("[model.batch]\nmax = 1\nmin = 1\n"),
            &[":6: model \"a\": unknown key \"batch.min\""],
        ),
        (
            free("[model.source]\nurl = \"x\"\n"),
            &[
                ":4: model \"a\": source.path is missing: write source = ",
                ":5: model \"a\": unknown key \"source.url\" (expected one of hf, path, revision)",
            ],
        ),
        (free("options = 3\n"), &[":4: model \"a\": options is not right: "]),
    ]);
}

#[test]
fn of_names() {
    let long = "x".repeat(129);
    let plugin = "plugin = \"free\"\n";
    let named = |id: &str| format!("[[model]]\nid = {id:?}\n{plugin}");
    check(&[
        (
            format!("\n[[model]]\n{plugin}"),
            &[":2: id is missing: add a line such as id = \"name\""],
        ),
        (
            format!("[[model]]\nid = 3\n{plugin}"),
            &[":2: id is not right: invalid type: integer `3`, expected a string"],
        ),
        (
            named(""),
            &[":2: model \"\": id \"\" can't be used: use 1 to 128 printable ASCII characters without spaces"],
        ),
        (named("a b"), &[":2: model \"a b\": id \"a b\" can't be used"]),
        (named("ä"), &[":2: model \"ä\": id \"ä\" can't be used"]),
        (named("a\n"), &[":2: model \"a\\n\": id \"a\\n\" can't be used"]),
        (
            named(&long),
            &[&format!(":2: model \"{long}\": id \"{long}\" can't be used")],
        ),
        (
            named("unknown"),
            &[":2: model \"unknown\": id \"unknown\" can't be used: metrics have it for models that are not here"],
        ),
        (
            free("aliases = [\n  \"b\",\n  \"b c\",\n]\n"),
            &[":6: model \"a\": alias \"b c\" can't be used"],
        ),
        (
            free("aliases = [\"a\"]\n"),
            &[":4: model \"a\": alias \"a\" is taken by model \"a\" in line 2: choose another"],
        ),
        (
            free("aliases = [\"b\", \"b\"]\n"),
            &[":4: model \"a\": alias \"b\" is taken by model \"a\" in line 4"],
        ),
        (
            free("") + &free(""),
            &[":5: model \"a\": id \"a\" is taken by model \"a\" in line 2"],
        ),
        (
            free("aliases = [\"b\"]\n") + &named("b"),
            &[":6: model \"b\": id \"b\" is taken by model \"a\" in line 4"],
        ),
        (
            free("") + &named("b") + "aliases = [\"a\"]\n",
            &[":7: model \"b\": alias \"a\" is taken by model \"a\" in line 2"],
        ),
    ]);
}

#[test]
fn of_plugins_and_devices() {
    check(&[
        (
            "[[model]]\nid = \"a\"\n".into(),
            &[":1: model \"a\": plugin is missing: add a line such as plugin = \"candle\""],
        ),
        (
            "[[model]]\nid = \"a\"\nplugin = \"lost\"\n".into(),
            &[":3: model \"a\": plugin \"lost\" is not found"],
        ),
        (
            free("device = \"gpu\"\n"),
            &[":4: model \"a\": device \"gpu\" is not a device: write \"auto\", \"cpu\", or "],
        ),
        (
            free("device = \"cuda\"\n"),
            &[":4: model \"a\": device \"cuda\" is not a device"],
        ),
        (
            free("device = \"cuda:x\"\n"),
            &[":4: model \"a\": device \"cuda:x\" is not a device"],
        ),
        (
            free("device = \"cpu:1\"\n"),
            &[":4: model \"a\": device \"cpu:1\" is not a device"],
        ),
        (
            free("device = []\n"),
            &[":4: model \"a\": device is an empty list: name a device for each instance"],
        ),
        (
            free("device = [\"cpu\",\n \"cuda:0\"]\n"),
            &[":5: model \"a\": device \"cuda:0\" can't be used: this build of plugin \"free\" supports cpu"],
        ),
    ]);
}

#[test]
fn of_sources() {
    let source = |path: &str| files(&format!("source = {{ path = {path:?} }}\n"));
    check(&[
        (
            files(""),
            &[":1: model \"a\": source is missing: plugin \"files\" loads files; add a line such as source = "],
        ),
        (
            files("source = {}\n"),
            &[":4: model \"a\": source.path is missing: write source = { path = \"models/name\" }"],
        ),
        (source(""), &[":4: model \"a\": source.path is empty"]),
        (
            source("models/none"),
            &[":4: model \"a\": source.path \"models/none\" can't be read: models/none: No such file"],
        ),
        (
            source("models/file"),
            &[":4: model \"a\": source.path \"models/file\" is not a directory"],
        ),
        (
            source("../elsewhere"),
            &[":4: model \"a\": source.path \"../elsewhere\" contains \"..\": a relative path stays "],
        ),
        (
            source("models/../models/m"),
            &[":4: model \"a\": source.path \"models/../models/m\" contains \"..\""],
        ),
        (
            source("outside"),
            &[
                ":4: model \"a\": source.path \"outside\" leaves the registry's directory through a symbolic link to <elsewhere>",
            ],
        ),
        (
            source("/no/such/place"),
            &[":4: model \"a\": source.path \"/no/such/place\" can't be read: /no/such/place: "],
        ),
        (
            files("source = { hf = \"org/name\", revision = \"main\" }\n"),
            &[":4: model \"a\": source.hf \"org/name\" can't be used: this version doesn't download from the Hub: "],
        ),
        (
            files("[model.source]\nrevision = \"main\"\npath = \"models/m\"\n"),
            &[":5: model \"a\": source.revision can't be used: this version doesn't download from the Hub"],
        ),
    ]);
}

#[test]
fn of_numbers_and_durations() {
    check(&[
        (
            free("queue = 0\n"),
            &[":4: model \"a\": queue is 0: give a number from 1 to 65536"],
        ),
        (
            free("queue = -1\n"),
            &[":4: model \"a\": queue is -1: give a number from 1 to 65536"],
        ),
        (
            free("threads = 1025\n"),
            &[":4: model \"a\": threads is 1025: give a number from 1 to 1024"],
        ),
        (
            free("threads = 1.5\n"),
            &[":4: model \"a\": threads is not right: invalid type: floating point"],
        ),
        (
            free("batch = { max = 0 }\n"),
            &[":4: model \"a\": batch.max is 0: give a number from 1 to 65536"],
        ),
        (
            free("[model.batch]\n\nmax = 70000\n"),
            &[":6: model \"a\": batch.max is 70000"],
        ),
        (
            free("batch = { wait = \"1x\" }\n"),
            &[":4: model \"a\": batch.wait \"1x\" is not a duration ("],
        ),
        (
            free("batch = { wait = \"11s\" }\n"),
            &[":4: model \"a\": batch.wait is longer than 10s"],
        ),
        (
            free("ttl = \"ten\"\n"),
            &[":4: model \"a\": ttl \"ten\" is not a duration ("],
        ),
        (
            free("ttl = 10\n"),
            &[":4: model \"a\": ttl is not right: invalid type: integer `10`, expected a string"],
        ),
        (
            free("ttl = \"0s\"\n"),
            &[":4: model \"a\": ttl is zero: give a longer duration, or leave ttl out"],
        ),
        (
            free("timeout = \"\"\n"),
            &[":4: model \"a\": timeout \"\" is not a duration ("],
        ),
        (free("timeout = \"0ms\"\n"), &[":4: model \"a\": timeout is zero"]),
    ]);
}

#[test]
fn of_options() {
    let sourced = |lines: &str| files(&format!("source.path = \"models/m\"\n{lines}"));
    check(&[
        (
            free("[model.options]\nx = 1\n"),
            &[":5: model \"a\": unknown option \"x\": plugin \"free\" takes no options"],
        ),
        (
            sourced("[model.options]\npool = \"cls\"\nx = 1\n"),
            &[":7: model \"a\": unknown option \"x\" of plugin \"files\" (expected one of pool, size)"],
        ),
        (
            sourced("options = { pool = 1979-05-27, size = [nan] }\n"),
            &[
                ":5: model \"a\": option \"pool\" holds a date or time, which JSON doesn't have; write text",
                ":5: model \"a\": option \"size\" holds nan or inf",
            ],
        ),
        (
            free("").replace("free", "strict"),
            &[":1: model \"a\": option \"url\" is missing: plugin \"strict\" needs it"],
        ),
        (
            free("[model.options]\n").replace("free", "strict"),
            &[":4: model \"a\": option \"url\" is missing"],
        ),
    ]);
}

#[test]
fn all_at_once_in_the_order_of_the_file() {
    let text = r#"speed = "high"
[[model]]
id      = "a"
plugin  = "lost"
queue   = 0
ttl     = "soon"
batch   = { max = 0, wait = "x" }

[[model]]
id      = "b"
aliases = ["a"]
plugin  = "files"
source  = { path = "nowhere" }
device  = ["cuda:0", "tpu"]
colour  = "red"
[model.options]
pool  = "mean"
speed = 11
"#;
    check(&[(
        text.into(),
        &[
            ":1: unknown key \"speed\"",
            ":4: model \"a\": plugin \"lost\" is not found",
            ":5: model \"a\": queue is 0",
            ":6: model \"a\": ttl \"soon\"",
            ":7: model \"a\": batch.max is 0",
            ":7: model \"a\": batch.wait \"x\"",
            ":11: model \"b\": alias \"a\" is taken by model \"a\" in line 3",
            ":13: model \"b\": source.path \"nowhere\" can't be read",
            ":14: model \"b\": device \"tpu\" is not a device",
            ":15: model \"b\": unknown key \"colour\"",
            ":18: model \"b\": unknown option \"speed\"",
        ],
    )]);
}
