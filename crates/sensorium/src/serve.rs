//! `sensorium serve`: builds the rooms from the settings, runs them, and drains them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use sensorium_api::{Config, Server};
use sensorium_engine::{Engine, EngineConfig, MessageLimits, Metrics};
use sensorium_media::{AllowEntry, FetchConfig, Media, MediaConfig};

use crate::cli::ServeOptions;
use crate::logging;
use crate::signals::Signals;

/// Serves until a signal stops it.
///
/// # Errors
/// If it can't start.
pub(crate) async fn serve(options: ServeOptions) -> anyhow::Result<()> {
    logging::start(&options.log, options.log_format)?;
    let mut signals = Signals::listen().context("signals can't be listened to")?;
    let media = media(&options)?;
    let metrics = Metrics::new().context("metrics can't be set up")?;
    let engine = Engine::start(engine_config(&options), metrics)
        .await
        .map_err(|problems| anyhow!("the registry has problems\n{problems}"))?;
    let served = run(&options, &engine, media, &mut signals).await;
    let deadline = served
        .as_ref()
        .map_or_else(|_| Instant::now() + options.grace, |deadline| *deadline);
    // Whatever happened, no plugin outlives the host.
    tokio::select! {
        () = engine.shutdown_by(deadline) => {}
        () = signals.until_again() => std::process::exit(130),
    }
    served.map(drop)
}

/// Serves until a signal, then lets requests finish. Returns when everything must have ended.
async fn run(options: &ServeOptions, engine: &Engine, media: Media, signals: &mut Signals) -> anyhow::Result<Instant> {
    let server = Server::build(api_config(options), engine.clone(), media).with_context(|| {
        format!(
            "can't listen on {}: is another server there? try --listen",
            options.listen
        )
    })?;
    announce(&server, engine, &options.registry);
    let stopper = server.stopper();
    let mut serving = tokio::spawn(server.run());
    tokio::select! {
        ended = &mut serving => {
            ended.context("the server failed")?.context("the server failed")?;
            return Ok(Instant::now() + options.grace);
        }
        signal = signals.until_stop(engine) => tracing::info!(signal, "draining; the same signal again stops at once"),
    }
    let deadline = Instant::now() + options.grace;
    tokio::select! {
        finished = stopper.stop() => tracing::info!(finished, "drained"),
        () = signals.until_again() => std::process::exit(130),
    }
    if let Err(ended) = tokio::time::timeout(Duration::from_secs(5), serving).await {
        tracing::warn!(%ended, "connections were cut");
    }
    Ok(deadline)
}

/// One line for people: where it is, and what to try.
fn announce(server: &Server, engine: &Engine, registry: &Path) {
    let address = server.address();
    let models = engine.models();
    let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    println!(
        "Sensorium serves {} on http://{address} - try http://{address}/docs",
        list(&ids)
    );
    tracing::info!(%address, registry = %registry.display(), models = ids.len(), "listening");
}

fn list(ids: &[&str]) -> String {
    match ids {
        [] => "no models".to_owned(),
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", rest.len())
        }
        few => few.join(", "),
    }
}

fn api_config(options: &ServeOptions) -> Config {
    Config {
        listen: options.listen,
        workers: options.workers.map(usize::from),
        max_body: options.max_body,
        body_budget: options.body_budget.max(options.max_body),
        timeout: options.timeout.min(options.max_timeout),
        chat_timeout: options.chat_timeout.min(options.max_timeout),
        image_timeout: options.image_timeout.min(options.max_timeout),
        kept_images: options.kept_images,
        public_url: options.public_url.clone(),
        scoring_model: options.scoring_model.clone(),
        max_timeout: options.max_timeout,
        drain_grace: options.grace,
        ..Config::default()
    }
}

fn engine_config(options: &ServeOptions) -> EngineConfig {
    EngineConfig {
        registry: options.registry.clone(),
        plugin_path: options.plugins.plugin_path.clone(),
        cache_bytes: if options.no_cache { 0 } else { options.cache_bytes },
        message_limits: MessageLimits::default(),
        drain_grace: options.grace,
    }
}

fn media(options: &ServeOptions) -> anyhow::Result<Media> {
    let allow = options
        .media_allow
        .iter()
        .map(|entry| entry.parse())
        .collect::<Result<Vec<AllowEntry>, _>>();
    let fetch = FetchConfig {
        allow: allow.context("--media-allow")?,
        ..FetchConfig::default()
    };
    Media::new(MediaConfig {
        fetch,
        ..MediaConfig::default()
    })
    .context("images can't be read")
}
