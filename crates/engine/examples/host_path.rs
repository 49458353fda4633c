//! What the engine adds to a call: the same tiny request through the bare client and through the engine.
//!
//! `cargo run --release -p sensorium-engine --example host_path`, with `sensorium-stub` built beside it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sensorium_contract::process::{Launch, PluginProcess, find_plugin};
use sensorium_contract::{EmbedInput, LoadRequest};
use sensorium_engine::{CancellationToken, Engine, EngineConfig, MessageLimits, Metrics, Owner, RequestContext, Task};

const REQUESTS: usize = 5_000;
const MODELS: &str = "[[model]]\nid = \"stub\"\nplugin = \"stub\"\nload = \"eager\"\n";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let inputs = || vec![EmbedInput::text("a red circle above a blue square", true)];
    let process = load().await?;
    let client = process.client();
    let deadline = || Instant::now() + Duration::from_secs(60);
    let mut bare = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let start = Instant::now();
        client.embed(inputs(), 64, Some(deadline())).await?;
        bare.push(start.elapsed());
    }
    report("bare client, 1 at a time", bare, None);

    let directory = tempfile::tempdir()?;
    let engine = engine(directory.path().join("models.toml")).await?;
    let mut whole = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let start = Instant::now();
        engine.admit("stub", context(deadline())).await?.embed(inputs()).await?;
        whole.push(start.elapsed());
    }
    report("engine, 1 at a time", whole, None);
    for clients in [8, 64] {
        let start = Instant::now();
        let tasks = (0..clients).map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                for _ in 0..4 * REQUESTS / clients {
                    let start = Instant::now();
                    let admission = engine.admit("stub", context(start + Duration::from_secs(60))).await?;
                    admission
                        .embed(vec![EmbedInput::text("a red circle above a blue square", true)])
                        .await?;
                    times.push(start.elapsed());
                }
                Ok::<_, sensorium_engine::Error>(times)
            })
        });
        let mut times = Vec::new();
        for task in futures::future::join_all(tasks).await {
            times.extend(task??);
        }
        report(&format!("engine, {clients} at a time"), times, Some(start.elapsed()));
    }
    engine.shutdown().await;
    Ok(())
}

async fn load() -> Outcome<PluginProcess> {
    let executable = find_plugin("stub", &[]).ok_or("build sensorium-stub first")?;
    let process = PluginProcess::start(&Launch::new(executable), |_| {}).await?;
    let request = LoadRequest {
        model: "stub".into(),
        path: None,
        device: "cpu".into(),
        dtype: "auto".into(),
        threads: None,
        options: serde_json::Map::new(),
    };
    process.client().load(&request, |_| {}).await?;
    Ok(process)
}

async fn engine(registry: PathBuf) -> Outcome<Engine> {
    std::fs::write(&registry, MODELS)?;
    let config = EngineConfig {
        registry,
        plugin_path: Vec::new(),
        cache_bytes: 0,
        message_limits: MessageLimits::default(),
        drain_grace: Duration::from_secs(1),
    };
    let metrics: Arc<Metrics> = Metrics::new()?;
    Ok(Engine::start(config, metrics).await?)
}

fn context(deadline: Instant) -> RequestContext {
    RequestContext {
        deadline,
        cancel: CancellationToken::new(),
        owner: Owner::anonymous(),
        task: Task::Embed,
    }
}

fn report(what: &str, mut times: Vec<Duration>, wall: Option<Duration>) {
    times.sort();
    let at = |quantile: f64| times[((times.len() - 1) as f64 * quantile) as usize];
    let rate = wall.map_or(String::new(), |wall| {
        format!(", {:.0}/s", times.len() as f64 / wall.as_secs_f64())
    });
    println!("{what:24} p50 {:?}, p99 {:?}{rate}", at(0.5), at(0.99));
}
