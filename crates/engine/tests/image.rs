//! Requests for images on their way through the engine: order, places, retries, cancellation, what is counted.

mod common;

use std::time::Duration;

use common::{House, context, eventually, within};
use sensorium_engine::{
    Batching, CancellationToken, Error, ImageEvent, ImageRequest, ImageStream, RefusalCode, RequestContext, RgbImage,
    Task,
};

const IMAGE: &str = r#"
[[model]]
id = "image"
plugin = "stub"
device = "cpu"
options = { tasks = ["image"], allow_misbehaviour = true, max_batch = 2, image = { step_latency = "2ms" } }
"#;

fn with(old: &str, new: &str) -> String {
    assert!(IMAGE.contains(old));
    IMAGE.replace(old, new)
}

fn picture(prompt: &str) -> ImageRequest {
    ImageRequest::new(prompt, (32, 16), 10, vec![1])
}

fn image_context() -> RequestContext {
    RequestContext {
        task: Task::Image,
        ..context()
    }
}

async fn imagine(house: &House, request: ImageRequest) -> Result<ImageStream, Error> {
    let admission = house.engine.admit("image", image_context()).await?;
    within(admission.imagine(request)).await
}

/// The images and previews of a request, or how many events came before its error.
async fn read(mut stream: ImageStream) -> Result<(Vec<RgbImage>, usize), (usize, Error)> {
    let (mut images, mut previews, mut events) = (Vec::new(), 0, 0);
    while let Some(event) = within(stream.next()).await {
        match event {
            Ok(ImageEvent::Image(done)) => images.push(done.image),
            Ok(ImageEvent::Preview(_)) => previews += 1,
            Ok(ImageEvent::Step(_)) => {}
            Ok(ImageEvent::Finished) => {
                assert!(stream.next().await.is_none(), "something comes after the end");
                return Ok((images, previews));
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => return Err((events, error)),
        }
        events += 1;
    }
    panic!("it ended without an end");
}

/// Reads until so many steps are done.
async fn until_step(stream: &mut ImageStream, step: u32) {
    loop {
        match within(stream.next()).await {
            Some(Ok(ImageEvent::Step(done))) if done.done >= step => return,
            Some(Ok(ImageEvent::Step(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_come_event_by_event_and_are_counted() {
    let house = House::new(IMAGE).await;
    let request = ImageRequest {
        seeds: vec![1, 2],
        previews: 3,
        ..picture("a red circle")
    };
    let stream = imagine(&house, request).await.unwrap();
    assert_eq!(stream.started().prompt_tokens, 5);
    let (images, previews) = read(stream).await.unwrap();
    assert_eq!((images.len(), previews), (2, 6));
    let (again, _) = read(imagine(&house, picture("a red circle")).await.unwrap())
        .await
        .unwrap();
    assert_eq!(again[0], images[0], "the same seed, the same image");
    eventually("both are counted", || house.waiting_and_running("image") == (0.0, 0.0)).await;
    for (name, expected) in [
        ("generated_images_total", 3.0),
        ("denoise_steps_total", 20.0),
        ("denoise_step_seconds_count", 18.0),
        ("prompt_tokens_total", 10.0),
        ("queue_duration_seconds_count", 2.0),
        ("inference_duration_seconds_count", 2.0),
    ] {
        assert_eq!(house.metric(&format!("sensorium_{name}"), "image"), expected, "{name}");
    }
    let capabilities = house.engine.model("image").unwrap().capabilities.unwrap();
    assert_eq!(capabilities.batching, Batching::Plugin);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_at_step_7_of_50_frees_its_place() {
    let house = House::new(&with("max_batch = 2", "max_batch = 1").replace("2ms", "20ms")).await;
    let long = || ImageRequest {
        steps: 50,
        ..picture("a star")
    };
    let mut stream = imagine(&house, long()).await.unwrap();
    let engine = house.engine.clone();
    let waits = tokio::spawn(async move {
        let admission = engine.admit("image", image_context()).await?;
        admission.imagine(picture("a circle")).await
    });
    eventually("the next one waits", || {
        house.waiting_and_running("image") == (1.0, 1.0)
    })
    .await;
    until_step(&mut stream, 7).await;
    drop(stream);
    let next = within(waits).await.unwrap().unwrap();
    read(next).await.unwrap();
    // Those of the first, what was under way when it left, and those of the second.
    let steps = house.metric("sensorium_denoise_steps_total", "image");
    assert!((17.0..=20.0).contains(&steps), "{steps}");
    assert_eq!(house.restarts("image"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_different_sizes_go_side_by_side() {
    let house = House::new(IMAGE).await;
    let large = ImageRequest {
        width: 512,
        height: 512,
        steps: 100,
        ..picture("a star")
    };
    let (mut large, mut small) = (
        imagine(&house, large).await.unwrap(),
        imagine(&house, picture("a star")).await.unwrap(),
    );
    for step in 1..=5 {
        until_step(&mut small, step).await;
        until_step(&mut large, step).await;
    }
    read(small).await.unwrap();
    until_step(&mut large, 10).await;
    read(large).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_model_cannot_do_never_reaches_it() {
    let house = House::new(&format!(
        "{}\n[[model]]\nid = \"embed\"\nplugin = \"stub\"\ndevice = \"cpu\"\n",
        with("image = {", "image = { parameters = [\"seed\"],")
    ))
    .await;
    let other = house.engine.admit("embed", image_context()).await.err().unwrap();
    assert!(
        matches!(other, Error::TaskUnsupported { task: Task::Image, .. }),
        "{other}"
    );
    let refused = async |request| match imagine(&house, request).await.err().unwrap() {
        Error::Refused(refused) => (refused.field, refused.code),
        other => panic!("{other}"),
    };
    let plain = || ImageRequest {
        steps: 20,
        ..picture("a star")
    };
    let invalid = |field: &str| (field.to_owned(), RefusalCode::InvalidInput);
    assert_eq!(refused(picture("a star")).await, invalid("steps"));
    let scheduler = ImageRequest {
        scheduler: Some("DDIMScheduler".into()),
        ..plain()
    };
    assert_eq!(refused(scheduler).await, invalid("scheduler"));
    let size = ImageRequest { width: 33, ..plain() };
    assert_eq!(refused(size).await, invalid("width"));
    let told = ImageRequest {
        prompt: "stub:refuse:context".into(),
        ..plain()
    };
    assert_eq!(refused(told).await, ("prompt".to_owned(), RefusalCode::ContextLength));
    assert_eq!(house.restarts("image"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_has_not_begun_survives_the_process_and_one_that_has_does_not() {
    let house = House::new(&with("step_latency = \"2ms\"", "prompt_latency = \"300ms\"")).await;
    // Dies of another request, before its own prompt has been read.
    let engine = house.engine.clone();
    let victim = tokio::spawn(async move {
        let admission = engine.admit("image", image_context()).await?;
        admission.imagine(picture("a star")).await
    });
    eventually("it runs", || house.waiting_and_running("image").1 == 1.0).await;
    for pid in house.pids() {
        common::kill(pid);
    }
    let stream = within(victim).await.unwrap().unwrap();
    read(stream).await.unwrap();
    assert_eq!(house.restarts("image"), 1.0);
    let broken = imagine(&house, picture("stub:die:SIGKILL@3")).await.unwrap();
    let (events, error) = read(broken).await.unwrap_err();
    assert!(matches!(error, Error::Crashed { .. }), "{error} after {events}");
    let again = imagine(&house, picture("stub:die:SIGKILL")).await.err().unwrap();
    assert!(
        matches!(again, Error::Crashed { .. }),
        "tried once more, alone: {again}"
    );
    read(imagine(&house, picture("a star")).await.unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_and_the_client_end_a_request() {
    let house = House::new(&with("2ms", "50ms")).await;
    let late = || RequestContext {
        deadline: std::time::Instant::now() + Duration::from_millis(200),
        ..image_context()
    };
    let long = || ImageRequest {
        steps: 100,
        ..picture("a star")
    };
    // Loaded by now.
    read(imagine(&house, picture("a star")).await.unwrap()).await.unwrap();
    let admission = house.engine.admit("image", late()).await.unwrap();
    match within(admission.imagine(long())).await {
        Ok(stream) => assert_eq!(read(stream).await.unwrap_err().1, Error::Deadline),
        Err(error) => assert_eq!(error, Error::Deadline),
    }
    let cancel = CancellationToken::new();
    let gone = RequestContext {
        cancel: cancel.clone(),
        ..image_context()
    };
    let admission = house.engine.admit("image", gone).await.unwrap();
    let mut stream = within(admission.imagine(long())).await.unwrap();
    until_step(&mut stream, 1).await;
    cancel.cancel();
    assert_eq!(read(stream).await.unwrap_err().1, Error::Cancelled);
    eventually("nothing runs", || house.waiting_and_running("image") == (0.0, 0.0)).await;
}
