//! An engine over a registry of stub models in a directory of its own, and what tests ask of it.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sensorium_engine::{
    Admission, CancellationToken, ChatEvent, ChatFinished, ChatMessage, ChatRequest, ChatStream, Conversation,
    EmbedInput, Embedding, Engine, EngineConfig, Error, MessageLimits, Metrics, ModelState, OutputFormat, Owner,
    Prompt, RequestContext, RgbImage, Role, Sampling, Supervision, Task, ToolChoice,
};
use tempfile::TempDir;

/// Longer than anything takes, even on a busy machine; only failing tests wait for so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An engine in a directory of its own.
pub(crate) struct House {
    pub(crate) engine: Engine,
    pub(crate) metrics: Arc<Metrics>,
    directory: TempDir,
}

/// Supervision that restarts without long pauses, so that tests are quick.
pub(crate) fn impatient() -> Supervision {
    Supervision {
        backoff_first: Duration::from_millis(20),
        backoff_max: Duration::from_millis(100),
        breaker_cooldown: Duration::from_millis(300),
        failed_cooldown: Duration::from_millis(300),
        ..Supervision::default()
    }
}

impl House {
    pub(crate) async fn new(models: &str) -> House {
        Self::with(models, impatient(), 0).await
    }

    pub(crate) async fn with(models: &str, supervision: Supervision, cache_bytes: u64) -> House {
        let directory = tempfile::tempdir().unwrap();
        // Processes are told apart from those of other tests by the path that they were started as.
        symlink(stub(), directory.path().join("sensorium-stub")).unwrap();
        std::fs::write(directory.path().join("models.toml"), models).unwrap();
        let config = EngineConfig {
            registry: directory.path().join("models.toml"),
            plugin_path: vec![directory.path().to_owned()],
            cache_bytes,
            message_limits: MessageLimits::default(),
            drain_grace: Duration::from_secs(10),
        };
        let metrics = Metrics::new().unwrap();
        let engine = Engine::start_with(config, Arc::clone(&metrics), supervision)
            .await
            .unwrap();
        House {
            engine,
            metrics,
            directory,
        }
    }

    /// Writes the registry. The file watch may see it at any time; `Engine::reload` makes sure.
    pub(crate) fn write(&self, models: &str) {
        std::fs::write(self.directory.path().join("models.toml"), models).unwrap();
    }

    pub(crate) async fn embed(&self, model: &str, texts: &[&str]) -> Result<Vec<Embedding>, Error> {
        embed(
            &self.engine,
            model,
            texts.iter().map(|text| EmbedInput::text(*text, true)).collect(),
        )
        .await
    }

    /// Many single texts at once; results in order.
    pub(crate) async fn embed_each(
        &self,
        model: &str,
        texts: impl IntoIterator<Item = String>,
    ) -> Vec<Result<Vec<Embedding>, Error>> {
        let model = model.to_owned();
        let tasks: Vec<_> = texts
            .into_iter()
            .map(|text| {
                let (engine, model) = (self.engine.clone(), model.clone());
                tokio::spawn(async move { embed(&engine, &model, vec![EmbedInput::text(text, true)]).await })
            })
            .collect();
        let mut results = Vec::new();
        for task in tasks {
            results.push(task.await.unwrap());
        }
        results
    }

    pub(crate) async fn admit_chat(&self, model: &str) -> Admission {
        self.engine.admit(model, chat_context()).await.unwrap()
    }

    /// One reply, begun.
    pub(crate) async fn chat(&self, model: &str, text: &str) -> Result<ChatStream, Error> {
        let admission = self.engine.admit(model, chat_context()).await?;
        admission.chat(prompt(text)).await
    }

    /// One reply, begun by a task of its own.
    pub(crate) fn open(&self, model: &str, text: &str) -> tokio::task::JoinHandle<Result<ChatStream, Error>> {
        let (engine, model, request) = (self.engine.clone(), model.to_owned(), prompt(text));
        tokio::spawn(async move { engine.admit(&model, chat_context()).await?.chat(request).await })
    }

    /// One reply, read to its end by a task of its own.
    pub(crate) fn chat_whole(&self, model: &str, text: &str) -> tokio::task::JoinHandle<Result<Whole, Error>> {
        let (engine, model, request) = (self.engine.clone(), model.to_owned(), prompt(text));
        tokio::spawn(async move {
            let admission = engine.admit(&model, chat_context()).await?;
            read(admission.chat(request).await?).await
        })
    }

    /// Prompts that wait, and those that an instance works on.
    pub(crate) fn waiting_and_running(&self, model: &str) -> (f64, f64) {
        let of = |name: &str| self.metric(&format!("sensorium_requests_{name}"), model);
        (of("waiting"), of("running"))
    }

