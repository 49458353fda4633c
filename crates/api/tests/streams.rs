//! Streams: their events, what ends them, and what they cost when nobody reads them.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use common::events::Events;
use common::talk::{CHAT, COMPLETIONS, ask, ask_with};
use common::{House, PATIENCE};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const RUNNING: &str = "sensorium_requests_running";
const GENERATED: &str = "sensorium_generated_tokens_total";

fn objects(events: &[String]) -> Vec<Value> {
    let data = events.iter().filter_map(|event| event.strip_prefix("data: {"));
    data.map(|json| serde_json::from_str(&format!("{{{json}")).unwrap())
        .collect()
}

/// A stream of so many words.
fn long(model: &str, words: u32) -> Value {
    ask_with(model, &format!("stub:say:{words}"), json!({"stream": true}))
}

#[tokio::test]
async fn a_stream_is_the_reply_in_pieces() {
    let house = House::of_talkers().await;
    let more = json!({"seed": 3, "max_tokens": 9, "user": "u"});
    let whole = house.chat(&ask_with("talker", "Hello", more.clone())).await;
    let mut body = ask_with("talker", "Hello", more);
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true, "include_obfuscation": false});
    let mut stream = Events::open(&house, CHAT, &body).await;
    assert!(stream.head.starts_with("HTTP/1.1 200 OK\r\n"), "{}", stream.head);
    for (header, value) in [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-cache"),
        ("x-accel-buffering", "no"),
        ("x-sensorium-ignored", "stream_options.include_obfuscation, user"),
        ("transfer-encoding", "chunked"),
    ] {
        assert_eq!(stream.header(header), Some(value), "{}", stream.head);
    }
    assert!(stream.header("x-request-id").is_some() && stream.header("openai-processing-ms").is_some());
    let events = stream.rest().await;
    assert_eq!(events.last().map(String::as_str), Some("data: [DONE]\n\n"));
    assert!(stream.ended);
    let chunks = objects(&events);
    let (last, body) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    // The prompt was read before.
    let mut usage = whole["usage"].clone();
    usage["prompt_tokens_details"]["cached_tokens"] = json!(8);
    assert_eq!(last["usage"], usage);
    assert!(
        body.iter()
            .all(|chunk| chunk["usage"].is_null() && chunk.get("usage").is_some())
    );
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == chunks[0]["id"])
    );
    let delta = |chunk: &Value| chunk["choices"][0]["delta"].clone();
    assert_eq!(delta(&body[0]), json!({"role": "assistant", "content": ""}));
    assert_eq!(delta(&body[body.len() - 1]), json!({}));
    assert_eq!(body[body.len() - 1]["choices"][0]["finish_reason"], "length");
    let text: String = body
        .iter()
        .filter_map(|chunk| Some(delta(chunk)["content"].as_str()?.to_owned()))
        .collect();
    assert_eq!(text, whole["choices"][0]["message"]["content"].as_str().unwrap());
    assert_eq!(body.len(), 1 + 9 + 1, "token by token");
    house.close().await;
}

#[tokio::test]
async fn several_choices_share_a_stream() {
    let house = House::of_talkers().await;
    // The second model takes one at a time: the others begin when the first is done.
    for model in ["talker", "narrow"] {
        let more = json!({"seed": 3, "n": 3, "max_tokens": 40});
        let whole = house.chat(&ask_with(model, "Hello", more.clone())).await;
        let mut body = ask_with(model, "Hello", more);
        body["stream"] = json!(true);
        let events = Events::open(&house, CHAT, &body).await.rest().await;
        let mut texts = vec![String::new(); 3];
        let mut ends = 0;
        for chunk in objects(&events) {
            let choice = &chunk["choices"][0];
            let index = choice["index"].as_u64().unwrap() as usize;
            texts[index].push_str(choice["delta"]["content"].as_str().unwrap_or_default());
            ends += usize::from(!choice["finish_reason"].is_null());
            assert!(chunk.get("usage").is_none());
        }
        assert_eq!(ends, 3);
        for (index, text) in texts.iter().enumerate() {
            assert_eq!(whole["choices"][index]["message"]["content"], json!(text), "{model}");
        }
    }
    house.close().await;
}

