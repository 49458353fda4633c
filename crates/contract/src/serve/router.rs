//! Which service answers a path. So few services need no router crate.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;

use super::chatter::ChatterService;
use super::embedder::EmbedderService;
use super::imager::ImagerService;
use super::lifecycle::LifecycleService;
use super::model::ModelSlot;
use super::shutdown::Stop;
use crate::proto::chatter_server::ChatterServer;
use crate::proto::embedder_server::EmbedderServer;
use crate::proto::imager_server::ImagerServer;
use crate::proto::lifecycle_server::LifecycleServer;
use crate::{MessageLimits, Task};

/// The services of this plugin: the lifecycle, and one for each task of its manifest.
#[derive(Clone)]
pub(super) struct Services {
    lifecycle: LifecycleServer<LifecycleService>,
    embedder: Option<EmbedderServer<EmbedderService>>,
    chatter: Option<ChatterServer<ChatterService>>,
    imager: Option<ImagerServer<ImagerService>>,
}

// === impl Services ===

impl Services {
    pub(super) fn new(model: Arc<ModelSlot>, stop: Stop, limits: MessageLimits) -> Self {
        let limit = limits.max_message_bytes;
        let embedder = model.manifest().tasks.contains(&Task::Embed).then(|| {
            EmbedderServer::new(EmbedderService::new(model.clone(), limits))
                .max_decoding_message_size(limit)
                .max_encoding_message_size(limit)
        });
        let chatter = model.manifest().tasks.contains(&Task::Chat).then(|| {
            ChatterServer::new(ChatterService::new(model.clone()))
                .max_decoding_message_size(limit)
                .max_encoding_message_size(limit)
        });
        let imager = model.manifest().tasks.contains(&Task::Image).then(|| {
            ImagerServer::new(ImagerService::new(model.clone()))
                .max_decoding_message_size(limit)
                .max_encoding_message_size(limit)
        });
        let lifecycle = LifecycleServer::new(LifecycleService::new(model, stop))
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
        Self {
            lifecycle,
            embedder,
            chatter,
            imager,
        }
    }
}

impl Service<http::Request<Body>> for Services {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// A path that is nobody's goes to the lifecycle, which answers UNIMPLEMENTED.
    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = request.uri().path().split('/').nth(1);
        let is = |name| service == Some(name);
        match (&mut self.embedder, &mut self.chatter, &mut self.imager) {
            (Some(embedder), ..) if is(EmbedderServer::<EmbedderService>::NAME) => embedder.call(request),
            (_, Some(chatter), _) if is(ChatterServer::<ChatterService>::NAME) => chatter.call(request),
            (.., Some(imager)) if is(ImagerServer::<ImagerService>::NAME) => imager.call(request),
            _ => self.lifecycle.call(request),
        }
    }
}
