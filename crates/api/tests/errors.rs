//! What is wrong with a request, and what the client is told: status, `param`, `code`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{House, PATIENCE, PNG, Reply, read, read_one};
use sensorium_media::MediaConfig;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Every reply, whatever happened, is named and timed; every error has OpenAI's shape.
fn check_shape(what: &str, reply: &Reply) {
    assert!(
        reply.header("x-request-id").is_some_and(|id| !id.is_empty()),
        "{what}: {reply:?}"
    );
    assert!(
        reply
            .header("openai-processing-ms")
            .is_some_and(|ms| ms.parse::<u64>().is_ok()),
        "{what}: {reply:?}"
    );
    if reply.status >= 400 && reply.header("content-type") == Some("application/json") {
        let body = reply.json();
        let keys: Vec<_> = body["error"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys.len(), 4, "{what}: {body}");
        for key in ["message", "type", "param", "code"] {
            assert!(keys.iter().any(|found| found == key), "{what}: {body}");
        }
        assert!(!reply.error("message").is_empty(), "{what}");
    }
}

#[tokio::test]
async fn bodies_that_are_refused() {
    let house = House::new().await;
    let embeddings = "/v1/embeddings";
    let classify = "/v1/classify";
    let rows: Vec<(&str, Value, u16, &str, &str)> = vec![
        (embeddings, json!({}), 400, "model", "missing_required_parameter"),
        (
            embeddings,
            json!({"model": "stub"}),
            400,
            "input",
            "missing_required_parameter",
        ),
        (
            embeddings,
            json!({"model": "none", "input": "a"}),
            404,
            "model",
            "model_not_found",
        ),
        (
            embeddings,
            json!({"model": "stub", "input": ""}),
            400,
            "input",
            "invalid_value",
        ),
        (
            embeddings,
            json!({"model": "stub", "input": []}),
            400,
            "input",
            "invalid_value",
        ),
        (
            embeddings,
            json!({"model": "stub", "input": vec!["a"; 2049]}),
            400,
            "input",
            "invalid_value",
        ),
        (
            embeddings,
            json!({"model": "stub", "input": ["a", {}]}),
            400,
            "input[1]",
            "invalid_value",
        ),
        (
            embeddings,
            json!({"model": "stub", "input": "a", "dimensions": 5}),
            400,
            "dimensions",
            "invalid_value",
        ),
        (
            embeddings,
            json!({"model": "text-only", "input": {"image": PNG}}),
            400,
            "input",
            "invalid_value",
        ),
        (
            embeddings,
            json!({"model": "stub", "input": [{"image": "!!"}]}),
            400,
            "input[0]",
            "invalid_image",
        ),
        (
            embeddings,
            json!({"model": "stub", "input": [{"image": "http://127.0.0.1/x"}]}),
            400,
            "input[0]",
            "image_url_blocked",
        ),
        (
            embeddings,
            json!({"model": "stub", "input": ["a", {"image": "aGVsbG8gd29ybGQhISEh"}]}),
            400,
            "input[1]",
            "unsupported_image_format",
        ),
        (
            embeddings,
            json!({"model": "stub", "input": [[1, 4_000_000_000_u32]]}),
            400,
            "input[0]",
            "invalid_value",
        ),
        (
            embeddings,
            json!({"model": "text-only", "input": [1, 2]}),
            400,
            "input",
            "invalid_value",
        ),
        (
            embeddings,
            json!({"model": "stub", "input": "a", "task": "x"}),
            400,
            "task",
            "unsupported_parameter",
        ),
        (
            embeddings,
            json!({"model": "stub", "input": ["a", "a b c d e f g h i j"], "truncate": false}),
            400,
            "input[1]",
            "context_length_exceeded",
        ),
        (
            embeddings,
            json!({"model": "org/any-width", "input": "a b c d e f g h i j"}),
            400,
            "input",
            "context_length_exceeded",
        ),
        (
            classify,
            json!({"model": "stub", "input": "a"}),
            400,
            "labels",
            "missing_required_parameter",
        ),
        (
            classify,
            json!({"model": "stub", "input": "a", "labels": ["a", "a"]}),
            400,
            "labels[1]",
            "invalid_value",
        ),
        (
            classify,
            json!({"model": "none", "input": "a", "labels": ["a"]}),
            404,
            "model",
            "model_not_found",
        ),
        (
            classify,
            json!({"model": "stub", "input": "a", "labels": ["a", "b c d e f g h i j k"], "truncate": false}),
            400,
            "labels[1]",
            "context_length_exceeded",
        ),
    ];
    for (path, body, status, param, code) in rows {
        let reply = house.post(path, &body).await;
        let shown: String = body.to_string().chars().take(120).collect();
        check_shape(&shown, &reply);
        assert_eq!(
            (
                reply.status,
                reply.error("param").as_str(),
                reply.error("code").as_str()
            ),
            (status, param, code),
            "{shown}: {}",
            reply.json()
        );
    }
    house.close().await;
}