    pub(crate) fn restarts(&self, model: &str) -> f64 {
        self.metric("sensorium_instance_restarts_total", model)
    }

    pub(crate) fn state(&self, model: &str) -> ModelState {
        self.engine.model(model).unwrap().state
    }

    pub(crate) async fn until_ready(&self, model: &str) {
        eventually("the model is ready", || self.state(model) == ModelState::Ready).await;
    }

    /// Process ids of this house's plugins.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let prefix = self.directory.path().to_string_lossy().into_owned();
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let command = std::fs::read(entry.path().join("cmdline")).ok()?;
            let served = command.windows(7).any(|part| part == b"\0serve\0");
            (served && command.starts_with(prefix.as_bytes())).then_some(pid)
        });
        processes.collect()
    }

    /// The sum of a metric's values over the series of one model.
    pub(crate) fn metric(&self, name: &str, model: &str) -> f64 {
        let text = self.metrics.render().unwrap();
        let label = format!("model=\"{model}\"");
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'));
        let lines = text.lines().filter(of_name).filter(|line| line.contains(&label));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// Calls that this model's instances have answered.
    pub(crate) fn calls(&self, model: &str) -> f64 {
        self.metric("sensorium_batch_size_count", model)
    }

    /// A request that keeps the model's one instance busy until it is dropped or done.
    pub(crate) async fn occupy(
        &self,
        model: &str,
        how: &str,
    ) -> tokio::task::JoinHandle<Result<Vec<Embedding>, Error>> {
        let (engine, name, input) = (self.engine.clone(), model.to_owned(), EmbedInput::text(how, true));
        let sent = || self.metric("sensorium_queue_duration_seconds_count", model);
        let before = sent();
        let task = tokio::spawn(async move { embed(&engine, &name, vec![input]).await });
        eventually("the instance is busy", || sent() > before).await;
        task
    }
}

pub(crate) async fn embed(engine: &Engine, model: &str, inputs: Vec<EmbedInput>) -> Result<Vec<Embedding>, Error> {
    engine.admit(model, context()).await?.embed(inputs).await
}

pub(crate) fn context() -> RequestContext {
    context_within(PATIENCE)
}

pub(crate) fn context_within(time: Duration) -> RequestContext {
    RequestContext {
        deadline: Instant::now() + time,
        cancel: CancellationToken::new(),
        owner: Owner::anonymous(),
        task: Task::Embed,
    }
}

pub(crate) fn chat_context() -> RequestContext {
    RequestContext {
        task: Task::Chat,
        ..context()
    }
}

pub(crate) fn prompt(text: &str) -> ChatRequest {
    ChatRequest {
        prompt: Prompt::Conversation(Conversation {
            messages: vec![ChatMessage::text(Role::User, text)],
            tools: vec![],
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: true,
        }),
        sampling: Sampling::default(),
        max_tokens: None,
        stop: vec![],
        top_logprobs: None,
        format: OutputFormat::Text,
    }
}

/// A whole reply.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Whole {
    pub(crate) text: String,
    /// Tokens that its deltas speak of.
    pub(crate) tokens: u32,
    pub(crate) finished: ChatFinished,
}

/// Reads a reply to its end.
pub(crate) async fn read(mut stream: ChatStream) -> Result<Whole, Error> {
    let (mut text, mut tokens) = (String::new(), 0);
    while let Some(event) = stream.next().await {
        match event? {
            ChatEvent::Delta(delta) => {
                text.push_str(&delta.text);
                tokens += delta.tokens;
            }
            ChatEvent::Finished(finished) => {
                assert!(stream.next().await.is_none(), "something comes after the end");
                return Ok(Whole { text, tokens, finished });
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("it ended without an end");
}

/// How many events of a reply come before its error, and that error.
pub(crate) async fn read_to_error(mut stream: ChatStream) -> (usize, Error) {
    for count in 0.. {
        match stream.next().await {
            Some(Ok(ChatEvent::Delta(_))) => {}
            Some(Err(error)) => {
                assert!(stream.next().await.is_none(), "something comes after the error");
                return (count, error);
            }
            other => panic!("{other:?}"),
        }
    }
    unreachable!()
}

pub(crate) fn image(side: u32, byte: u8) -> EmbedInput {
    EmbedInput::image(RgbImage::new(side, side, vec![byte; (side * side * 3) as usize]).unwrap())
}

pub(crate) fn kill(pid: u32) {
    let killed = std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, condition: impl FnMut() -> bool) {
    let mut condition = condition;
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "it never came to be that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Fails a test that would wait for ever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it took too long")
}

/// The stub plugin, built by the same `cargo` call as the tests.
fn stub() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let stub = test.ancestors().nth(2).unwrap().join("sensorium-stub");
    assert!(
        stub.is_file(),
        "build it first: cargo build --release -p sensorium-stub"
    );
    stub
}
