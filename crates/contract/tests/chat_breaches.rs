//! Replies that break the contract, from a plugin's end that says whatever it is told to.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use sensorium_contract::client::{CallError, PluginClient};
use sensorium_contract::proto::chat_event::Event;
use sensorium_contract::proto::chatter_server::{Chatter, ChatterServer};
use sensorium_contract::{ChatEvent, ChatRequest, Fault, MessageLimits, OutputFormat, Prompt, Sampling, proto};
use tokio::net::UnixListener;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Says this, then ends.
#[derive(Clone)]
struct Parrot(Vec<Result<proto::ChatEvent, Status>>);

#[tonic::async_trait]
impl Chatter for Parrot {
    type ChatStream = ReceiverStream<Result<proto::ChatEvent, Status>>;

    async fn chat(&self, _: Request<proto::ChatRequest>) -> Result<Response<Self::ChatStream>, Status> {
        let (sender, stream) = tokio::sync::mpsc::channel(self.0.len().max(1));
        for event in &self.0 {
            sender.try_send(event.clone()).unwrap();
        }
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// What the host sees of a reply.
async fn hear(said: Vec<Result<proto::ChatEvent, Status>>) -> (Vec<ChatEvent>, Option<CallError>) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let listener = UnixListenerStream::new(UnixListener::bind(&socket).unwrap());
    let serving = Server::builder().serve_with_incoming(ChatterServer::new(Parrot(said)), listener);
    let server = tokio::spawn(serving);
    let client = PluginClient::connect(&socket, MessageLimits::default()).await.unwrap();
    let request = ChatRequest {
        prompt: Prompt::Text("polly?".into()),
        sampling: Sampling::default(),
        max_tokens: None,
        stop: vec![],
        top_logprobs: None,
        format: OutputFormat::Text,
    };
    let heard = async {
        let (mut events, mut error) = (Vec::new(), None);
        let mut call = client.chat(request, None).await.unwrap();
        loop {
            match call.next().await {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(broken) => error = Some(broken),
            }
        }
        (events, error)
    };
    let heard = tokio::time::timeout(Duration::from_secs(60), heard).await.unwrap();
    server.abort();
    heard
}

fn event(event: Event) -> Result<proto::ChatEvent, Status> {
    Ok(proto::ChatEvent { event: Some(event) })
}

fn started() -> Result<proto::ChatEvent, Status> {
    event(Event::Started(proto::ChatStarted::default()))
}

fn delta() -> Result<proto::ChatEvent, Status> {
    event(Event::Delta(proto::ChatDelta::default()))
}

fn finished() -> Result<proto::ChatEvent, Status> {
    event(Event::Finished(proto::ChatFinished {
        reason: proto::FinishReason::Stop.into(),
        ..Default::default()
    }))
}

fn refused() -> Result<proto::ChatEvent, Status> {
    event(Event::Refused(proto::ChatRefused {
        code: proto::RefusalCode::InvalidInput.into(),
        ..Default::default()
    }))
}

#[tokio::test]
async fn a_reply_in_order_is_heard_to_its_end_and_no_further() {
    for (said, expected) in [
        (vec![started(), delta(), delta(), finished()], 4),
        (vec![started(), finished()], 2),
        (vec![refused()], 1),
        // What comes after the end is nobody's.
        (vec![started(), finished(), delta(), started()], 2),
        (vec![refused(), started()], 1),
        // What a later version has added is passed over.
        (vec![Ok(proto::ChatEvent::default()), started(), finished()], 2),
    ] {
        let shown = format!("{said:?}");
        let (events, error) = hear(said).await;
        assert_eq!((events.len(), error), (expected, None), "{shown}");
    }
}

#[tokio::test]
async fn a_reply_out_of_order_is_a_breach() {
    let nameless = event(Event::Finished(proto::ChatFinished::default()));
    let impossible = event(Event::Delta(proto::ChatDelta {
        logprobs: vec![proto::TokenLogprob {
            chosen: Some(proto::Candidate {
                logprob: f32::NAN,
                ..Default::default()
            }),
            top: vec![],
        }],
        ..Default::default()
    }));
    for (said, heard) in [
        (vec![], 0),
        (vec![delta(), finished()], 0),
        (vec![finished()], 0),
        (vec![started()], 1),
        (vec![started(), delta()], 2),
        (vec![started(), started(), finished()], 1),
        (vec![started(), refused()], 1),
        (vec![started(), nameless], 1),
        (vec![started(), impossible], 1),
    ] {
        let shown = format!("{said:?}");
        let (events, error) = hear(said).await;
        assert_eq!(events.len(), heard, "{shown}");
        assert!(matches!(error, Some(CallError::Breach(_))), "{shown}: {error:?}");
        assert_eq!(error.unwrap().fault(), Some(Fault::Instance));
    }
}

#[tokio::test]
async fn a_status_ends_the_reply_with_its_fault() {
    for (status, fault) in [
        (Status::invalid_argument("x"), Some(Fault::Caller)),
        (Status::failed_precondition("x"), Some(Fault::Model)),
        (Status::internal("x"), Some(Fault::Instance)),
        (Status::cancelled("x"), None),
    ] {
        let (events, error) = hear(vec![started(), delta(), Err(status)]).await;
        assert_eq!((events.len(), error.unwrap().fault()), (2, fault));
    }
}
