//! The HTTP server: a [`Config`], an engine and media make one.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use actix_http::{HttpService, KeepAlive, Protocol};
use actix_server::ServerHandle;
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use actix_web::web::Data;
use sensorium_engine::Engine;
use sensorium_media::Media;
use socket2::{Domain, Protocol as SocketProtocol, Type};

use crate::app::app;
use crate::body::BodyBudget;
use crate::config::Config;
use crate::files::FileStore;
use crate::socket::Socket;
use crate::state::{AppState, Running};

/// A server that listens already, and serves once it is run.
pub struct Server {
    address: SocketAddr,
    server: actix_server::Server,
    stopper: Stopper,
}

/// Stops a running server in order.
#[derive(Clone)]
pub struct Stopper {
    engine: Engine,
    running: Running,
    handle: ServerHandle,
    grace: Duration,
}

// === impl Server ===

impl Server {
    /// Binds the address and gets everything ready; call it inside a Tokio runtime.
    ///
    /// # Errors
    /// If the address can't be bound, or a limit contradicts another.
    pub fn build(config: Config, engine: Engine, media: Media) -> io::Result<Self> {
        if config.max_body > config.body_budget {
            let message = "max_body must not exceed the budget of all bodies";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let listener = bind(config.listen, config.backlog)?;
        let address = listener.local_addr()?;
        let running = Running::default();
        let state = Data::new(AppState {
            bodies: BodyBudget::new(config.body_budget),
            parsing: BodyBudget::new(config.parse_budget),
            files: FileStore::new(config.kept_images, config.kept_images_for),
            running: running.clone(),
            started: Instant::now(),
            engine: engine.clone(),
            media,
            config: config.clone(),
        });
        let server = serve(&config, listener, state)?;
        let stopper = Stopper {
            engine,
            running,
            handle: server.handle(),
            grace: config.drain_grace,
        };
        Ok(Self {
            address,
            server,
            stopper,
        })
    }

    /// Where it listens; the real port if the configured one was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stops it.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// If the server can't go on.
    pub async fn run(self) -> io::Result<()> {
        self.server.await
    }
}

// === impl Stopper ===

impl Stopper {
    /// Turns `/readyz` to 503 and refuses new work, lets what runs finish within the grace
    /// period, and closes the listener. True if everything finished in time.
    pub async fn stop(&self) -> bool {
        self.engine.drain();
        let end = Instant::now() + self.grace;
        while self.running.count() > 0 && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let finished = self.running.count() == 0;
        self.handle.stop(finished).await;
        finished
    }
}

/// One actix server on one listener. `HttpServer` would do, but for the socket in between.
fn serve(config: &Config, listener: TcpListener, state: Data<AppState>) -> io::Result<actix_server::Server> {
    let address = listener.local_addr()?;
    let settings = config.clone();
    let mut builder = actix_server::Server::build()
        .disable_signals()
        .backlog(config.backlog)
        .max_concurrent_connections(config.max_connections)
        .shutdown_timeout(2);
    if let Some(workers) = config.workers {
        builder = builder.workers(workers.max(1));
    }
    let shutdown = builder.graceful_shutdown_signal();
    let builder = builder.listen("sensorium", listener, move || {
        let shutdown = shutdown.clone();
        let app = app(state.clone())
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let signal = shutdown.clone();
                async move { signal.notified().await }
            })
            .keep_alive(KeepAlive::Timeout(settings.keep_alive))
            .client_request_timeout(settings.head_timeout)
            .client_disconnect_timeout(Duration::from_secs(1))
            // Or a handler runs on after its client has closed the connection.
            .h1_allow_half_closed(false)
            .local_addr(address)
            .on_connect_ext(|socket: &Socket, data| {
                data.insert(socket.exchange());
            })
            .finish(map_config(app, |()| AppConfig::default()));
        let (head_timeout, write_timeout) = (settings.head_timeout, settings.write_timeout);
        fn_service(move |stream: TcpStream| async move {
            let peer = stream.peer_addr().ok();
            let _ = stream.set_nodelay(true);
            Ok((Socket::new(stream, head_timeout, write_timeout), Protocol::Http1, peer))
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}

fn bind(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(SocketProtocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
