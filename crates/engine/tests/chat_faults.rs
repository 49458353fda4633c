//! Processes that die, hang and fail while they reply, and readers that don't read.

mod common;

use std::time::Duration;

use common::{House, eventually, impatient, kill, prompt, read, read_to_error, within};
use sensorium_engine::{ChatEvent, Error, Supervision};

const CHAT: &str = r#"
[[model]]
id = "chat"
plugin = "stub"
load = "eager"
device = "cpu"
options = { tasks = ["chat"], allow_misbehaviour = true, max_batch = 8, chat = { token_latency = "2ms", prompt_latency = "50ms" } }
"#;

const CANARY: &str = r#"
[[model]]
id = "canary"
plugin = "stub"
device = "cpu"
"#;

fn crashed() -> Error {
    Error::Crashed { model: "chat".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_ends_its_own_replies_and_no_others() {
    let models = CHAT.replace("device = \"cpu\"", "device = [\"cpu\", \"cpu\"]");
    let house = House::new(&format!("{models}{CANARY}")).await;
    eventually("both are ready", || {
        house.metric("sensorium_model_load_seconds_count", "chat") == 2.0
    })
    .await;
    let one = house.chat("chat", "stub:die:SIGSEGV@5").await.unwrap();
    let other = house.chat("chat", "stub:say:500").await.unwrap();
    let other = tokio::spawn(read(other));
    let (count, error) = within(read_to_error(one)).await;
    // What the process had not sent off dies with it.
    assert!((1..=5).contains(&count), "{count}");
    assert_eq!(error, crashed());
    house.embed("canary", &["cheep"]).await.unwrap();
    assert_eq!(within(other).await.unwrap().unwrap().tokens, 500);
    eventually("it is started again", || {
        house.metric("sensorium_model_load_seconds_count", "chat") == 3.0
    })
    .await;
    assert_eq!(house.restarts("chat"), 1.0);
    within(house.chat_whole("chat", "after")).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_that_nothing_has_come_of_are_tried_again() {
    let house = House::new(&CHAT.replace("prompt_latency = \"50ms\"", "prompt_latency = \"500ms\"")).await;
    house.until_ready("chat").await;
    let [pid] = house.pids()[..] else { panic!("one process") };
    let replies: Vec<_> = (0..4)
        .map(|n| house.chat_whole("chat", &format!("prompt {n}")))
        .collect();
    eventually("all are being read", || house.waiting_and_running("chat") == (0.0, 4.0)).await;
    kill(pid);
    for reply in replies {
        within(reply).await.unwrap().unwrap();
    }
    assert_eq!(house.restarts("chat"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_that_are_tried_again_do_not_wait_for_each_others_replies() {
    let slow = "chat = { token_latency = \"2ms\", prompt_latency = \"500ms\", context_length = 1_000_000 }";
    let house = House::new(&CHAT.replace("chat = { token_latency = \"2ms\", prompt_latency = \"50ms\" }", slow)).await;
    house.until_ready("chat").await;
    let [pid] = house.pids()[..] else { panic!("one process") };
    let opening: Vec<_> = (0..4).map(|_| house.open("chat", "stub:say:900000")).collect();
    eventually("all are being read", || house.waiting_and_running("chat") == (0.0, 4.0)).await;
    kill(pid);
    let mut streams = Vec::new();
    for opening in opening {
        streams.push(within(opening).await.unwrap().unwrap());
    }
    for stream in &mut streams {
        assert!(matches!(within(stream.next()).await, Some(Ok(ChatEvent::Delta(_)))));
    }
    assert_eq!(house.restarts("chat"), 1.0);
    let new = within(house.chat_whole("chat", "new")).await.unwrap();
    assert_eq!(new.unwrap().tokens, 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_prompt_harms_only_itself() {
    let house = House::new(CHAT).await;
    house.until_ready("chat").await;
    for poison in ["stub:die:SIGSEGV", "stub:abort", "stub:exit:3"] {
        let before = house.restarts("chat");
        let texts = (0..8).map(|n| {
            if n == 3 {
                poison.to_owned()
            } else {
                format!("prompt {n}")
            }
        });
        let replies: Vec<_> = texts.map(|text| house.chat_whole("chat", &text)).collect();
        for (n, reply) in replies.into_iter().enumerate() {
            match within(reply).await.unwrap() {
                Ok(_) => assert_ne!(n, 3),
                Err(error) => assert_eq!((n, error), (3, crashed()), "{poison}"),
            }
        }
        eventually("both deaths are counted", || house.restarts("chat") == before + 2.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_mean_what_they_say_before_and_after_the_reply_has_begun() {
    let house = House::new(CHAT).await;
    house.until_ready("chat").await;
    let success = async || within(house.chat_whole("chat", "fine")).await.unwrap().unwrap();
    for text in ["stub:error", "stub:panic", "stub:drop"] {
        assert_eq!(
            house.chat("chat", text).await.map(|_| ()).unwrap_err(),
            crashed(),
            "{text}"
        );
        success().await;
        let late = house.chat("chat", &format!("{text}@3")).await.unwrap();
        assert_eq!(within(read_to_error(late)).await, (3, crashed()), "{text}");
        success().await;
    }
    let restarts = house.restarts("chat");
    for text in ["stub:error:caller", "stub:error:model"] {
        let is_expected = |error: &Error| match text {
            "stub:error:caller" => matches!(error, Error::Caller { .. }),
            _ => matches!(error, Error::Model { message } if !message.contains("told")),
        };
        let error = house.chat("chat", text).await.map(|_| ()).unwrap_err();
        assert!(is_expected(&error), "{error:?}");
        let late = house.chat("chat", &format!("{text}@1")).await.unwrap();
        let (count, error) = within(read_to_error(late)).await;
        assert!(count == 1 && is_expected(&error), "{error:?}");
    }
    assert_eq!(
        house.restarts("chat"),
        restarts,
        "none of these was the instance's fault"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_process_is_replaced_after_two_failures() {
    let house = House::new(CHAT).await;
    house.until_ready("chat").await;
    let poison = house.chat("chat", "stub:poison@1").await.unwrap();
    assert_eq!(within(read_to_error(poison)).await, (1, crashed()));
    for _ in 0..4 {
        within(house.chat_whole("chat", "after")).await.unwrap().unwrap();
    }
    assert_eq!(house.restarts("chat"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_makes_no_headway_is_killed() {
    let supervision = Supervision {
        stall: Duration::from_millis(500),
        ..impatient()
    };
    let house = House::with(CHAT, supervision, 0).await;
    house.until_ready("chat").await;
    let hangs = house.chat("chat", "stub:hang@2").await.unwrap();
    assert_eq!(within(read_to_error(hangs)).await, (2, crashed()));
    eventually("it is counted", || house.restarts("chat") == 1.0).await;
    assert_eq!(
        house.chat("chat", "stub:hang").await.map(|_| ()).unwrap_err(),
        crashed()
    );
    eventually("it hung twice", || house.restarts("chat") == 3.0).await;
    within(house.chat_whole("chat", "after")).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_nobody_reads_hold_up_no_others_and_are_no_stall() {
    let supervision = Supervision {
        stall: Duration::from_secs(2),
        call_limit: Duration::from_secs(2),
        ..impatient()
    };
    let fast = "chat = { context_length = 1_000_000 }";
    let models = CHAT.replace("chat = { token_latency = \"2ms\", prompt_latency = \"50ms\" }", fast);
    let house = House::with(&models, supervision, 0).await;
    house.until_ready("chat").await;
    let admission = house.admit_chat("chat").await;
    // More than all buffers on the way hold.
    const TOKENS: u32 = 60_000;
    let mut unread = Vec::new();
    for _ in 0..7 {
        unread.push(
            within(admission.chat(prompt(&format!("stub:say:{TOKENS}"))))
                .await
                .unwrap(),
        );
    }
    for _ in 0..3 {
        // One reader reads while seven don't; then, for longer than a stall or a call may take, nobody does.
        let read = within(house.chat_whole("chat", "stub:say:1000"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(read.tokens, 1000);
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(house.restarts("chat"), 0.0);
    let made = house.metric("sensorium_generated_tokens_total", "chat");
    assert!(made < f64::from(TOKENS), "{made} tokens were taken for nobody");
    // Then it is read after all, to the end.
    let last = unread.pop().unwrap();
    drop(unread);
    assert_eq!(within(read(last)).await.unwrap().tokens, TOKENS);
    assert_eq!(house.restarts("chat"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_replies_half_are_dropped_midway_and_the_others_are_as_they_would_be_alone() {
    let house = House::new(&CHAT.replace("max_batch = 8", "max_batch = 32")).await;
    house.until_ready("chat").await;
    let text = |n: usize| format!("prompt {n}");
    let mut alone = Vec::new();
    for n in (0..32).step_by(2) {
        alone.push(within(house.chat_whole("chat", &text(n))).await.unwrap().unwrap());
    }
    let admission = house.admit_chat("chat").await;
    let requests = (0..32).map(|n| admission.chat(prompt(&text(n))));
    let mut together = Vec::new();
    for (n, stream) in within(futures::future::join_all(requests))
        .await
        .into_iter()
        .enumerate()
    {
        let mut stream = stream.unwrap();
        if n % 2 == 0 {
            together.push(tokio::spawn(read(stream)));
        } else {
            assert!(matches!(within(stream.next()).await, Some(Ok(ChatEvent::Delta(_)))));
        }
    }
    for (whole, alone) in together.into_iter().zip(alone) {
        assert_eq!(within(whole).await.unwrap().unwrap(), alone);
    }
    assert_eq!(house.restarts("chat"), 0.0);
}
