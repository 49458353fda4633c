//! `openapi/openapi.json` is what the handlers' annotations say, and the parsers take every
//! field that it documents. `UPDATE_GOLDEN=1` writes the file anew.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use serde_json::Value;

#[test]
fn the_golden_file_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../openapi/openapi.json");
    let made = sensorium_api::openapi_json();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == made,
        "openapi/openapi.json is not what the handlers say: run the test with UPDATE_GOLDEN=1"
    );
}

#[test]
fn everything_is_described() {
    let document: Value = serde_json::from_str(sensorium_api::openapi_json()).unwrap();
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            for key in ["summary", "description", "operationId", "tags", "responses"] {
                assert!(!operation[key].is_null(), "{method} {path} has no {key}");
            }
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for (property, described) in schema["properties"].as_object().into_iter().flatten() {
            assert!(
                described.to_string().contains("\"description\""),
                "{name}.{property} has no description"
            );
        }
    }
}