#[tokio::test]
async fn requests_that_are_refused() {
    let house = House::with(|config| {
        config.max_body = 1000;
        config.body_budget = 1 << 20;
    })
    .await;
    let chunked = "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let rows: Vec<(&str, String, u16, &str)> = vec![
        ("no route", "GET /v1/nowhere HTTP/1.1\r\nhost: x\r\n\r\n".into(), 404, "unknown_url"),
        ("wrong method", "GET /v1/embeddings HTTP/1.1\r\nhost: x\r\n\r\n".into(), 405, "method_not_allowed"),
        ("wrong method", "DELETE /v1/models HTTP/1.1\r\nhost: x\r\n\r\n".into(), 405, "method_not_allowed"),
        ("wrong method", "PATCH /livez HTTP/1.1\r\nhost: x\r\n\r\n".into(), 405, "method_not_allowed"),
        ("no model", "GET /v1/models/none HTTP/1.1\r\nhost: x\r\n\r\n".into(), 404, "model_not_found"),
        ("too large", "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n".into(), 413, "body_too_large"),
        ("too large in chunks", format!("{chunked}3e9\r\n{}\r\n0\r\n\r\n", "a".repeat(1001)), 413, "body_too_large"),
        ("bad chunk", format!("{chunked}zz\r\n"), 400, ""),
        ("compressed", "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n".into(), 415, "unsupported_content_encoding"),
        ("empty", "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".into(), 400, "invalid_body"),
        ("no JSON", "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n{a}".into(), 400, "invalid_body"),
        ("form without boundary", "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data\r\ncontent-length: 3\r\n\r\nabc".into(), 400, "invalid_body"),
        ("not HTTP", "HELLO\r\n\r\n".into(), 400, "malformed_request"),
        ("bad version", "GET / HTTP/9.9\r\n\r\n".into(), 400, "malformed_request"),
        ("bad length", "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".into(), 400, "malformed_request"),
        ("huge head", format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(200_000)), 431, "head_too_large"),
    ];
    for (what, bytes, status, code) in rows {
        let reply = house.send(&bytes).await;
        check_shape(what, &reply);
        assert_eq!(reply.status, status, "{what}: {reply:?}");
        if !code.is_empty() {
            assert_eq!(reply.error("code"), code, "{what}");
        }
        if status == 405 {
            assert!(reply.header("allow").is_some(), "{what}");
        }
    }
    house.close().await;
}

#[tokio::test]
async fn json_bombs_are_refused() {
    let house = House::new().await;
    let deep = format!("{{\"model\":\"stub\",\"input\":{}", "[".repeat(1 << 20));
    for body in [deep, "[".repeat(1 << 20), "{\"a\":".repeat(1 << 18)] {
        let reply = house.post_with("/v1/embeddings", "", body.as_bytes()).await;
        check_shape("bomb", &reply);
        assert_eq!((reply.status, reply.error("code").as_str()), (400, "invalid_body"));
    }
    house.close().await;
}

