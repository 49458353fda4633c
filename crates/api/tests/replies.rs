//! What clients are told when all is well: shapes, headers, and the quirks that they rely on.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{House, PNG};
use serde_json::{Value, json};

fn floats(value: &Value) -> Vec<f32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap() as f32)
        .collect()
}

fn vectors(reply: &Value) -> Vec<Vec<f32>> {
    reply["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| floats(&item["embedding"]))
        .collect()
}

fn norm(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>().sqrt()
}

#[tokio::test]
async fn all_ways_to_say_the_same_give_the_same_vector() {
    let house = House::new().await;
    let text = house
        .post("/v1/embeddings", &json!({"model": "stub", "input": "Hello world"}))
        .await;
    assert_eq!(text.status, 200, "{}", text.json());
    let expected = vectors(&text.json());
    for (body, name) in [
        (
            json!({"model": "text-embedding-3-small", "input": ["Hello world"]}),
            "alias, list",
        ),
        (json!({"model": "stub", "input": [9906, 1917]}), "cl100k"),
        (json!({"model": "stub", "input": [[9906, 1917]]}), "cl100k, list"),
        (json!({"model": "stub", "input": [{"text": "Hello world"}]}), "Jina"),
        (
            json!({"model": "stub", "input": [{"content": [{"type": "text", "text": "Hello world"}]}]}),
            "llama.cpp",
        ),
        (
            json!({"model": "stub", "messages": [{"role": "user", "content": "Hello world"}]}),
            "vLLM",
        ),
    ] {
        let reply = house.post("/v1/embeddings", &body).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.json());
        assert_eq!(vectors(&reply.json()), expected, "{name}");
        assert_eq!(reply.json()["model"], "stub", "{name}");
    }
    let uri = format!("data:image/png;base64,{PNG}");
    let image = house
        .post("/v1/embeddings", &json!({"model": "stub", "input": uri}))
        .await;
    assert_eq!(image.status, 200, "{}", image.json());
    let expected = vectors(&image.json());
    for (body, name) in [
        (
            json!({"model": "stub", "input": [uri], "modality": "image"}),
            "infinity",
        ),
        (
            json!({"model": "stub", "input": [PNG], "modality": "image"}),
            "infinity, base64",
        ),
        (json!({"model": "stub", "input": [{"image": PNG}]}), "Jina"),
        (
            json!({"model": "stub", "input": [{"content": [{"type": "image_url", "image_url": {"url": uri}}]}]}),
            "llama.cpp",
        ),
        (
            json!({"model": "stub", "messages": [{"content": [{"type": "image_url", "image_url": {"url": uri}}]}]}),
            "vLLM",
        ),
    ] {
        let reply = house.post("/v1/embeddings", &body).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.json());
        assert_eq!(vectors(&reply.json()), expected, "{name}");
    }
    let png = STANDARD.decode(PNG).unwrap();
    let mut form = b"--B\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nstub\r\n--B\r\ncontent-disposition: \
        form-data; name=\"image\"; filename=\"a.png\"\r\ncontent-type: image/png\r\n\r\n"
        .to_vec();
    form.extend_from_slice(&png);
    form.extend_from_slice(b"\r\n--B\r\ncontent-disposition: form-data; name=\"text\"\r\n\r\nHello world\r\n--B--\r\n");
    let reply = house
        .post_with(
            "/v1/embeddings",
            "content-type: multipart/form-data; boundary=B\r\n",
            &form,
        )
        .await;
    assert_eq!(reply.status, 200, "{}", reply.json());
    assert_eq!(vectors(&reply.json()), [expected, vectors(&text.json())].concat());
    house.close().await;
}

