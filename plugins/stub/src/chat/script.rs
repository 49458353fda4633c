//! What the stub is going to say: tokens, one after the other, and the tools that it calls.

use sensorium_contract::{
    ChatRefused, ChatRequest, ChatTool, Conversation, OutputFormat, Prompt, RefusalCode, Role, Sampling, ToolCall,
    ToolChoice,
};
use serde_json::json;

use super::options::{ChatOptions, Says};
use super::prompt::{Reading, said};
use super::schema;
use super::words::{self, END, Token};
use crate::hash::hash;

/// How often another word is drawn because `logit_bias` forbids the last.
const DRAWS: u64 = 64;

/// From where on `logit_bias` settles a choice.
const SETTLED: f32 = 100.0;

/// What the stub is going to say.
#[derive(Debug)]
pub(crate) struct Script {
    source: Source,
    /// What it calls once it has said it.
    pub(crate) calls: Vec<ToolCall>,
}

#[derive(Debug)]
enum Source {
    /// So many words, drawn with the key.
    Words { key: u64, count: u32, sampling: Sampling },
    /// What there is to say, after which come words.
    Pieces(Vec<Token>, Option<Box<Source>>),
}

// === impl Script ===

impl Script {
    /// What is said to a request; `words` long, if it comes to words and that is given.
    ///
    /// # Errors
    /// If a schema can't be followed.
    pub(crate) fn new(
        request: &ChatRequest,
        reading: &Reading,
        options: &ChatOptions,
        count: Option<u32>,
    ) -> Result<Self, ChatRefused> {
        let calls = match &request.prompt {
            Prompt::Conversation(conversation) => calls(conversation, &said(request), reading.key)?,
            Prompt::Text(_) | Prompt::TokenIds(_) => Vec::new(),
        };
        let words = Source::Words {
            key: reading.key,
            count: count.unwrap_or(options.reply_tokens),
            sampling: request.sampling.clone(),
        };
        let text = |text: &str| Source::Pieces(words::pieces(text), None);
        let source = match (&request.format, options.reply) {
            _ if !calls.is_empty() => {
                let written: String = calls.iter().map(|call| call.arguments.as_str()).collect();
                text(&written)
            }
            (OutputFormat::JsonObject, _) => text(&json!({"reply": words.take(4)}).to_string()),
            (OutputFormat::JsonSchema(schema), _) => text(&follow(schema, "format")?.to_string()),
            (OutputFormat::Text, Says::Echo) if count.is_none() => {
                let pieces = words::pieces(&said(request)).into_iter();
                Source::Pieces(
                    pieces.filter(|piece| is_allowed(piece.id, &request.sampling)).collect(),
                    None,
                )
            }
            (OutputFormat::Text, _) => {
                let sizes = reading
                    .images
                    .iter()
                    .map(|(width, height)| format!("{width}x{height} "));
                let sizes = sizes
                    .map(Token::piece)
                    .filter(|size| is_allowed(size.id, &request.sampling));
                Source::Pieces(sizes.collect(), Some(Box::new(words)))
            }
        };
        Ok(Self { source, calls })
    }

    /// Its `k`-th token, from 0; `None` once all has been said.
    pub(crate) fn token(&self, k: u32) -> Option<Token> {
        self.source.token(k)
    }

    /// True if its tokens are the arguments of calls, not text.
    pub(crate) fn is_call(&self) -> bool {
        !self.calls.is_empty()
    }
}

// === impl Source ===

impl Source {
    fn token(&self, k: u32) -> Option<Token> {
        match self {
            Source::Words { key, count, sampling } => {
                let id = (k < *count)
                    .then(|| choose(*key, k, sampling))
                    .filter(|id| *id != END)?;
                Some(Token::word(id, k == 0))
            }
            Source::Pieces(pieces, rest) => match pieces.get(k as usize) {
                Some(piece) => Some(piece.clone()),
                None => rest.as_ref()?.token(k - pieces.len() as u32),
            },
        }
    }

    fn take(&self, count: u32) -> String {
        (0..count)
            .map_while(|k| self.token(k))
            .map(|token| token.text)
            .collect()
    }
}

