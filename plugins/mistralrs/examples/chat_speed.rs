//! A loaded model at the end of a pipe, for benchmarks: `chat_speed MODEL_DIR THREADS OPTIONS`.
//!
//! OPTIONS is the JSON object of the registry's `[model.options]`. Each line on standard input, `{"images": ["a.png"],
//! "question": "…", "tokens": 64}`, asks the question about each image at once, all greedy, replies of at most so many
//! tokens; the answer is one line of JSON with, for each reply, the seconds to its first token and to its last, how many
//! tokens there were and its text, and the processor seconds until the first reply began and of all.

use std::{
    io::{BufRead, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use sensorium_contract::{
    CallContext, Chat, ChatEvent, ChatMessage, ChatPart, ChatReply, ChatRequest, Conversation, LoadRequest,
    OutputFormat, Plugin, PluginError, Prompt, RgbImage, Role, Sampling, ToolChoice,
};
use sensorium_mistralrs::MistralrsPlugin;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    images: Vec<PathBuf>,
    question: String,
    tokens: u32,
}

/// One reply.
#[derive(Debug, Serialize)]
struct Answer {
    first: f64,
    last: f64,
    tokens: u32,
    text: String,
    #[serde(skip)]
    core_first: f64,
}

fn main() -> Result<(), Failure> {
    let [directory, threads, options] = <[String; 3]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
        .map_err(|_| "usage: chat_speed MODEL_DIR THREADS OPTIONS")?;
    let mut request = LoadRequest::new("bench");
    request.path = Some(PathBuf::from(directory).canonicalize()?);
    request.device = "cpu".to_owned();
    request.dtype = "f32".to_owned();
    request.threads = Some(threads.parse()?);
    request.options = serde_json::from_str(&options)?;
    let chat = MistralrsPlugin
        .load(&request, &|_| {})?
        .chat
        .ok_or("the model does not chat")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for line in std::io::stdin().lock().lines() {
        let command: Command = serde_json::from_str(&line?)?;
        let answer = runtime.block_on(run(chat.as_ref(), &command))?;
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Asks about all images at once.
async fn run(chat: &dyn Chat, command: &Command) -> Result<serde_json::Value, Failure> {
    let requests: Vec<ChatRequest> = command
        .images
        .iter()
        .map(|path| ask(path, command))
        .collect::<Result<_, _>>()?;
    let (start, busy) = (Instant::now(), core_seconds());
    let mut readers = tokio::task::JoinSet::new();
    for (index, request) in requests.into_iter().enumerate() {
        let (sender, events) = mpsc::channel(64);
        chat.chat(request, ChatReply::new(sender, CallContext::default()));
        readers.spawn(async move { (index, read(events, start, busy).await) });
    }
    let mut answers = Vec::new();
    while let Some(answer) = readers.join_next().await {
        let (index, answer) = answer?;
        answers.push((index, answer?));
    }
    answers.sort_by_key(|(index, _)| *index);
    let answers: Vec<Answer> = answers.into_iter().map(|(_, answer)| answer).collect();
    let first = answers
        .iter()
        .map(|answer| answer.core_first)
        .fold(f64::INFINITY, f64::min);
    let core_seconds = core_seconds() - busy;
    Ok(serde_json::json!({ "answers": answers, "core_first": first, "core_seconds": core_seconds }))
}

fn ask(image: &Path, command: &Command) -> Result<ChatRequest, Failure> {
    let pixels = image::open(image)?.to_rgb8();
    let image = RgbImage::new(pixels.width(), pixels.height(), pixels.into_raw())?;
    let message = ChatMessage {
        role: Role::User,
        parts: vec![ChatPart::Image(image), ChatPart::Text(command.question.clone())],
        tool_calls: Vec::new(),
        tool_call_id: None,
        name: None,
    };
    Ok(ChatRequest {
        prompt: Prompt::Conversation(Conversation {
            messages: vec![message],
            tools: Vec::new(),
            tool_choice: ToolChoice::None,
            parallel_tool_calls: false,
        }),
        sampling: Sampling {
            temperature: Some(0.0),
            ..Sampling::default()
        },
        max_tokens: Some(command.tokens),
        stop: Vec::new(),
        top_logprobs: None,
        format: OutputFormat::Text,
    })
}

/// Reads a reply to its end.
async fn read(
    mut events: mpsc::Receiver<Result<ChatEvent, PluginError>>,
    start: Instant,
    busy: f64,
) -> Result<Answer, Failure> {
    let mut answer = Answer {
        first: 0.0,
        last: 0.0,
        tokens: 0,
        text: String::new(),
        core_first: 0.0,
    };
    while let Some(event) = events.recv().await {
        match event.map_err(|error| error.message)? {
            ChatEvent::Delta(delta) => {
                answer.last = start.elapsed().as_secs_f64();
                if answer.first == 0.0 {
                    (answer.first, answer.core_first) = (answer.last, core_seconds() - busy);
                }
                answer.text.push_str(&delta.text);
            }
            ChatEvent::Finished(finished) => {
                answer.tokens = finished.completion_tokens;
                return Ok(answer);
            }
            ChatEvent::Refused(refused) => return Err(refused.message.into()),
            _ => {}
        }
    }
    Err("the reply has no end".into())
}

/// Processor time of this process, all threads.
fn core_seconds() -> f64 {
    let statistics = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = statistics
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}
