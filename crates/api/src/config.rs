//! What the server may be told, all of it validated and with working defaults.

use std::net::SocketAddr;
use std::time::Duration;

/// Settings of the HTTP server. Every limit is a hard one: what exceeds it is refused.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Threads that serve connections; `None`: one a core.
    pub workers: Option<usize>,
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// Open connections of one worker.
    pub max_connections: usize,
    /// Largest request body in bytes.
    pub max_body: u64,
    /// Bytes that all bodies under way may take together; reserved before they are read.
    pub body_budget: u64,
    /// Memory that the JSON values of all bodies under way may take together; reserved before they are parsed.
    pub parse_budget: u64,
    /// What a body has to arrive within, before its own size earns it more time.
    pub body_grace: Duration,
    /// Bytes a second that a body must average once its grace is over.
    pub body_rate: u64,
    /// What the head of a request has to arrive within.
    pub head_timeout: Duration,
    /// How long a client may leave a reply that waits for it unread before its connection is closed.
    pub write_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Deadline of a request that names none.
    pub timeout: Duration,
    /// The same for a chat or a completion, whose reply may be long.
    pub chat_timeout: Duration,
    /// The same for images.
    pub image_timeout: Duration,
    /// Bytes of images that are kept for those who asked for links to them; the oldest go first.
    pub kept_images: u64,
    /// How long such a link lasts.
    pub kept_images_for: Duration,
    /// Where clients reach this server, as `https://host/path`, for such links; `None`: where the request came to.
    pub public_url: Option<String>,
    /// The model that ranks images for `best_of`: one that embeds texts and images and has a scoring rule. `None`: the
    /// only one that is loaded.
    pub scoring_model: Option<String>,
    /// How long a stream may say nothing before a comment keeps its connection awake.
    pub stream_keep_alive: Duration,
    /// Longest deadline that a request may ask for with `x-sensorium-timeout-ms`.
    pub max_timeout: Duration,
    /// How long requests under way may take to finish when the server stops.
    pub drain_grace: Duration,
    /// Limits on what one request may hold.
    pub limits: Limits,
}

/// Limits on what one request may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Inputs of one request (OpenAI's limit is 2048 too).
    pub inputs: usize,
    /// JSON values of one body, token ids among them.
    pub values: u64,
    /// Bytes of one text.
    pub text_bytes: usize,
    /// Labels of one classification.
    pub labels: usize,
    /// Prompt templates of one classification.
    pub templates: usize,
    /// Labels times templates.
    pub prompts: usize,
    /// Messages of one chat.
    pub messages: usize,
    /// Parts of all messages of one chat.
    pub parts: usize,
    /// Bytes of all texts of one chat, tools and earlier calls among them, or of all prompts of one completion.
    pub prompt_bytes: usize,
    /// Tools of one chat (OpenAI's limit is 128 too).
    pub tools: usize,
    /// Bytes of one JSON Schema.
    pub schema_bytes: usize,
    /// Levels of lists and objects in one JSON Schema.
    pub schema_depth: usize,
    /// Replies of one request: `n` times the number of prompts.
    pub choices: u32,
    /// Bytes of all replies of one request that is not a stream, log probabilities among them; and of images.
    pub reply_bytes: usize,
    /// Bytes of a mask's file (OpenAI's limit is 4 MiB too).
    pub mask_bytes: usize,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: None,
            backlog: 1024,
            max_connections: 10_000,
            max_body: 64 << 20,
            body_budget: 512 << 20,
            parse_budget: 512 << 20,
            body_grace: Duration::from_secs(10),
            body_rate: 64 << 10,
            head_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            timeout: Duration::from_secs(60),
            // As long as OpenAI's own clients wait.
            chat_timeout: Duration::from_secs(600),
            image_timeout: Duration::from_secs(600),
            kept_images: 256 << 20,
            // As long as OpenAI keeps them.
            kept_images_for: Duration::from_secs(3600),
            public_url: None,
            scoring_model: None,
            stream_keep_alive: Duration::from_secs(15),
            max_timeout: Duration::from_secs(600),
            drain_grace: Duration::from_secs(30),
            limits: Limits::default(),
        }
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            inputs: 2048,
            // 1024 token ids for each of the inputs, or more for fewer.
            values: 2 << 20,
            text_bytes: 1 << 20,
            labels: 1000,
            templates: 16,
            prompts: 8192,
            messages: 2048,
            parts: 4096,
            // A context of a million tokens, and a bit.
            prompt_bytes: 4 << 20,
            tools: 128,
            schema_bytes: 256 << 10,
            schema_depth: 64,
            choices: 128,
            reply_bytes: 64 << 20,
            mask_bytes: 4 << 20,
        }
    }
}