/// The `k`-th word.
fn choose(key: u64, k: u32, sampling: &Sampling) -> u32 {
    let settled = sampling.logit_bias.iter().find(|(_, bias)| **bias >= SETTLED);
    if let Some((&id, _)) = settled {
        return id;
    }
    let mut draws = (0..DRAWS).map(|draw| words::draw(hash(key, &(u64::from(k) << 32 | draw).to_le_bytes())));
    draws.find(|&id| is_allowed(id, sampling)).unwrap_or(END)
}

/// False for what `logit_bias` forbids.
fn is_allowed(id: u32, sampling: &Sampling) -> bool {
    sampling.logit_bias.get(&id).is_none_or(|bias| *bias > -SETTLED)
}

/// The tools that are called: the one that is demanded, or those that the user speaks of.
fn calls(conversation: &Conversation, said: &str, key: u64) -> Result<Vec<ToolCall>, ChatRefused> {
    let tools = &conversation.tools;
    let named = |tool: &&ChatTool| said.contains(&tool.name);
    let asked = conversation
        .messages
        .last()
        .is_some_and(|message| message.role == Role::User);
    let mut called: Vec<&ChatTool> = match &conversation.tool_choice {
        ToolChoice::None => Vec::new(),
        // Its answer is to be talked about, not asked for again.
        ToolChoice::Auto if !asked => Vec::new(),
        ToolChoice::Auto => tools.iter().filter(named).collect(),
        ToolChoice::Named(name) => tools.iter().filter(|tool| tool.name == *name).collect(),
        ToolChoice::Required => {
            let all: Vec<_> = tools.iter().filter(named).collect();
            if all.is_empty() {
                tools.iter().take(1).collect()
            } else {
                all
            }
        }
    };
    if !conversation.parallel_tool_calls {
        called.truncate(1);
    }
    let calls = called.into_iter().enumerate().map(|(index, tool)| {
        let field = || {
            let place = tools.iter().position(|other| other.name == tool.name).unwrap_or(index);
            format!("conversation.tools[{place}]")
        };
        let arguments = match &tool.parameters {
            Some(schema) => follow(schema, &field())?,
            None => json!({}),
        };
        Ok(ToolCall {
            id: format!("call_{:016x}", hash(key, format!("{index} {}", tool.name).as_bytes())),
            name: tool.name.clone(),
            arguments: arguments.to_string(),
        })
    });
    calls.collect()
}

