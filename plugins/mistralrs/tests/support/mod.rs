//! What the tests of this crate share: a process with a model, conversations, whole replies, golden files.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sensorium_contract::client::{CallError, PluginClient};
use sensorium_contract::process::{Launch, PluginProcess};
use sensorium_contract::{
    Capabilities, ChatDelta, ChatEvent, ChatFinished, ChatMessage, ChatPart, ChatRefused, ChatRequest, ChatStarted,
    Conversation, LoadRequest, OutputFormat, Prompt, RgbImage, Role, Sampling, TokenLogprob, ToolCall, ToolChoice,
};
use serde::Deserialize;

/// What a reply may take. Far more than any does, so that a busy machine fails no test.
const DEADLINE: Duration = Duration::from_secs(120);

/// A plugin process with a model.
pub(crate) struct Running {
    pub(crate) process: PluginProcess,
    pub(crate) client: PluginClient,
    pub(crate) capabilities: Capabilities,
}

/// A whole reply.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) started: ChatStarted,
    pub(crate) text: String,
    /// Tokens that the deltas counted.
    pub(crate) tokens: u32,
    pub(crate) logprobs: Vec<TokenLogprob>,
    pub(crate) tool_calls: Vec<ToolCall>,
    pub(crate) finished: ChatFinished,
}

/// A tiny model's folder.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Starts a process and loads a model in f32 on the CPU.
pub(crate) async fn start(model: &Path) -> Running {
    start_with(model, "{}").await.expect("the model loads")
}

/// Starts a process and loads a model with options.
pub(crate) async fn start_with(model: &Path, options: &str) -> Result<Running, CallError> {
    let executable = env!("CARGO_BIN_EXE_sensorium-mistralrs");
    let process = PluginProcess::start(&Launch::new(executable), |line| eprintln!("{line:?}"))
        .await
        .expect("the plugin starts");
    let client = process.client();
    let request = LoadRequest {
        path: Some(model.to_owned()),
        device: "cpu".to_owned(),
        dtype: "f32".to_owned(),
        threads: Some(1),
        options: serde_json::from_str(options).expect("options are a JSON object"),
        ..LoadRequest::new("test")
    };
    let capabilities = client.load(&request, |_| {}).await?;
    Ok(Running {
        process,
        client,
        capabilities,
    })
}

impl Running {
    /// The whole reply to a request that is answered.
    pub(crate) async fn answer(&self, request: ChatRequest) -> Answer {
        self.ask(request)
            .await
            .expect("the plugin replies")
            .expect("the prompt is not refused")
    }

    /// Why a request is refused.
    pub(crate) async fn refusal(&self, request: ChatRequest) -> ChatRefused {
        self.ask(request)
            .await
            .expect("the plugin replies")
            .expect_err("the prompt is refused")
    }

    /// What comes of a request.
    pub(crate) async fn ask(&self, request: ChatRequest) -> Result<Result<Answer, ChatRefused>, CallError> {
        let mut call = self.client.chat(request, Some(Instant::now() + DEADLINE)).await?;
        let mut started = ChatStarted::default();
        let (mut text, mut tokens, mut logprobs, mut tool_calls) = (String::new(), 0, Vec::new(), Vec::new());
        while let Some(event) = call.next().await? {
            match event {
                ChatEvent::Started(event) => started = event,
                ChatEvent::Delta(delta) => {
                    let ChatDelta {
                        text: more,
                        tokens: made,
                        logprobs: of_them,
                    } = delta;
                    text.push_str(&more);
                    tokens += made;
                    logprobs.extend(of_them);
                }
                ChatEvent::ToolCall(call) => tool_calls.push(call),
                ChatEvent::Refused(refused) => return Ok(Err(refused)),
                ChatEvent::Finished(finished) => {
                    return Ok(Ok(Answer {
                        started,
                        text,
                        tokens,
                        logprobs,
                        tool_calls,
                        finished,
                    }));
                }
            }
        }
        panic!("the reply ended without an end");
    }
}

