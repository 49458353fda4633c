//! Replies on their way through a healthy engine: places, slots, order, cancellation, what is counted.

mod common;

use std::time::Duration;

use common::{House, chat_context, context, context_within, eventually, prompt, read, within};
use sensorium_engine::{
    Batching, CancellationToken, ChatEvent, ChatMessage, ChatPart, ChatRequest, EmbedInput, Error, FinishReason,
    ModelState, Prompt, RefusalCode, RequestContext, RgbImage, Role, Task,
};

const CHAT: &str = r#"
[[model]]
id = "chat"
plugin = "stub"
device = "cpu"
options = { tasks = ["chat"], allow_misbehaviour = true, max_batch = 4, chat = { token_latency = "2ms" } }
"#;

/// A prompt whose reply takes longer than any test.
const LONG: &str = "stub:say:4000";

fn with(old: &str, new: &str) -> String {
    assert!(CHAT.contains(old));
    CHAT.replace(old, new)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_comes_event_by_event_and_is_counted() {
    let house = House::new(CHAT).await;
    let stream = house.chat("chat", "three small words").await.unwrap();
    let prompt_tokens = stream.started().prompt_tokens;
    assert!(prompt_tokens > 3, "{prompt_tokens}");
    let whole = within(read(stream)).await.unwrap();
    assert_eq!(whole.finished.reason, FinishReason::Stop);
    assert_eq!(whole.finished.completion_tokens, 17, "16 words and the end");
    assert_eq!(whole.text.split(' ').count(), 16, "{}", whole.text);
    let again = within(house.chat_whole("chat", "three small words"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again, whole, "the same seed, the same reply");
    eventually("both are counted", || house.waiting_and_running("chat") == (0.0, 0.0)).await;
    for (name, expected) in [
        ("time_to_first_token_seconds_count", 2.0),
        ("inter_token_seconds_count", 2.0 * 15.0),
        ("prompt_tokens_total", 2.0 * f64::from(prompt_tokens)),
        ("generated_tokens_total", 2.0 * 17.0),
        ("cached_prompt_tokens_total", 0.0),
        ("queue_duration_seconds_count", 2.0),
        ("inference_duration_seconds_count", 2.0),
    ] {
        assert_eq!(house.metric(&format!("sensorium_{name}"), "chat"), expected, "{name}");
    }
    let capabilities = house.engine.model("chat").unwrap().capabilities.unwrap();
    assert_eq!(capabilities.batching, Batching::Plugin);
    assert!(
        capabilities
            .chat
            .as_ref()
            .is_some_and(|chat| chat.context_length == 4096)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_replies_are_made_at_once_and_the_others_wait_their_turn() {
    for (models, places) in [
        (CHAT.to_owned(), 4),
        (with("device = \"cpu\"", "device = \"cpu\"\nbatch = { max = 2 }"), 2),
        (with("max_batch = 4", "max_batch = 3, batching = \"host\""), 3),
    ] {
        let house = House::new(&models).await;
        let admission = house.admit_chat("chat").await;
        let mut streams = Vec::new();
        for _ in 0..places {
            streams.push(within(admission.chat(prompt(LONG))).await.unwrap());
        }
        let waits: Vec<_> = (0..2).map(|_| house.chat_whole("chat", "short")).collect();
        eventually("two wait", || {
            house.waiting_and_running("chat") == (2.0, f64::from(places))
        })
        .await;
        for stream in &mut streams {
            assert!(matches!(within(stream.next()).await, Some(Ok(ChatEvent::Delta(_)))));
        }
        assert_eq!(house.waiting_and_running("chat").0, 2.0, "they wait for a place");
        drop(streams.pop());
        for waits in waits {
            within(waits).await.unwrap().unwrap();
        }
        assert_eq!(house.restarts("chat"), 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_share_the_replies() {
    let house =
        House::new(&with("device = \"cpu\"", "device = [\"cpu\", \"cpu\"]").replace("max_batch = 4", "max_batch = 2"))
            .await;
    let admission = house.admit_chat("chat").await;
    eventually("both are ready", || {
        house.metric("sensorium_model_load_seconds_count", "chat") == 2.0
    })
    .await;
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(within(admission.chat(prompt(LONG))).await.unwrap());
    }
    eventually("each says how full it is", || {
        house.metric("sensorium_kv_cache_usage_ratio", "chat") == 2.0
    })
    .await;
    drop(streams);
    eventually("and that it is no longer", || {
        house.metric("sensorium_kv_cache_usage_ratio", "chat") == 0.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_choices_of_a_request_share_its_slot_until_the_last_is_read() {
    let house = House::new(&with("device = \"cpu\"", "device = \"cpu\"\nqueue = 1")).await;
    let admission = house.admit_chat("chat").await;
    let choices = [0, 1, 2].map(|seed| {
        let mut request = prompt("three choices");
        request.sampling.seed = seed;
        admission.chat(request)
    });
    let [one, two, three] = within(futures::future::join_all(choices))
        .await
        .try_into()
        .ok()
        .unwrap();
    drop(admission);
    let full = async || {
        matches!(
            house.engine.admit("chat", chat_context()).await,
            Err(Error::QueueFull { .. })
        )
    };
    assert!(full().await, "the replies hold the slot");
    let (one, two) = within(async { tokio::join!(read(one.unwrap()), read(two.unwrap())) }).await;
    assert_ne!(one.unwrap().text, two.unwrap().text, "another seed, another reply");
    assert!(full().await, "one reply still holds it");
    drop(three);
    house.admit_chat("chat").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cancelled_or_late_or_dropped_gives_the_place_to_the_next() {
    let house = House::new(&with("max_batch = 4", "max_batch = 1")).await;
    let cancel = CancellationToken::new();
    let cancelled = RequestContext {
        cancel: cancel.clone(),
        ..chat_context()
    };
    let admission = house.engine.admit("chat", cancelled).await.unwrap();
    let mut running = within(admission.chat(prompt(LONG))).await.unwrap();
    // Behind it wait one whose client goes away, one whose deadline passes, one whose future is dropped.
    let dropped = house.chat_whole("chat", "stub:abort");
    eventually("one waits", || house.waiting_and_running("chat").0 == 1.0).await;
    let also_cancelled = admission.chat(prompt("stub:abort"));
    let late = RequestContext {
        task: Task::Chat,
        ..context_within(Duration::from_millis(100))
    };
    let late = house.engine.admit("chat", late).await.unwrap();
    assert_eq!(
        within(late.chat(prompt("stub:abort"))).await.err(),
        Some(Error::Deadline)
    );
    dropped.abort();
    eventually("none waits", || house.waiting_and_running("chat").0 == 0.0).await;
    let next = house.chat_whole("chat", "next");
    cancel.cancel();
    assert_eq!(within(also_cancelled).await.err(), Some(Error::Cancelled));
    assert!(matches!(within(running.next()).await, Some(Err(Error::Cancelled))));
    assert!(running.next().await.is_none());
    within(next).await.unwrap().unwrap();
    drop((running, admission));
    // A reply that is dropped, and one that was dropped before its prompt had been read.
    drop(house.chat("chat", LONG).await.unwrap());
    let opening = house.chat_whole("chat", "stub:sleep:1h");
    eventually("it is being read", || house.waiting_and_running("chat") == (0.0, 1.0)).await;
    opening.abort();
    within(house.chat_whole("chat", "last")).await.unwrap().unwrap();
    assert_eq!(house.restarts("chat"), 0.0, "nothing that waited was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_ends_a_reply_and_frees_its_place() {
    let house = House::new(&with("max_batch = 4", "max_batch = 1")).await;
    house.admit_chat("chat").await;
    let soon = RequestContext {
        task: Task::Chat,
        ..context_within(Duration::from_millis(300))
    };
    let admission = house.engine.admit("chat", soon).await.unwrap();
    let stream = within(admission.chat(prompt(LONG))).await.unwrap();
    let (_, error) = within(common::read_to_error(stream)).await;
    assert_eq!(error, Error::Deadline);
    within(house.chat_whole("chat", "next")).await.unwrap().unwrap();
    assert_eq!(house.restarts("chat"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_answered_is_refused_by_name() {
    let models = with(
        "token_latency = \"2ms\"",
        "context_length = 100, image_side = 8, max_images = 1, parameters = [\"conversation\", \"seed\"]",
    );
    let house = House::new(&format!("{models}\n[[model]]\nid = \"embeds\"\nplugin = \"stub\"\n")).await;
    let admission = house.admit_chat("chat").await;
    let image = |side: u32| ChatPart::Image(RgbImage::new(side, side, vec![0; (side * side * 3) as usize]).unwrap());
    let showing = |images: Vec<ChatPart>| {
        let mut request = prompt("what is it?");
        let Prompt::Conversation(conversation) = &mut request.prompt else {
            unreachable!()
        };
        conversation.messages.push(ChatMessage {
            parts: images,
            ..ChatMessage::text(Role::User, "")
        });
        request
    };
    let (mut warm, mut text, mut nothing) = (prompt("warm"), prompt(""), prompt(""));
    warm.sampling.temperature = Some(0.5);
    text.prompt = Prompt::Text("go on".into());
    nothing.max_tokens = Some(0);
    let long = "word ".repeat(100);
    let rows: Vec<(ChatRequest, RefusalCode, &str)> = vec![
        (prompt(&long), RefusalCode::ContextLength, "conversation"),
        (
            prompt("stub:refuse:schema"),
            RefusalCode::Schema,
            "conversation.messages[0]",
        ),
        (showing(vec![image(9)]), RefusalCode::InvalidInput, "image"),
        (showing(vec![image(8), image(4)]), RefusalCode::InvalidInput, "image"),
        (warm, RefusalCode::InvalidInput, "sampling.temperature"),
        (text, RefusalCode::InvalidInput, "prompt"),
        (nothing, RefusalCode::InvalidInput, "max_tokens"),
    ];
    for (request, code, field) in rows {
        match within(admission.chat(request)).await {
            Err(Error::Refused(refused)) => assert_eq!((refused.code, refused.field.as_str()), (code, field)),
            other => panic!("{field}: {:?}", other.map(|stream| stream.started())),
        }
    }
    let whole = within(read(admission.chat(showing(vec![image(8)])).await.unwrap()))
        .await
        .unwrap();
    assert!(whole.text.starts_with("8x8 "), "{}", whole.text);
    let embeds = house.engine.admit("embeds", chat_context()).await.map(|_| ());
    let unsupported = Error::TaskUnsupported {
        model: "embeds".into(),
        task: Task::Chat,
    };
    assert_eq!(embeds, Err(unsupported));
    assert_eq!(house.restarts("chat"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_does_both_embeds_while_all_its_replies_are_under_way() {
    let house = House::new(&with("tasks = [\"chat\"]", "tasks = [\"embed\", \"chat\"]")).await;
    let admission = house.admit_chat("chat").await;
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(within(admission.chat(prompt(LONG))).await.unwrap());
    }
    let waits = house.chat_whole("chat", "waits");
    eventually("one waits", || house.waiting_and_running("chat") == (1.0, 4.0)).await;
    let results = within(house.embed_each("chat", (0..20).map(|n| format!("text {n}")))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    // A batch that has to be tried again, alone, waits until the replies are over; they are not harmed.
    let fails = tokio::spawn({
        let engine = house.engine.clone();
        async move { common::embed(&engine, "chat", vec![EmbedInput::text("stub:error", true)]).await }
    });
    for stream in &mut streams {
        assert!(matches!(within(stream.next()).await, Some(Ok(_))));
    }
    drop(streams);
    assert!(within(fails).await.unwrap().is_err());
    within(waits).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_idle_only_when_its_last_reply_is_over() {
    let house = House::new(&with("device = \"cpu\"", "device = \"cpu\"\nttl = \"200ms\"")).await;
    let mut stream = house.chat("chat", LONG).await.unwrap();
    // Longer than idle models are kept, and looked for.
    for _ in 0..600 {
        assert!(matches!(within(stream.next()).await, Some(Ok(ChatEvent::Delta(_)))));
    }
    assert_eq!(house.state("chat"), ModelState::Ready);
    drop(stream);
    eventually("it is unloaded", || house.state("chat") == ModelState::Unloaded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_lets_replies_finish() {
    let house = House::new(CHAT).await;
    let whole = house.chat_whole("chat", "stub:say:200");
    eventually("it is under way", || house.waiting_and_running("chat") == (0.0, 1.0)).await;
    within(house.engine.shutdown()).await;
    assert_eq!(within(whole).await.unwrap().unwrap().tokens, 200);
    assert_eq!(house.pids(), [0u32; 0]);
    assert!(house.engine.admit("chat", context()).await.is_err());
}