fn follow(schema: &serde_json::Value, field: &str) -> Result<serde_json::Value, ChatRefused> {
    schema::instance(schema).map_err(|message| ChatRefused {
        code: RefusalCode::Schema,
        message,
        field: field.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sensorium_contract::ChatPart::Image;
    use sensorium_contract::{ChatMessage, RgbImage};

    use super::*;

    fn request(text: &str) -> ChatRequest {
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

    fn conversation(request: &mut ChatRequest) -> &mut Conversation {
        let Prompt::Conversation(conversation) = &mut request.prompt else {
            panic!("a conversation")
        };
        conversation
    }

    fn script(request: &ChatRequest, reply: Says) -> Script {
        let options = ChatOptions {
            reply,
            ..ChatOptions::default()
        };
        let reading = Reading::new(request, &options).unwrap();
        Script::new(request, &reading, &options, None).unwrap()
    }

    fn text(request: &ChatRequest) -> String {
        script(request, Says::Words).source.take(1000)
    }

    #[test]
    fn everything_in_a_request_changes_the_reply_but_what_cuts_it_does_not() {
        let image = |width, height| Image(RgbImage::new(width, height, vec![7; 24]).unwrap());
        let with = |change: fn(&mut ChatRequest)| {
            let mut other = request("a");
            change(&mut other);
            text(&other)
        };
        let plain = text(&request("a"));
        assert_eq!(plain.split(' ').count(), 16);
        for other in [
            text(&request("b")),
            with(|r| r.sampling.seed = 1),
            with(|r| r.sampling.top_p = Some(0.5)),
            with(|r| conversation(r).messages[0].role = Role::System),
            with(|r| conversation(r).messages[0].name = Some("n".into())),
            with(|r| conversation(r).messages.push(ChatMessage::text(Role::Assistant, ""))),
        ] {
            assert_ne!(other, plain);
        }
        assert_eq!(with(|r| r.max_tokens = Some(3)), plain);
        assert_eq!(with(|r| r.stop = vec!["x".into()]), plain);
        let shown = |part| {
            let mut shown = request("a");
            conversation(&mut shown).messages[0].parts.push(part);
            text(&shown)
        };
        let (wide, tall) = (shown(image(4, 2)), shown(image(2, 4)));
        assert!(wide.starts_with("4x2 ") && tall.starts_with("2x4 "));
        assert_ne!(wide[4..], tall[4..], "equal bytes, another shape");
    }

    #[test]
    fn greedily_decoded_a_reply_does_not_depend_on_the_seed() {
        let mut one = request("a");
        one.sampling.temperature = Some(0.0);
        let mut two = one.clone();
        two.sampling.seed = 99;
        assert_eq!(text(&one), text(&two));
    }

    #[test]
    fn bias_forbids_words_and_settles_on_them() {
        let mut biased = request("a");
        let first = script(&biased, Says::Words).token(0).unwrap().id;
        biased.sampling.logit_bias = BTreeMap::from([(first, -100.0)]);
        assert_ne!(script(&biased, Says::Words).token(0).unwrap().id, first);
        biased.sampling.logit_bias = BTreeMap::from([(5, 100.0)]);
        assert!((0..16).all(|k| script(&biased, Says::Words).token(k).unwrap().id == 5));
        biased.sampling.logit_bias = BTreeMap::from([(END, 100.0)]);
        assert!(script(&biased, Says::Words).token(0).is_none());
    }

    #[test]
    fn an_echo_is_what_the_user_said_last() {
        let mut request = request("a red  circle\n");
        conversation(&mut request)
            .messages
            .push(ChatMessage::text(Role::Assistant, "yes"));
        assert_eq!(script(&request, Says::Echo).source.take(1000), "a red  circle\n");
    }

    #[test]
    fn tools_are_called_as_the_choice_says() {
        let tool = |name: &str| ChatTool {
            name: name.into(),
            description: None,
            parameters: Some(
                json!({"type": "object", "properties": {"n": {"minimum": 3, "type": "integer"}}, "required": ["n"]}),
            ),
            strict: false,
        };
        let called = |text: &str, choice: ToolChoice, parallel: bool, answer: bool| -> Vec<String> {
            let mut request = request(text);
            let asked = conversation(&mut request);
            (asked.tools, asked.tool_choice) = (vec![tool("look"), tool("count")], choice);
            asked.parallel_tool_calls = parallel;
            if answer {
                asked.messages.push(ChatMessage::text(Role::Tool, "three"));
            }
            let script = script(&request, Says::Words);
            assert_eq!(script.is_call(), !script.calls.is_empty());
            script
                .calls
                .into_iter()
                .map(|call| format!("{}{}", call.name, call.arguments))
                .collect()
        };
        let (look, count) = (r#"look{"n":3}"#, r#"count{"n":3}"#);
        let nothing: [&str; 0] = [];
        assert_eq!(called("hello", ToolChoice::Auto, true, false), nothing);
        assert_eq!(called("look and count", ToolChoice::Auto, true, false), [look, count]);
        assert_eq!(called("look and count", ToolChoice::Auto, false, false), [look]);
        assert_eq!(called("look and count", ToolChoice::Auto, true, true), nothing);
        assert_eq!(called("count", ToolChoice::Required, true, false), [count]);
        assert_eq!(called("hello", ToolChoice::Required, true, false), [look]);
        assert_eq!(called("look", ToolChoice::Named("count".into()), true, false), [count]);
        assert_eq!(called("look", ToolChoice::None, true, false), nothing);
    }

    #[test]
    fn json_is_what_was_asked_for() {
        let mut asked = request("a");
        asked.format = OutputFormat::JsonObject;
        assert!(
            serde_json::from_str::<serde_json::Value>(&text(&asked))
                .unwrap()
                .is_object()
        );
        asked.format = OutputFormat::JsonSchema(json!({"type": "array", "items": {"type": "null"}, "minItems": 2}));
        assert_eq!(text(&asked), "[null,null]");
        asked.format = OutputFormat::JsonSchema(json!(false));
        let options = ChatOptions::default();
        let reading = Reading::new(&asked, &options).unwrap();
        let refused = Script::new(&asked, &reading, &options, None).unwrap_err();
        assert_eq!((refused.code, refused.field.as_str()), (RefusalCode::Schema, "format"));
    }
}
