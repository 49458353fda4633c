//! Images that break the contract, from a plugin's end that sends whatever it is told to.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use sensorium_contract::client::{CallError, PluginClient};
use sensorium_contract::proto::image_event::Event;
use sensorium_contract::proto::imager_server::{Imager, ImagerServer};
use sensorium_contract::{Fault, ImageRequest, MessageLimits, proto};
use tokio::net::UnixListener;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Sends this, then ends.
#[derive(Clone)]
struct Forger(Vec<proto::ImageEvent>);

#[tonic::async_trait]
impl Imager for Forger {
    type ImagineStream = ReceiverStream<Result<proto::ImageEvent, Status>>;

    async fn imagine(&self, _: Request<proto::ImageRequest>) -> Result<Response<Self::ImagineStream>, Status> {
        let (sender, stream) = tokio::sync::mpsc::channel(self.0.len().max(1));
        for event in &self.0 {
            sender.try_send(Ok(event.clone())).unwrap();
        }
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// How many events the host lets through of a reply to a request for two images of 2×1 pixels, with a preview each; and
/// what it objects to.
async fn hear(sent: Vec<proto::ImageEvent>) -> (usize, Option<CallError>) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let listener = UnixListenerStream::new(UnixListener::bind(&socket).unwrap());
    let server = tokio::spawn(Server::builder().serve_with_incoming(ImagerServer::new(Forger(sent)), listener));
    let client = PluginClient::connect(&socket, MessageLimits::default()).await.unwrap();
    let request = ImageRequest {
        previews: 1,
        ..ImageRequest::new("a star", (2, 1), 4, vec![1, 2])
    };
    let heard = async {
        let mut call = client.imagine(request, None).await.unwrap();
        let mut count = 0;
        loop {
            match call.next().await {
                Ok(Some(_)) => count += 1,
                Ok(None) => return (count, None),
                Err(error) => return (count, Some(error)),
            }
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(60), heard).await.unwrap();
    server.abort();
    heard
}

fn event(event: Event) -> proto::ImageEvent {
    proto::ImageEvent { event: Some(event) }
}

fn started() -> proto::ImageEvent {
    event(Event::Started(proto::ImageStarted::default()))
}

fn step(done: u32) -> proto::ImageEvent {
    event(Event::Step(proto::ImageStep { done, total: 4 }))
}

fn pixels(width: u32) -> Option<proto::Image> {
    let rgb = vec![0; width as usize * 3].into();
    Some(proto::Image { width, height: 1, rgb })
}

fn image(index: u32, image: Option<proto::Image>) -> proto::ImageEvent {
    event(Event::Image(proto::ImageDone { index, image }))
}

fn preview(index: u32, number: u32) -> proto::ImageEvent {
    let image = pixels(2);
    event(Event::Preview(proto::ImagePreview { index, number, image }))
}

fn finished() -> proto::ImageEvent {
    event(Event::Finished(proto::ImageFinished {}))
}

#[tokio::test]
async fn a_reply_that_is_as_it_was_asked_for_is_heard_to_its_end() {
    let both = [image(1, pixels(2)), image(0, pixels(2))];
    let refused = event(Event::Refused(proto::ChatRefused {
        code: proto::RefusalCode::ContextLength.into(),
        ..Default::default()
    }));
    for (sent, expected) in [
        ([vec![started()], both.to_vec(), vec![finished()]].concat(), 4),
        (
            [
                vec![started(), step(2), preview(0, 0), preview(1, 0), step(4)],
                both.to_vec(),
                vec![finished(), step(9)],
            ]
            .concat(),
            8,
        ),
        (vec![proto::ImageEvent::default(), refused], 1),
    ] {
        let shown = format!("{sent:?}");
        assert_eq!(hear(sent).await, (expected, None), "{shown}");
    }
}

#[tokio::test]
async fn a_reply_that_is_not_is_a_breach_and_the_instances_fault() {
    let cut = Some(proto::Image {
        width: 2,
        height: 1,
        rgb: vec![0; 5].into(),
    });
    for (sent, heard) in [
        (vec![], 0),
        (vec![step(1)], 0),
        (vec![image(0, pixels(2))], 0),
        (vec![started(), started()], 1),
        (vec![started(), finished()], 1),
        (vec![started(), image(0, pixels(2)), finished()], 2),
        (vec![started(), image(0, pixels(3))], 1),
        (vec![started(), image(0, cut)], 1),
        (vec![started(), image(0, None)], 1),
        (vec![started(), image(2, pixels(2))], 1),
        (vec![started(), image(0, pixels(2)), image(0, pixels(2))], 2),
        (vec![started(), preview(0, 0), preview(0, 1)], 2),
        (vec![started(), step(3), step(2)], 2),
        (vec![started(), step(5)], 1),
    ] {
        let shown = format!("{sent:?}");
        let (count, error) = hear(sent).await;
        assert_eq!(count, heard, "{shown}");
        assert!(matches!(error, Some(CallError::Breach(_))), "{shown}: {error:?}");
        assert_eq!(error.unwrap().fault(), Some(Fault::Instance));
    }
}
