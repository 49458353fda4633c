//! Processes that die, hang and fail: what is lost, what is tried again, and when the engine gives up.

mod common;

use std::time::{Duration, Instant};

use common::{House, context_within, eventually, impatient, kill, within};
use sensorium_engine::{EmbedInput, Error, ModelState, Supervision};

const STUB: &str = r#"
[[model]]
id = "stub"
plugin = "stub"
load = "eager"
device = "cpu"
batch = { max = 16 }
options = { allow_misbehaviour = true, latency = "5ms" }
"#;

const CANARY: &str = r#"
[[model]]
id = "canary"
plugin = "stub"
device = "cpu"
"#;

fn texts(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("text {n}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_that_the_process_is_killed_under_200_requests() {
    let house = House::new(&format!("{STUB}{CANARY}")).await;
    house.until_ready("stub").await;
    let [pid] = house.pids()[..] else { panic!("one process") };
    let requests = house.embed_each("stub", texts(200));
    let killer = async {
        eventually("requests are being computed", || house.calls("stub") >= 2.0).await;
        kill(pid);
        house.embed("canary", &["cheep"]).await.unwrap();
    };
    let (results, ()) = within(async { tokio::join!(requests, killer) }).await;
    let bad: Vec<_> = results.iter().filter(|result| result.is_err()).collect();
    assert!(bad.is_empty(), "{} of 200: {:?}", bad.len(), bad[0]);
    assert_eq!(house.metric("sensorium_instance_restarts_total", "stub"), 1.0);
    assert_eq!(house.metric("sensorium_instance_restarts_total", "canary"), 0.0);
    assert!(!house.pids().contains(&pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_request_harms_only_itself() {
    let house = House::new(STUB).await;
    house.until_ready("stub").await;
    for poison in ["stub:die:SIGSEGV", "stub:abort", "stub:exit:3"] {
        let texts = texts(40)
            .enumerate()
            .map(|(n, text)| if n == 17 { poison.to_owned() } else { text });
        let results = within(house.embed_each("stub", texts)).await;
        for (n, result) in results.iter().enumerate() {
            match result {
                Ok(_) => assert_ne!(n, 17),
                Err(error) => {
                    assert_eq!((n, error), (17, &Error::Crashed { model: "stub".into() }), "{poison}");
                }
            }
        }
    }
    // The last death is answered before it is counted.
    eventually("each has died twice", || {
        house.metric("sensorium_instance_restarts_total", "stub") == 6.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_process_is_replaced_after_two_failures() {
    let house = House::new(STUB).await;
    house.until_ready("stub").await;
    let before = house.pids();
    assert_eq!(
        house.embed("stub", &["stub:poison"]).await.unwrap_err(),
        Error::Crashed { model: "stub".into() }
    );
    let after = within(house.embed_each("stub", texts(20))).await;
    assert!(after.iter().all(Result::is_ok), "{after:?}");
    assert_ne!(house.pids(), before);
    assert_eq!(house.metric("sensorium_instance_restarts_total", "stub"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_makes_no_progress_is_killed() {
    let supervision = Supervision {
        stall: Duration::from_millis(300),
        ..impatient()
    };
    let house = House::with(STUB, supervision, 0).await;
    house.until_ready("stub").await;
    assert_eq!(
        within(house.embed("stub", &["stub:hang"])).await.unwrap_err(),
        Error::Crashed { model: "stub".into() }
    );
    within(house.embed("stub", &["after"])).await.unwrap();
    assert_eq!(
        house.metric("sensorium_instance_restarts_total", "stub"),
        2.0,
        "it hung twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_that_nobody_waits_for_any_more_is_seen_too() {
    let supervision = Supervision {
        stall: Duration::from_secs(3),
        ..impatient()
    };
    let house = House::with(STUB, supervision, 0).await;
    house.until_ready("stub").await;
    // Its deadline leaves it time to be sent, and passes before the stall is noticed.
    let late = house.engine.admit("stub", context_within(Duration::from_secs(1))).await;
    let hang = vec![EmbedInput::text("stub:hang", true)];
    assert_eq!(late.unwrap().embed(hang).await.unwrap_err(), Error::Deadline);
    within(house.embed("stub", &["after"])).await.unwrap();
    assert_eq!(house.metric("sensorium_instance_restarts_total", "stub"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_breaker_opens_after_five_deaths_and_closes_after_a_success() {
    let counter = tempfile::tempdir().unwrap();
    let options = format!(
        "misbehave_on_load = \"die:SIGKILL\", fail_first_loads = 6, state_directory = \"{}\"",
        counter.path().display()
    );
    let supervision = Supervision {
        breaker_cooldown: Duration::from_secs(2),
        ..impatient()
    };
    let models = STUB.replace("allow_misbehaviour = true", &options);
    let house = House::with(&models, supervision, 0).await;
    eventually("the breaker is open", || {
        matches!(house.state("stub"), ModelState::Broken { .. })
    })
    .await;
    assert_eq!(house.metric("sensorium_instance_restarts_total", "stub"), 5.0);
    assert!(!house.engine.readiness().ready);
    match house.embed("stub", &["a"]).await {
        Err(Error::Unavailable { model, retry_after, .. }) => {
            assert_eq!(model, "stub");
            assert!(retry_after <= Duration::from_secs(2));
        }
        other => panic!("{other:?}"),
    }
    // Half open it dies once more, opens again, and then recovers by itself.
    house.until_ready("stub").await;
    assert_eq!(house.metric("sensorium_instance_restarts_total", "stub"), 6.0);
    assert!(house.engine.readiness().ready);
    house.embed("stub", &["a"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_refused_is_not_tried_in_a_loop_but_by_a_later_request() {
    let counter = tempfile::tempdir().unwrap();
    let options = format!(
        "misbehave_on_load = \"error:model\", fail_first_loads = 1, state_directory = \"{}\"",
        counter.path().display()
    );
    let supervision = Supervision {
        failed_cooldown: Duration::from_millis(500),
        ..impatient()
    };
    let house = House::with(&STUB.replace("allow_misbehaviour = true", &options), supervision, 0).await;
    eventually("it is refused", || {
        matches!(house.state("stub"), ModelState::Failed { .. })
    })
    .await;
    assert_eq!(house.metric("sensorium_instance_restarts_total", "stub"), 0.0);
    assert!(
        matches!(house.state("stub"), ModelState::Failed { .. }),
        "nobody has asked for it"
    );
    // Soon after, requests are told when to come again; then one of them has it tried.
    let mut refused = 0;
    let answer = within(async {
        loop {
            match house.embed("stub", &["a"]).await {
                Err(Error::Unavailable { .. }) => refused += 1,
                other => return other,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    answer.await.unwrap();
    assert!(refused < 1_000, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_devices_makes_instances_that_share_the_work() {
    let models = STUB.replace("device = \"cpu\"", "device = [\"cpu\", \"cpu\"]");
    let house = House::new(&models).await;
    house.until_ready("stub").await;
    eventually("both run", || house.pids().len() == 2).await;
    eventually("both are ready", || {
        house.metric("sensorium_model_load_seconds_count", "stub") == 2.0
    })
    .await;
    // One sleeps; the other answers meanwhile. (A full batch might be prepared for the sleeper.)
    let busy = house.occupy("stub", "stub:sleep:30s").await;
    let results = within(house.embed_each("stub", texts(10))).await;
    assert!(results.iter().all(Result::is_ok));
    assert!(!busy.is_finished());
    busy.abort();
    // One dies; the other answers.
    kill(house.pids()[0]);
    let results = within(house.embed_each("stub", texts(50))).await;
    assert!(results.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_finished_at_the_deadline_is_killed() {
    let house = House::new(STUB).await;
    house.until_ready("stub").await;
    let busy = house.occupy("stub", "stub:sleep:1h").await;
    within(house.engine.shutdown_by(Instant::now() + Duration::from_millis(200))).await;
    assert_eq!(house.pids(), [0u32; 0]);
    assert!(within(busy).await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_lets_requests_finish_and_leaves_no_process() {
    let house = House::new(STUB).await;
    house.until_ready("stub").await;
    assert!(house.engine.readiness().ready);
    let busy = house.occupy("stub", "stub:sleep:300ms").await;
    let admitted = house.engine.admit("stub", common::context()).await.unwrap();
    house.engine.drain();
    assert!(!house.engine.readiness().ready);
    assert_eq!(house.embed("stub", &["late"]).await.unwrap_err(), Error::Draining);
    let last = async {
        admitted.embed(vec![EmbedInput::text("in time", true)]).await.unwrap();
        drop(admitted);
    };
    within(async { tokio::join!(house.engine.shutdown(), last) }).await;
    busy.await.unwrap().unwrap();
    assert_eq!(house.pids(), [0u32; 0]);
}