#[tokio::test]
async fn calls_and_log_probabilities_are_streamed() {
    let house = House::of_talkers().await;
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    let tools = json!({"tools": [tool("look"), tool("count")], "stream": true});
    let events = Events::open(&house, CHAT, &ask_with("talker", "look and count", tools))
        .await
        .rest()
        .await;
    let chunks = objects(&events);
    let calls: Vec<&Value> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0])
        .collect();
    let names: Vec<(u64, &str)> = calls
        .iter()
        .filter_map(|call| Some((call["index"].as_u64()?, call["function"]["name"].as_str()?)))
        .collect();
    assert_eq!(names, [(0, "look"), (1, "count")]);
    assert_eq!(chunks[chunks.len() - 1]["choices"][0]["finish_reason"], "tool_calls");
    let told = json!({"logprobs": true, "top_logprobs": 1, "stream": true});
    let events = Events::open(&house, CHAT, &ask_with("echo", "one two", told))
        .await
        .rest()
        .await;
    let tokens: Vec<String> = objects(&events)
        .iter()
        .filter_map(|chunk| {
            chunk["choices"][0]["logprobs"]["content"][0]["token"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(tokens, ["one ", "two"]);
    house.close().await;
}

#[tokio::test]
async fn an_error_inside_a_stream_is_its_last_event() {
    let house = House::of_talkers().await;
    for (text, code, kind) in [
        ("stub:error:model@3", "model_error", "server_error"),
        ("stub:die:SIGKILL@3", "model_crashed", "server_error"),
    ] {
        let mut stream = Events::open(&house, CHAT, &ask_with("talker", text, json!({"stream": true}))).await;
        assert!(stream.head.starts_with("HTTP/1.1 200"), "{}", stream.head);
        let events = stream.rest().await;
        assert!(!events.iter().any(|event| event.contains("[DONE]")), "{events:?}");
        let chunks = objects(&events);
        let error = chunks[chunks.len() - 1]["error"].as_object().unwrap();
        assert_eq!(error.len(), 4);
        assert_eq!((&error["code"], &error["type"]), (&json!(code), &json!(kind)));
        assert!(stream.ended, "the connection is as good as before");
    }
    // Before the first event it is an ordinary error.
    let reply = house
        .post(CHAT, &ask_with("talker", "stub:error:model", json!({"stream": true})))
        .await;
    assert_eq!((reply.status, reply.error("code").as_str()), (500, "model_error"));
    house.close().await;
}

#[tokio::test]
async fn a_deadline_ends_a_stream() {
    let house = House::of_talkers_with(|config| config.chat_timeout = Duration::from_secs(1)).await;
    // The model is loaded first.
    let patient = "x-sensorium-timeout-ms: 60000\r\n";
    let warm_up = house
        .post_with(CHAT, patient, ask("slow", "Hello").to_string().as_bytes())
        .await;
    assert_eq!(warm_up.status, 200);
    let mut stream = Events::open(&house, CHAT, &long("slow", 4000)).await;
    let events = stream.rest().await;
    let last = objects(&events).pop().unwrap();
    assert_eq!(last["error"]["code"], "deadline_exceeded", "{last}");
    house.until(RUNNING, "model=\"slow\"", |running| running == 0.0).await;
    house.close().await;
}

#[tokio::test]
async fn silence_is_filled_with_comments() {
    let house = House::of_talkers_with(|config| config.stream_keep_alive = Duration::from_millis(50)).await;
    let body = ask_with("talker", "stub:sleep:1s@2", json!({"stream": true}));
    let events = Events::open(&house, CHAT, &body).await.rest().await;
    let comments = events.iter().filter(|event| *event == ": keep-alive\n\n").count();
    assert!(comments >= 1, "{events:?}");
    assert_eq!(objects(&events).len(), 1 + 16 + 1);
    assert_eq!(events.last().map(String::as_str), Some("data: [DONE]\n\n"));
    house.close().await;
}

#[tokio::test]
async fn what_a_call_is_made_of_says_nothing_but_keeps_awake() {
    let house = House::of_talkers_with(|config| config.stream_keep_alive = Duration::from_millis(30)).await;
    let schema = json!({"type": "object", "properties": {"a": {"const": "x".repeat(300)}}, "required": ["a"]});
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": schema}}]);
    let body = ask_with("slow", "f", json!({"tools": tools, "stream": true}));
    let events = Events::open(&house, CHAT, &body).await.rest().await;
    assert!(events.iter().any(|event| event.starts_with(": ")), "{events:?}");
    assert_eq!(objects(&events).len(), 3);
    house.close().await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_work() {
    let house = House::of_talkers().await;
    for (body, read) in [
        (long("slow", 4000), 3),
        (ask_with("slow", "stub:say:4000", json!({"stream": true, "n": 4})), 1),
    ] {
        let mut stream = Events::open(&house, CHAT, &body).await;
        for _ in 0..read {
            stream.next().await.unwrap();
        }
        house.until(RUNNING, "model=\"slow\"", |running| running > 0.0).await;
        drop(stream);
        house.until(RUNNING, "model=\"slow\"", |running| running == 0.0).await;
    }
    // So does one that waits for a whole reply, and one that only stops sending.
    for half in [false, true] {
        let mut socket = tokio::net::TcpStream::connect(house.address).await.unwrap();
        let body = ask("slow", "stub:say:4000").to_string();
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(body.as_bytes()).await.unwrap();
        house.until(RUNNING, "model=\"slow\"", |running| running > 0.0).await;
        if half {
            socket.shutdown().await.unwrap();
        } else {
            drop(socket);
        }
        house.until(RUNNING, "model=\"slow\"", |running| running == 0.0).await;
    }
    let made = house.metric(GENERATED, "model=\"slow\"").await;
    let reply = house.chat(&ask("slow", "Hello")).await;
    let more = reply["usage"]["completion_tokens"].as_f64().unwrap();
    assert_eq!(
        house.metric(GENERATED, "model=\"slow\"").await,
        made + more,
        "no token came after"
    );
    house
        .until("sensorium_requests_total", "status=\"499\"", |left| left == 4.0)
        .await;
    house.close().await;
}

#[tokio::test]
async fn a_stream_that_nobody_reads_stalls_and_is_let_go() {
    let house = House::of_talkers_with(|config| config.write_timeout = Duration::from_secs(2)).await;
    let body = ask_with(
        "talker",
        "stub:say:3000",
        json!({"stream": true, "n": 32, "logprobs": true, "top_logprobs": 20}),
    );
    let mut deaf = Events::open(&house, CHAT, &body).await;
    let read = tokio::time::timeout(PATIENCE, deaf.next()).await.unwrap();
    assert!(read.is_some());
    // Others are answered meanwhile.
    house.until(RUNNING, "model=\"talker\"", |running| running >= 1.0).await;
    let reply = house.chat(&ask_with("talker", "Hello", json!({"max_tokens": 2}))).await;
    assert_eq!(reply["usage"]["completion_tokens"], 2);
    house.until(RUNNING, "model=\"talker\"", |running| running == 0.0).await;
    let made = house.metric(GENERATED, "model=\"talker\"").await;
    println!("{made} tokens were made");
    assert!(made < 32.0 * 3000.0, "it was not made: {made}");
    drop(deaf);
    house.close().await;
}

#[tokio::test]
async fn streams_finish_while_the_server_drains() {
    let house = House::of_talkers().await;
    let mut stream = Events::open(&house, CHAT, &long("slow", 150)).await;
    stream.next().await.unwrap();
    let stopper = house.stopper.clone();
    let stopping = tokio::spawn(async move { stopper.stop().await });
    while house.get("/readyz").await.status != 503 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let refused = house.post(CHAT, &ask("talker", "Hello")).await;
    assert_eq!(
        (refused.status, refused.error("code").as_str()),
        (503, "server_draining")
    );
    let events = stream.rest().await;
    assert_eq!(events.last().map(String::as_str), Some("data: [DONE]\n\n"));
    assert!(stopping.await.unwrap(), "everything finished in time");
    house.close().await;
}

#[tokio::test]
async fn a_connection_serves_again_after_a_stream() {
    let house = House::of_talkers_with(|config| config.head_timeout = Duration::from_secs(2)).await;
    let mut stream = Events::open(&house, CHAT, &long("slow", 150)).await;
    // The next request may be sent while the stream lasts, for longer than a head may take.
    let next = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.socket().write_all(next).await.unwrap();
    let events = stream.rest().await;
    assert_eq!(events.last().map(String::as_str), Some("data: [DONE]\n\n"));
    let mut rest = String::new();
    tokio::time::timeout(PATIENCE, stream.socket().read_to_string(&mut rest))
        .await
        .unwrap()
        .unwrap();
    let rest = format!("{}{rest}", stream.left());
    assert!(rest.starts_with("HTTP/1.1 200"), "{rest}");
    house.close().await;
}

#[tokio::test]
async fn completions_stream_too() {
    let house = House::of_talkers().await;
    let body = json!({
        "model": "talker", "prompt": ["one", "two"], "n": 2, "max_tokens": 3, "seed": 1, "echo": true, "stream": true,
        "stream_options": {"include_usage": true}
    });
    let events = Events::open(&house, COMPLETIONS, &body).await.rest().await;
    assert_eq!(events.last().map(String::as_str), Some("data: [DONE]\n\n"));
    let chunks = objects(&events);
    let mut texts = vec![String::new(); 4];
    for chunk in &chunks[..chunks.len() - 1] {
        let choice = &chunk["choices"][0];
        assert_eq!(chunk["object"], "text_completion");
        texts[choice["index"].as_u64().unwrap() as usize].push_str(choice["text"].as_str().unwrap());
    }
    assert_eq!(chunks[chunks.len() - 1]["usage"]["completion_tokens"], 12);
    let mut whole = body;
    whole["stream"] = json!(false);
    whole["stream_options"] = json!(null);
    let whole = house.post(COMPLETIONS, &whole).await.json();
    for (index, text) in texts.iter().enumerate() {
        assert_eq!(whole["choices"][index]["text"], json!(text));
        assert!(text.starts_with(["one", "two"][index / 2]), "{text}");
    }
    house.close().await;
}
