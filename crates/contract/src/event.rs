//! What the tasks whose results come event by event have in common.

use std::fmt::Debug;

use crate::{ChatEvent, ChatRequest, ImageEvent, ImageExpected, ImageRequest, Invalid, proto};

/// An event of a reply. The first of a reply opens it or refuses the request, and the last one ends it.
pub trait ReplyEvent: Debug + Clone + Send + Sync + Sized + 'static {
    /// What is asked.
    type Request: Debug + Clone + Send + Sync + 'static;
    /// What crosses the socket.
    type Wire: prost::Message + Default + 'static;
    /// What is still to come of a reply, as its request says.
    type Expected: Debug + Send + Sync + Unpin + 'static;

    /// What a request is answered with.
    fn expected(request: &Self::Request) -> Self::Expected;

    /// An event from the other side; `None` for one that a later minor version has added.
    ///
    /// # Errors
    /// The field that breaks the contract.
    fn from_wire(wire: Self::Wire) -> Result<Option<Self>, Invalid>;

    /// The event as it crosses the socket.
    fn into_wire(self) -> Self::Wire;

    /// Where in a reply it stands.
    fn moment(&self) -> Moment;

    /// Checks that it is one of those that are still to come.
    ///
    /// # Errors
    /// What it isn't.
    fn check(&self, expected: &mut Self::Expected) -> Result<(), Invalid>;
}

/// Where in a reply an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// First: the request has been read.
    Opens,
    /// In between.
    Continues,
    /// Last.
    Ends,
    /// First and last: the request can't be served.
    Refuses,
}

impl ReplyEvent for ChatEvent {
    type Request = ChatRequest;
    type Wire = proto::ChatEvent;
    type Expected = ();

    fn expected(_: &ChatRequest) {}

    fn from_wire(wire: proto::ChatEvent) -> Result<Option<Self>, Invalid> {
        crate::convert::chat_event_from_wire(wire)
    }

    fn into_wire(self) -> proto::ChatEvent {
        self.into()
    }

    fn moment(&self) -> Moment {
        match self {
            ChatEvent::Started(_) => Moment::Opens,
            ChatEvent::Delta(_) | ChatEvent::ToolCall(_) => Moment::Continues,
            ChatEvent::Finished(_) => Moment::Ends,
            ChatEvent::Refused(_) => Moment::Refuses,
        }
    }

    fn check(&self, (): &mut ()) -> Result<(), Invalid> {
        Ok(())
    }
}

impl ReplyEvent for ImageEvent {
    type Request = ImageRequest;
    type Wire = proto::ImageEvent;
    type Expected = ImageExpected;

    fn expected(request: &ImageRequest) -> ImageExpected {
        ImageExpected::of(request)
    }

    fn from_wire(wire: proto::ImageEvent) -> Result<Option<Self>, Invalid> {
        crate::convert::image_event_from_wire(wire)
    }

    fn into_wire(self) -> proto::ImageEvent {
        self.into()
    }

    fn moment(&self) -> Moment {
        match self {
            ImageEvent::Started(_) => Moment::Opens,
            ImageEvent::Step(_) | ImageEvent::Preview(_) | ImageEvent::Image(_) => Moment::Continues,
            ImageEvent::Finished => Moment::Ends,
            ImageEvent::Refused(_) => Moment::Refuses,
        }
    }

    fn check(&self, expected: &mut ImageExpected) -> Result<(), Invalid> {
        expected.take(self)
    }
}
