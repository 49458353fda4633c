//! Images as the host's end of the socket sees them: called off, refused, broken off, unread.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{Stub, bounded};
use sensorium_contract::client::{CallError, ImageCall};
use sensorium_contract::process::ExitCause;
use sensorium_contract::{Fault, ImageEvent, ImageRequest, ImageStarted, RefusalCode, RgbImage};
use serde_json::json;

fn picture(prompt: &str) -> ImageRequest {
    ImageRequest::new(prompt, (32, 16), 50, vec![1])
}

impl Stub {
    async fn imagining(mut options: serde_json::Value) -> Self {
        options["tasks"] = json!(["image"]);
        Self::loaded(options).await.0
    }

    /// A call that has started.
    async fn call(&self, request: ImageRequest) -> ImageCall {
        let mut call = bounded(self.client.imagine(request, None)).await.unwrap();
        let started = bounded(call.next()).await.unwrap();
        assert!(matches!(started, Some(ImageEvent::Started(_))), "{started:?}");
        call
    }

    /// What a request comes to: its events but for the steps, or an error.
    async fn outcome(&self, request: ImageRequest) -> Result<Vec<ImageEvent>, CallError> {
        let mut call = bounded(self.client.imagine(request, None)).await?;
        let mut events = Vec::new();
        while let Some(event) = bounded(call.next()).await? {
            if !matches!(event, ImageEvent::Step(_)) {
                events.push(event);
            }
        }
        Ok(events)
    }
}

/// Reads until so many steps are done.
async fn until_step(call: &mut ImageCall, step: u32) {
    loop {
        match bounded(call.next()).await.unwrap() {
            Some(ImageEvent::Step(done)) if done.done >= step => return,
            Some(_) => {}
            None => panic!("it ended before step {step}"),
        }
    }
}

fn images(events: &[ImageEvent]) -> Vec<RgbImage> {
    let image = |event: &ImageEvent| match event {
        ImageEvent::Image(done) => Some(done.image.clone()),
        _ => None,
    };
    events.iter().filter_map(image).collect()
}

#[tokio::test]
async fn images_are_the_same_in_every_process_and_company() {
    let mut seen = Vec::new();
    for seeds in [vec![1, 2], vec![2]] {
        let stub = Stub::imagining(json!({})).await;
        let request = ImageRequest {
            seeds,
            previews: 2,
            ..picture("a red circle")
        };
        let events = stub.outcome(request).await.unwrap();
        let started = ImageStarted {
            prompt_tokens: 5,
            truncated: false,
        };
        assert_eq!(events[0], ImageEvent::Started(started));
        assert_eq!(events.last(), Some(&ImageEvent::Finished));
        seen.push(images(&events));
    }
    assert_eq!((seen[0].len(), seen[1].len()), (2, 1));
    assert_eq!(seen[0][1], seen[1][0]);
    assert_ne!(seen[0][0], seen[0][1]);
}

#[tokio::test]
async fn a_request_that_is_dropped_at_step_7_of_50_gives_its_place_to_the_next() {
    let stub = Stub::imagining(json!({"max_batch": 1, "image": {"step_latency": "20ms"}})).await;
    let mut call = stub.call(picture("a star")).await;
    until_step(&mut call, 7).await;
    let progress = bounded(stub.client.health()).await.unwrap().progress;
    drop(call);
    stub.until_running(0).await;
    let after = bounded(stub.client.health()).await.unwrap().progress;
    // One step may have been under way, and one event on its way.
    assert!(
        after <= progress + 3,
        "{progress} steps and events before, {after} after"
    );
    until_step(&mut stub.call(picture("a star")).await, 1).await;
}

#[tokio::test]
async fn what_a_prompt_tells_it_is_done_when_it_says() {
    let stub = Stub::imagining(json!({})).await;
    let refused = |code| {
        move |outcome: &Result<Vec<ImageEvent>, CallError>| {
            matches!(outcome.as_deref(), Ok([ImageEvent::Refused(refused)])
                if refused.code == code && refused.field == "prompt")
        }
    };
    let invalid = stub.outcome(picture("stub:refuse")).await;
    assert!(refused(RefusalCode::InvalidInput)(&invalid), "{invalid:?}");
    let too_long = stub.outcome(picture("stub:refuse:context")).await;
    assert!(refused(RefusalCode::ContextLength)(&too_long), "{too_long:?}");
    let words = ImageRequest {
        truncate: false,
        ..picture(&"circle ".repeat(100))
    };
    let too_long = stub.outcome(words.clone()).await;
    assert!(refused(RefusalCode::ContextLength)(&too_long), "{too_long:?}");
    let cut = stub
        .outcome(ImageRequest {
            truncate: true,
            ..words
        })
        .await
        .unwrap();
    assert!(matches!(cut[0], ImageEvent::Started(started) if started.truncated && started.prompt_tokens == 77));
    for (prompt, fault) in [
        ("stub:error", Some(Fault::Instance)),
        ("stub:error:caller@3", Some(Fault::Caller)),
        ("stub:error:model@0", Some(Fault::Model)),
        ("stub:drop@5", Some(Fault::Instance)),
        ("stub:poison@50", Some(Fault::Instance)),
        ("from now on", Some(Fault::Instance)),
    ] {
        let error = stub.outcome(picture(prompt)).await.unwrap_err();
        assert_eq!(error.fault(), fault, "{prompt}: {error}");
    }
}

#[tokio::test]
async fn it_dies_in_the_middle_of_a_request() {
    let stub = Stub::imagining(json!({})).await;
    let mut call = stub.call(picture("stub:die:SIGKILL@20")).await;
    let error = loop {
        match bounded(call.next()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it came to its end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, CallError::Transport(_)), "{error:?}");
    assert!(matches!(stub.exited().await, ExitCause::Signal(9)), "killed");
}

#[tokio::test]
async fn images_that_nobody_reads_hold_up_no_others_and_come_all_the_same() {
    let stub = Stub::imagining(json!({"max_batch": 2})).await;
    // Larger together than any buffer on the way.
    let large = ImageRequest {
        width: 512,
        height: 512,
        steps: 20,
        seeds: (0..4).collect(),
        previews: 3,
        ..picture("a star")
    };
    let mut unread = stub.call(large).await;
    for _ in 0..3 {
        stub.outcome(picture("a circle")).await.unwrap();
    }
    let mut images = 0;
    while let Some(event) = bounded(unread.next()).await.unwrap() {
        images += u32::from(matches!(event, ImageEvent::Image(_)));
    }
    assert_eq!(images, 4);
}
