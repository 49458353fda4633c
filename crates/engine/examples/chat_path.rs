//! What a token costs on its way from a plugin to whoever reads the reply, and how soon the first one comes.
//!
//! `cargo run --release -p sensorium-engine --example chat_path`, with `sensorium-stub` built beside it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sensorium_engine::{
    CancellationToken, ChatEvent, ChatMessage, ChatRequest, Conversation, Engine, EngineConfig, Error, MessageLimits,
    Metrics, OutputFormat, Owner, Prompt, RequestContext, Role, Sampling, Task, ToolChoice,
};

const MODELS: &str = "[[model]]\nid = \"stub\"\nplugin = \"stub\"\nload = \"eager\"\noptions = { tasks = [\"chat\"], chat = { reply = \"echo\" } }\n";

/// Tokens made, whatever the number of replies at once.
const TOKENS: usize = 400_000;

/// Words of one reply.
const REPLY: usize = 200;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What one reply showed.
struct Seen {
    first: Duration,
    tokens: u32,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let engine = engine(directory.path().join("models.toml")).await?;
    reply(&engine, REPLY as u32).await?;
    for at_once in [1, 8, 32] {
        let begun = Instant::now();
        let replies = TOKENS / REPLY / at_once;
        let clients = (0..at_once).map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move {
                let mut seen = Vec::with_capacity(replies);
                for _ in 0..replies {
                    seen.push(reply(&engine, REPLY as u32).await?);
                }
                Ok::<_, Error>(seen)
            })
        });
        let mut seen = Vec::new();
        for client in futures::future::join_all(clients).await {
            seen.extend(client??);
        }
        report(at_once, &mut seen, begun.elapsed());
    }
    engine.shutdown().await;
    Ok(())
}

async fn reply(engine: &Engine, max_tokens: u32) -> Result<Seen, Error> {
    let asked = Instant::now();
    let context = RequestContext {
        deadline: asked + Duration::from_secs(60),
        cancel: CancellationToken::new(),
        owner: Owner::anonymous(),
        task: Task::Chat,
    };
    let mut stream = engine.admit("stub", context).await?.chat(request(max_tokens)).await?;
    let (mut first, mut tokens) = (None, 0);
    while let Some(event) = stream.next().await {
        match event? {
            ChatEvent::Delta(_) => {
                first.get_or_insert_with(|| asked.elapsed());
            }
            ChatEvent::Finished(finished) => tokens = finished.completion_tokens,
            ChatEvent::ToolCall(_) | ChatEvent::Started(_) | ChatEvent::Refused(_) => {}
        }
    }
    Ok(Seen {
        first: first.unwrap_or_default(),
        tokens,
    })
}

fn request(max_tokens: u32) -> ChatRequest {
    let text = "word ".repeat(max_tokens as usize);
    ChatRequest {
        // The stub repeats as many words as it is told to say.
        prompt: Prompt::Conversation(Conversation {
            messages: vec![ChatMessage::text(Role::User, text)],
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: true,
        }),
        sampling: Sampling::default(),
        max_tokens: Some(max_tokens),
        stop: Vec::new(),
        top_logprobs: None,
        format: OutputFormat::Text,
    }
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

fn report(at_once: usize, seen: &mut [Seen], wall: Duration) {
    seen.sort_by_key(|one| one.first);
    let at = |quantile: f64| seen[((seen.len() - 1) as f64 * quantile) as usize].first;
    let tokens: u32 = seen.iter().map(|one| one.tokens).sum();
    let rate = f64::from(tokens) / wall.as_secs_f64();
    println!(
        "{at_once:2} at once: first token p50 {:?}, p99 {:?}; {rate:.0} tokens/s",
        at(0.5),
        at(0.99)
    );
}