/// A greedy request with log probabilities and the three likeliest tokens.
pub(crate) fn greedy(messages: Vec<ChatMessage>, max_tokens: u32) -> ChatRequest {
    ChatRequest {
        prompt: Prompt::Conversation(Conversation {
            messages,
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: true,
        }),
        sampling: Sampling {
            temperature: Some(0.0),
            ..Sampling::default()
        },
        max_tokens: Some(max_tokens),
        stop: Vec::new(),
        top_logprobs: Some(3),
        format: OutputFormat::Text,
    }
}

/// A request at temperature 1.
pub(crate) fn sampled(messages: Vec<ChatMessage>, max_tokens: u32, seed: u64) -> ChatRequest {
    let mut request = greedy(messages, max_tokens);
    request.sampling.temperature = Some(1.0);
    request.sampling.seed = seed;
    request
}

/// A user's message of an image and words.
pub(crate) fn shown(image: &RgbImage, text: &str) -> ChatMessage {
    let mut message = ChatMessage::text(Role::User, text);
    message.parts.insert(0, ChatPart::Image(image.clone()));
    message
}

/// What the user says.
pub(crate) fn said(text: &str) -> ChatMessage {
    ChatMessage::text(Role::User, text)
}

// --- golden files -----------------------------------------------------------------------------------------------

/// What `make_goldens.py` expects of a model.
#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(crate) max_tokens: u32,
    pictures: Vec<Picture>,
    pub(crate) prompts: Vec<ExpectedReply>,
}

#[derive(Deserialize)]
struct Picture {
    width: u32,
    height: u32,
    /// Side of a block of one colour.
    block: u32,
    /// Base64 of the blocks' colours.
    rgb: String,
}

/// A conversation and transformers' greedy reply.
#[derive(Deserialize)]
pub(crate) struct ExpectedReply {
    messages: Vec<ExpectedMessage>,
    pub(crate) prompt_tokens: u32,
    pub(crate) image_tokens: u32,
    /// With the token that ended the reply.
    pub(crate) ids: Vec<u32>,
    pub(crate) text: String,
    pub(crate) logprobs: Vec<f32>,
    pub(crate) top: Vec<Vec<(u32, f32)>>,
}

#[derive(Deserialize)]
struct ExpectedMessage {
    role: String,
    parts: Vec<ExpectedPart>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ExpectedPart {
    Picture(usize),
    Text(String),
}

impl Expected {
    /// Of one of this folder's models.
    pub(crate) fn read(name: &str) -> Self {
        let json = std::fs::read_to_string(golden(name).join("expected.json")).expect("make_goldens.py made it");
        serde_json::from_str(&json).expect("the expectations are valid")
    }

    /// A picture.
    pub(crate) fn picture(&self, index: usize) -> RgbImage {
        let Picture {
            width,
            height,
            block,
            rgb,
        } = &self.pictures[index];
        let colours = BASE64_STANDARD.decode(rgb).expect("valid base64");
        let pixel = |x: u32, y: u32| {
            let at = 3 * ((y / block) * (width / block) + x / block) as usize;
            colours[at..at + 3].to_vec()
        };
        let rgb: Vec<u8> = (0..height * width).flat_map(|i| pixel(i % width, i / width)).collect();
        RgbImage::new(*width, *height, rgb).expect("as many bytes as pixels")
    }

    /// The messages of a prompt.
    pub(crate) fn messages(&self, prompt: &ExpectedReply) -> Vec<ChatMessage> {
        prompt.messages.iter().map(|message| self.message(message)).collect()
    }

    fn message(&self, message: &ExpectedMessage) -> ChatMessage {
        let role = match message.role.as_str() {
            "system" => Role::System,
            "assistant" => Role::Assistant,
            _ => Role::User,
        };
        let mut made = ChatMessage::text(role, "");
        made.parts = message
            .parts
            .iter()
            .map(|part| match part {
                ExpectedPart::Picture(index) => ChatPart::Image(self.picture(*index)),
                ExpectedPart::Text(text) => ChatPart::Text(text.clone()),
            })
            .collect();
        made
    }
}