#[tokio::test]
async fn base64_equals_float_and_prefixes_are_unit_vectors() {
    let house = House::new().await;
    for dimensions in [None, Some(4), Some(8), Some(16)] {
        let body = |format: &str| json!({"model": "stub", "input": ["a", "b"], "encoding_format": format, "dimensions": dimensions});
        let floats = vectors(&house.post("/v1/embeddings", &body("float")).await.json());
        let base64 = house.post("/v1/embeddings", &body("base64")).await.json();
        let decoded: Vec<Vec<f32>> = base64["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| STANDARD.decode(item["embedding"].as_str().unwrap()).unwrap())
            .map(|bytes| {
                bytes
                    .chunks(4)
                    .map(|x| f32::from_le_bytes(x.try_into().unwrap()))
                    .collect()
            })
            .collect();
        assert_eq!(floats, decoded);
        assert!(floats.iter().all(|vector| vector.len() == dimensions.unwrap_or(16)));
        assert!(floats.iter().all(|vector| (norm(vector) - 1.0).abs() < 1e-5));
    }
    house.close().await;
}

#[tokio::test]
async fn headers_say_what_was_not_done() {
    let house = House::new().await;
    let body = json!({
        "model": "stub", "user": "u", "zeta": 1,
        "input": ["a", "a b c d e f g h i j", {"text": "a", "x": 1}]
    });
    let reply = house
        .post_with(
            "/v1/embeddings",
            "x-request-id: mine-1\r\n",
            body.to_string().as_bytes(),
        )
        .await;
    assert_eq!(reply.status, 200, "{}", reply.json());
    assert_eq!(reply.header("x-sensorium-ignored"), Some("input[].x, user, zeta"));
    assert_eq!(reply.header("x-sensorium-truncated"), Some("1"));
    assert_eq!(reply.header("x-request-id"), Some("mine-1"));
    let usage = reply.json()["usage"].clone();
    assert!(usage["prompt_tokens"].as_u64().unwrap() > 0);
    assert_eq!(usage["prompt_tokens"], usage["total_tokens"]);
    let plain = json!({"model": "stub", "input": "a"});
    let reply = house
        .post_with(
            "/v1/embeddings",
            "x-request-id: not sane\r\n",
            plain.to_string().as_bytes(),
        )
        .await;
    assert_eq!(
        (
            reply.header("x-sensorium-ignored"),
            reply.header("x-sensorium-truncated")
        ),
        (None, None)
    );
    assert_eq!(reply.header("x-request-id").map(str::len), Some(36));
    house.close().await;
}

#[tokio::test]
async fn classes_come_in_falling_order_by_the_models_rule() {
    let house = House::new().await;
    for (model, sums_to_one) in [("stub", true), ("org/any-width", false)] {
        let body = json!({
            "model": model,
            "input": ["red", {"image": PNG}],
            "labels": ["blue", "red", "green"],
        });
        let reply = house.post("/v1/classify", &body).await;
        assert_eq!(reply.status, 200, "{}", reply.json());
        let json = reply.json();
        assert_eq!(json["data"].as_array().unwrap().len(), 2);
        // The stub's vectors are hashes, so a text is like itself and nothing else.
        assert_eq!(json["data"][0]["prediction"], "red");
        for result in json["data"].as_array().unwrap() {
            let scores: Vec<f64> = result["predictions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["score"].as_f64().unwrap())
                .collect();
            assert_eq!(scores.len(), 3);
            assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
            assert_eq!(result["score"], result["predictions"][0]["score"]);
            assert_eq!(
                (scores.iter().sum::<f64>() - 1.0).abs() < 1e-4,
                sums_to_one,
                "{scores:?}"
            );
        }
    }
    let templated = json!({"model": "stub", "input": "a red thing", "labels": ["blue", "red"], "prompt_template": "a {label} thing"});
    assert_eq!(
        house.post("/v1/classify", &templated).await.json()["data"][0]["prediction"],
        "red"
    );
    let ensemble =
        json!({"model": "stub", "input": "a red thing", "labels": ["blue", "red"], "templates": ["a {} thing", "{}"]});
    assert_eq!(
        house.post("/v1/classify", &ensemble).await.json()["data"][0]["prediction"],
        "red"
    );
    house.close().await;
}

#[tokio::test]
async fn models_answer_to_ids_and_aliases() {
    let house = House::new().await;
    let list = house.get("/v1/models").await.json();
    let names: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["stub", "text-embedding-3-small", "org/any-width", "text-only", "slow"]
    );
    assert_eq!(list["data"][1]["root"], "stub");
    for (path, root) in [
        ("/v1/models/stub", "stub"),
        ("/v1/models/text-embedding-3-small", "stub"),
        ("/v1/models/org/any-width", "org/any-width"),
        ("/v1/models/org%2Fany-width", "org/any-width"),
    ] {
        let reply = house.get(path).await;
        assert_eq!(
            (reply.status, reply.json()["root"].as_str()),
            (200, Some(root)),
            "{path}"
        );
        assert_eq!(reply.json()["embedding"]["dimensions"], 16);
    }
    house.close().await;
}

#[tokio::test]
async fn operators_find_what_they_need() {
    let house = House::new().await;
    assert_eq!(house.get("/livez").await.json(), json!({"status": "ok"}));
    assert_eq!(house.get("/readyz").await.json()["status"], "ready");
    assert_eq!(house.get("/health").await.json()["version"], env!("CARGO_PKG_VERSION"));
    house
        .post(
            "/v1/embeddings",
            &json!({"model": "text-embedding-3-small", "input": {"text": "a"}}),
        )
        .await;
    house.get("/v1/nowhere/secret").await;
    let metrics = String::from_utf8(house.get("/metrics").await.body).unwrap();
    for line in [
        "sensorium_requests_total{model=\"stub\",route=\"/v1/embeddings\",status=\"200\"} 1",
        "sensorium_requests_total{model=\"\",route=\"unmatched\",status=\"404\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains("secret"));
    house.close().await;
}

#[tokio::test]
async fn the_documentation_comes_from_here_alone() {
    let house = House::new().await;
    let page = house.get("/docs").await;
    assert_eq!(page.status, 200);
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert!(!text.contains("http://") && !text.contains("https://"), "{text}");
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("http"),
        "{policy}"
    );
    let script = house.get("/docs/scalar.js").await;
    assert_eq!((script.status, script.header("content-encoding")), (200, Some("gzip")));
    assert!(script.body.starts_with(&[0x1f, 0x8b]));
    assert_eq!(house.get("/docs/start.js").await.status, 200);
    assert_eq!(house.get("/openapi.json").await.json()["info"]["title"], "Sensorium");
    assert_eq!(house.get("/").await.header("location"), Some("/docs"));
    let head = house
        .send("HEAD /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    house.close().await;
}