#[tokio::test]
async fn bodies_of_too_many_values_are_refused() {
    let house = House::with(|config| config.limits.values = 100_000).await;
    let ids = |count| {
        let ids = "264,".repeat(count);
        format!("{{\"model\":\"stub\",\"truncate\":false,\"input\":[{ids}264]}}")
    };
    // Too many; and just few enough, though so long that another thread parses them.
    for (body, code) in [(ids(100_000), "invalid_body"), (ids(99_990), "context_length_exceeded")] {
        let reply = house.post_with("/v1/embeddings", "", body.as_bytes()).await;
        check_shape("values", &reply);
        assert_eq!(
            (reply.status, reply.error("code").as_str()),
            (400, code),
            "{}",
            reply.json()
        );
    }
    house.close().await;
}

#[tokio::test]
async fn images_that_become_too_many_pixels_are_refused() {
    let media = MediaConfig {
        max_sized_bytes: 1 << 20,
        ..MediaConfig::default()
    };
    let house = House::with_media(|_| {}, media).await;
    let images = |count| json!({"model": "stub", "input": vec![json!({"image": PNG}); count]});
    let labelled = |count| {
        let mut body = images(count);
        body["labels"] = json!(["a", "b"]);
        body
    };
    for (path, few, many) in [
        ("/v1/embeddings", images(2), images(2048)),
        ("/v1/classify", labelled(2), labelled(2048)),
    ] {
        let refused = house.post(path, &many).await;
        check_shape("pixels", &refused);
        assert_eq!(
            (
                refused.status,
                refused.error("param").as_str(),
                refused.error("code").as_str()
            ),
            (400, "input", "image_too_large")
        );
        assert_eq!(house.post(path, &few).await.status, 200);
    }
    house.close().await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_let_go() {
    let house = House::with(|config| config.write_timeout = std::time::Duration::from_millis(200)).await;
    let mut deaf = TcpStream::connect(house.address).await.unwrap();
    let asking = async {
        let request = b"GET /docs/scalar.js HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
        while deaf.write_all(&request).await.is_ok() {}
    };
    // Only the end of the connection ends this.
    tokio::time::timeout(PATIENCE, asking)
        .await
        .expect("the connection is closed");
    assert_eq!(house.get("/livez").await.status, 200);
    house.close().await;
}

#[tokio::test]
async fn slow_heads_and_bodies_are_cut_off() {
    let house = House::with(|config| {
        // Not less: actix counts from a clock that it reads twice a second.
        config.head_timeout = std::time::Duration::from_secs(2);
        config.body_grace = std::time::Duration::from_millis(300);
    })
    .await;
    for (bytes, code) in [
        ("GET /livez HTT", "head_timeout"),
        (
            "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
            "body_timeout",
        ),
        (
            "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
            "body_timeout",
        ),
    ] {
        let reply = house.send(bytes).await;
        check_shape(code, &reply);
        assert_eq!((reply.status, reply.error("code").as_str()), (408, code));
    }
    let mut second = TcpStream::connect(house.address).await.unwrap();
    second
        .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let first = read_one(&mut second).await;
    assert_eq!(first.status, 200);
    second.write_all(b"GET /livez HTT").await.unwrap();
    let late = read(second).await;
    check_shape("second head", &late);
    assert_eq!((late.status, late.error("code").as_str()), (408, "head_timeout"));
    house.close().await;
}

#[tokio::test]
async fn bodies_share_a_budget() {
    let house = House::with(|config| {
        config.max_body = 1 << 20;
        config.body_budget = 1 << 20;
    })
    .await;
    let head = format!(
        "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{{",
        1 << 20
    );
    let body = json!({"model": "stub", "input": "a"});
    // A holder that comes while another body is being read is itself refused: then another tries.
    let holding = async {
        loop {
            let mut holder = TcpStream::connect(house.address).await.unwrap();
            holder.write_all(head.as_bytes()).await.unwrap();
            let reply = house.post("/v1/embeddings", &body).await;
            if reply.status != 200 {
                break (holder, reply);
            }
        }
    };
    let (holder, refused) = tokio::time::timeout(PATIENCE, holding)
        .await
        .expect("nobody was refused");
    check_shape("budget", &refused);
    assert_eq!(
        (refused.status, refused.error("code").as_str()),
        (429, "body_budget_full")
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("retry-after-ms"), Some("1000"));
    drop(holder);
    let freed = async { while house.post("/v1/embeddings", &body).await.status != 200 {} };
    tokio::time::timeout(PATIENCE, freed)
        .await
        .expect("the budget was not given back");
    house.close().await;
}

#[tokio::test]
async fn full_queues_and_passed_deadlines() {
    let house = House::new().await;
    let body = json!({"model": "slow", "input": "a"});
    while house.post("/v1/embeddings", &body).await.status != 200 {}
    let late = house
        .post_with(
            "/v1/embeddings",
            "x-sensorium-timeout-ms: 50\r\n",
            body.to_string().as_bytes(),
        )
        .await;
    check_shape("deadline", &late);
    assert_eq!((late.status, late.error("code").as_str()), (504, "deadline_exceeded"));
    for value in ["0", "-1", "x", "99999999999"] {
        let header = format!("x-sensorium-timeout-ms: {value}\r\n");
        let reply = house
            .post_with("/v1/embeddings", &header, body.to_string().as_bytes())
            .await;
        assert_eq!(
            (reply.status, reply.error("param").as_str()),
            (400, "x-sensorium-timeout-ms")
        );
    }
    let replies = futures::future::join_all((0..8).map(|_| house.post("/v1/embeddings", &body))).await;
    assert!(replies.iter().any(|reply| reply.status == 200));
    let full = replies
        .iter()
        .find(|reply| reply.status == 429)
        .expect("one slot, eight requests");
    check_shape("queue", full);
    assert_eq!(full.error("code"), "queue_full");
    assert!(
        full.header("retry-after")
            .is_some_and(|after| after.parse::<u64>().unwrap() >= 1)
    );
    house.close().await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_slot() {
    let house = House::new().await;
    let body = json!({"model": "slow", "input": "warm"});
    while house.post("/v1/embeddings", &body).await.status != 200 {}
    for _ in 0..5 {
        let mut gone = TcpStream::connect(house.address).await.unwrap();
        let text = body.to_string();
        let head = format!(
            "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        gone.write_all(head.as_bytes()).await.unwrap();
        drop(gone);
    }
    let reply = loop {
        let reply = house.post("/v1/embeddings", &body).await;
        if reply.status != 429 {
            break reply;
        }
    };
    assert_eq!(reply.status, 200);
    house.close().await;
}

#[tokio::test]
async fn stopping_refuses_new_work_and_finishes_old() {
    let house = House::new().await;
    let body = json!({"model": "slow", "input": "a"});
    while house.post("/v1/embeddings", &body).await.status != 200 {}
    let mut under_way = TcpStream::connect(house.address).await.unwrap();
    let text = body.to_string();
    let head = format!(
        "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    under_way.write_all(head.as_bytes()).await.unwrap();
    while house.get("/health").await.json()["requests_running"] != 1 {}
    let stopper = house.stopper.clone();
    let stopping = tokio::spawn(async move { stopper.stop().await });
    let ready = loop {
        let reply = house.get("/readyz").await;
        if reply.status != 200 {
            break reply;
        }
    };
    assert_eq!((ready.status, ready.json()["status"].as_str()), (503, Some("draining")));
    let refused = house.post("/v1/embeddings", &body).await;
    check_shape("draining", &refused);
    assert_eq!(
        (refused.status, refused.error("code").as_str()),
        (503, "server_draining")
    );
    assert_eq!(read(under_way).await.status, 200);
    assert!(stopping.await.unwrap());
    house.engine.shutdown().await;
    house.serving.await.unwrap().unwrap();
}
