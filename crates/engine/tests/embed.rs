//! Requests on their way through a healthy engine: order, splitting, batches, slots, cache, cancellation.

mod common;

use std::time::Duration;

use common::{House, context, context_within, embed, eventually, image, impatient, within};
use sensorium_engine::{CancellationToken, EmbedInput, Error, ItemErrorCode, Owner, RequestContext, Task};

const STUB: &str = r#"
[[model]]
id = "stub"
aliases = ["other-name"]
plugin = "stub"
device = "cpu"
options = { allow_misbehaviour = true }
"#;

fn with(lines: &str) -> String {
    STUB.replace("device = \"cpu\"", &format!("device = \"cpu\"\n{lines}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_come_in_the_order_of_their_inputs_whatever_their_kind() {
    let house = House::new(STUB).await;
    let alone_text = house.embed("stub", &["a"]).await.unwrap().remove(0);
    let alone_image = embed(&house.engine, "stub", vec![image(32, 7)])
        .await
        .unwrap()
        .remove(0);
    let inputs = vec![
        image(32, 7),
        EmbedInput::text("a", true),
        image(32, 8),
        EmbedInput::text("b", true),
        image(32, 7),
    ];
    let mixed = embed(&house.engine, "other-name", inputs).await.unwrap();
    assert_eq!(mixed.len(), 5);
    assert_eq!(
        (&mixed[0], &mixed[1], &mixed[4]),
        (&alone_image, &alone_text, &alone_image)
    );
    assert_ne!(mixed[2], mixed[0]);
    assert_ne!(mixed[3], mixed[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_larger_than_a_batch_is_split_and_put_together_again() {
    let house = House::new(&with("batch = { max = 4 }")).await;
    let texts: Vec<String> = (0..10).map(|n| format!("text {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = house.embed("stub", &texts).await.unwrap();
    assert_eq!(house.calls("stub"), 3.0, "10 items in batches of at most 4");
    for (text, embedding) in texts.iter().zip(together) {
        assert_eq!(house.embed("stub", &[text]).await.unwrap()[0], embedding, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_while_the_instance_computes_becomes_one_batch() {
    let house = House::new(STUB).await;
    house.embed("stub", &["load"]).await.unwrap();
    let before = house.calls("stub");
    let busy = house.occupy("stub", "stub:sleep:500ms").await;
    let results = house.embed_each("stub", (0..20).map(|n| format!("text {n}"))).await;
    assert!(results.iter().all(Result::is_ok));
    busy.await.unwrap().unwrap();
    let calls = house.calls("stub") - before;
    // The one that sleeps, and the 20 in one batch; more only if starting them took longer than the sleep.
    assert!(calls < 10.0, "{calls} calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_counted_as_waiting_or_running_or_neither() {
    let house = House::new(STUB).await;
    house.embed("stub", &["load"]).await.unwrap();
    let counts = || {
        let of = |name: &str| house.metric(&format!("sensorium_requests_{name}"), "stub");
        (of("waiting"), of("running"))
    };
    assert_eq!(counts(), (0.0, 0.0), "it has been answered");
    let _admitted = house.engine.admit("stub", context()).await.unwrap();
    assert_eq!(counts(), (0.0, 0.0), "it has asked for nothing yet");
    let busy = house.occupy("stub", "stub:sleep:10s").await;
    assert_eq!(counts(), (0.0, 1.0), "it computes");
    let waits = tokio::spawn({
        let engine = house.engine.clone();
        async move { embed(&engine, "stub", vec![EmbedInput::text("waits", true)]).await }
    });
    eventually("one computes and one waits", || counts() == (1.0, 1.0)).await;
    busy.abort();
    within(waits).await.unwrap().unwrap();
    eventually("none is left", || counts() == (0.0, 0.0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_not_full_waits_for_others_where_the_registry_says_so() {
    let house = House::new(&with("batch = { max = 8, wait = \"10s\" }")).await;
    let results = house.embed_each("stub", (0..8).map(|n| format!("text {n}"))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(house.calls("stub"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once_and_says_when_to_come_again() {
    let house = House::new(&with("queue = 2")).await;
    let first = house.engine.admit("stub", context()).await.unwrap();
    let _second = house.engine.admit("stub", context()).await.unwrap();
    match house.engine.admit("stub", context()).await {
        Err(Error::QueueFull { model, retry_after }) => {
            assert_eq!(model, "stub");
            assert!((1..=30).contains(&retry_after.as_secs()), "{retry_after:?}");
        }
        other => panic!("{:?}", other.map(|_| "admitted")),
    }
    drop(first);
    house.engine.admit("stub", context()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_what_is_wrong() {
    let house =
        House::new(&with("").replace("allow_misbehaviour", "modalities = [\"text\"], allow_misbehaviour")).await;
    let refused = |model: &'static str, inputs| embed(&house.engine, model, inputs);
    assert_eq!(
        refused("nobody", vec![]).await.unwrap_err(),
        Error::ModelNotFound { model: "nobody".into() }
    );
    let chat = RequestContext {
        task: Task::Chat,
        ..context()
    };
    let error = house.engine.admit("stub", chat).await.map(|_| ()).unwrap_err();
    assert_eq!(
        error,
        Error::TaskUnsupported {
            model: "stub".into(),
            task: Task::Chat
        }
    );
    let Err(Error::Item { index: 1, error }) = refused("stub", vec![EmbedInput::text("a", true), image(32, 0)]).await
    else {
        panic!("an image for a model that reads none")
    };
    assert_eq!(error.code, ItemErrorCode::InvalidInput);
    let long = "word ".repeat(100);
    let inputs = vec![
        EmbedInput::text("a", true),
        EmbedInput::text("b", true),
        EmbedInput::text(long, false),
    ];
    let Err(Error::Item { index: 2, error }) = refused("stub", inputs).await else {
        panic!("a text that is too long")
    };
    assert_eq!(error.code, ItemErrorCode::ContextLength);
    assert_eq!(refused("stub", vec![]).await.unwrap(), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_a_whole_batch_hurts_only_the_request_that_caused_it() {
    let house = House::new(STUB).await;
    house.embed("stub", &["load"]).await.unwrap();
    for (bad, is_expected) in [
        (
            "stub:error:caller",
            (|error| matches!(error, Error::Caller { .. })) as fn(&Error) -> bool,
        ),
        ("stub:error:model", |error| matches!(error, Error::Model { .. })),
        ("stub:error:item", |error| matches!(error, Error::Item { index: 0, .. })),
    ] {
        let busy = house.occupy("stub", "stub:sleep:200ms").await;
        let texts = (0..10).map(|n| if n == 5 { bad.to_owned() } else { format!("text {n}") });
        let results = house.embed_each("stub", texts).await;
        busy.await.unwrap().unwrap();
        for (n, result) in results.iter().enumerate() {
            match result {
                Ok(_) => assert_ne!(n, 5),
                Err(error) => assert!(n == 5 && is_expected(error), "{bad}: request {n}: {error:?}"),
            }
        }
    }
    assert_eq!(
        house.metric("sensorium_instance_restarts_total", "stub"),
        0.0,
        "none of these was the instance's fault"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_nobody_waits_for_are_never_sent() {
    let house = House::new(STUB).await;
    house.embed("stub", &["load"]).await.unwrap();
    let busy = house.occupy("stub", "stub:sleep:10s").await;
    let before = house.metric("sensorium_batch_size_sum", "stub");
    // One whose client goes away, one whose deadline passes, one whose future is dropped.
    let cancel = CancellationToken::new();
    let gone = house
        .engine
        .admit(
            "stub",
            RequestContext {
                cancel: cancel.clone(),
                ..context()
            },
        )
        .await
        .unwrap();
    let late = house
        .engine
        .admit("stub", context_within(Duration::from_millis(50)))
        .await
        .unwrap();
    let text = |text: &str| vec![EmbedInput::text(text, true)];
    cancel.cancel();
    assert_eq!(gone.embed(text("gone")).await.unwrap_err(), Error::Cancelled);
    assert_eq!(late.embed(text("late")).await.unwrap_err(), Error::Deadline);
    let dropped = tokio::spawn({
        let engine = house.engine.clone();
        async move { embed(&engine, "stub", vec![EmbedInput::text("dropped", true)]).await }
    });
    eventually("it waits", || house.metric("sensorium_requests_waiting", "stub") == 1.0).await;
    dropped.abort();
    eventually("it no longer waits", || {
        house.metric("sensorium_requests_waiting", "stub") == 0.0
    })
    .await;
    // The one that computes is called off too: the instance is free long before its 10 s are over.
    busy.abort();
    within(house.embed("stub", &["after"])).await.unwrap();
    let sent = house.metric("sensorium_batch_size_sum", "stub") - before;
    assert_eq!(sent, 1.0, "only the last one came to be computed");
}

#[tokio::test(flavor = "multi_thread")]
async fn cached_items_are_not_computed_again() {
    let house = House::with(STUB, impatient(), 1 << 20).await;
    let first = house.embed("stub", &["a", "b"]).await.unwrap();
    assert_eq!(house.calls("stub"), 1.0);
    assert_eq!(
        house.embed("stub", &["b", "a"]).await.unwrap(),
        [first[1].clone(), first[0].clone()]
    );
    assert_eq!(house.calls("stub"), 1.0, "all of it was in the cache");
    let partly = house.embed("stub", &["c", "a", "d", "b"]).await.unwrap();
    assert_eq!((&partly[1], &partly[3]), (&first[0], &first[1]));
    assert_eq!(
        house.metric("sensorium_batch_size_sum", "stub"),
        4.0,
        "of the four only c and d were computed"
    );
    assert_eq!(house.metric("sensorium_cache_hits_total", "stub"), 4.0);
    assert_eq!(house.metric("sensorium_cache_misses_total", "stub"), 4.0);
    // An error names the input of the request, not of what was missing.
    let error = house.embed("stub", &["a", "b", "stub:error:item"]).await.unwrap_err();
    assert!(matches!(error, Error::Item { index: 2, .. }), "{error:?}");
    // Another owner finds nothing.
    let other = RequestContext {
        owner: Owner::from_key("another"),
        ..context()
    };
    house
        .engine
        .admit("stub", other)
        .await
        .unwrap()
        .embed(vec![EmbedInput::text("a", true)])
        .await
        .unwrap();
    assert_eq!(
        house.metric("sensorium_batch_size_sum", "stub"),
        6.0,
        "one more than before and the one with the error"
    );
}
