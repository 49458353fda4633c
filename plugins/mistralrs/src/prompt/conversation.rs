//! A conversation of the contract as chat templates know conversations.

use sensorium_contract::{ChatMessage, ChatPart, ChatRefused, Conversation, RefusalCode, RgbImage, Role, ToolCall};
use serde_json::{Map, Value, json};

use super::{ChatTemplate, neutral::Neutraliser, template::Rendering};
use crate::tools::ToolFormat;

/// A conversation in the words of templates, and its images in order.
#[derive(Debug)]
pub(crate) struct Worded<'a> {
    pub(crate) rendering: Rendering,
    pub(crate) images: Vec<(String, &'a RgbImage)>,
}

/// How a model wants conversations put.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wording<'a> {
    pub(crate) template: &'a ChatTemplate,
    pub(crate) neutral: &'a Neutraliser,
    /// How it writes calls of tools.
    pub(crate) format: Option<&'static ToolFormat>,
}

/// Puts a conversation into the words of templates. `in_prompt` says whether its tools come into the prompt.
///
/// # Errors
/// What the template can't take.
pub(crate) fn word<'a>(
    conversation: &'a Conversation,
    wording: Wording<'_>,
    in_prompt: bool,
) -> Result<Worded<'a>, ChatRefused> {
    let Wording { template, neutral, .. } = wording;
    let mut messages: Vec<Map<String, Value>> = Vec::with_capacity(conversation.messages.len());
    let mut images = Vec::new();
    let mut orphan = String::new();
    for (index, message) in conversation.messages.iter().enumerate() {
        let role = role(message.role, template);
        if role == "tool" && !template.mentions("tool") {
            let problem = "the model's chat template knows no messages of tools";
            return Err(refused(problem, format!("conversation.messages[{index}]")));
        }
        for (part, image) in message.parts.iter().enumerate() {
            if let ChatPart::Image(image) = image {
                images.push((format!("conversation.messages[{index}].parts[{part}]"), image));
            }
        }
        if role == "system" && !template.takes_system() {
            orphan.push_str(&said(message, neutral));
            orphan.push_str("\n\n");
            continue;
        }
        let mut worded = Map::from_iter([
            ("role".to_owned(), json!(role)),
            (
                "content".to_owned(),
                content(message, role, template, neutral, &mut orphan),
            ),
        ]);
        if !message.tool_calls.is_empty() {
            let calls = message
                .tool_calls
                .iter()
                .map(|call| worded_call(call, wording))
                .collect();
            worded.insert("tool_calls".to_owned(), Value::Array(calls));
        }
        if let Some(id) = &message.tool_call_id {
            worded.insert("tool_call_id".to_owned(), json!(wording.call_id(id)));
            let name = name_of(id, &conversation.messages[..index]).or(message.name.as_deref());
            worded.insert("name".to_owned(), json!(neutral.apply(name.unwrap_or_default())));
        } else if let Some(name) = &message.name {
            worded.insert("name".to_owned(), json!(neutral.apply(name)));
        }
        messages.push(worded);
    }
    let tools = match in_prompt {
        true => conversation
            .tools
            .iter()
            .map(|tool| worded_tool(tool, neutral))
            .collect(),
        false => Vec::new(),
    };
    Ok(Worded {
        rendering: Rendering {
            messages: messages.into_iter().map(Value::Object).collect(),
            tools,
        },
        images,
    })
}

// === impl Wording ===

impl Wording<'_> {
    /// An id of a call that the template accepts and that means nothing else.
    fn call_id(self, id: &str) -> String {
        let id = self.neutral.apply(id);
        self.format.map_or_else(|| id.to_string(), |format| format.call_id(&id))
    }
}

/// A refusal of the input.
pub(crate) fn refused(message: impl Into<String>, field: impl Into<String>) -> ChatRefused {
    ChatRefused {
        code: RefusalCode::InvalidInput,
        message: message.into(),
        field: field.into(),
    }
}

fn role(role: Role, template: &ChatTemplate) -> &'static str {
    match role {
        Role::Developer if template.mentions("developer") => "developer",
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

/// All words of a message.
fn said(message: &ChatMessage, neutral: &Neutraliser) -> String {
    let texts = message.parts.iter().filter_map(|part| match part {
        ChatPart::Text(text) => Some(neutral.apply(text)),
        ChatPart::Image(_) => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// What a message says and shows. What the operator said to a template that has no place for that comes before what
/// the user says first.
fn content(
    message: &ChatMessage,
    role: &str,
    template: &ChatTemplate,
    neutral: &Neutraliser,
    orphan: &mut String,
) -> Value {
    let before = if role == "user" {
        std::mem::take(orphan)
    } else {
        String::new()
    };
    let has_images = message.parts.iter().any(|part| matches!(part, ChatPart::Image(_)));
    if !template.takes_parts(role) && !has_images {
        return Value::String(before + &said(message, neutral));
    }
    let mut parts: Vec<Value> = Vec::with_capacity(message.parts.len() + 1);
    if !before.is_empty() {
        parts.push(json!({"type": "text", "text": before}));
    }
    parts.extend(message.parts.iter().map(|part| match part {
        ChatPart::Text(text) => json!({"type": "text", "text": neutral.apply(text)}),
        ChatPart::Image(_) => json!({"type": "image"}),
    }));
    Value::Array(parts)
}

fn worded_call(call: &ToolCall, wording: Wording<'_>) -> Value {
    let neutral = wording.neutral;
    let arguments = serde_json::from_str(&call.arguments).unwrap_or_else(|_| Value::String(call.arguments.clone()));
    json!({
        "type": "function",
        "id": wording.call_id(&call.id),
        "function": {"name": neutral.apply(&call.name), "arguments": neutralised(arguments, neutral)},
    })
}

fn worded_tool(tool: &sensorium_contract::ChatTool, neutral: &Neutraliser) -> Value {
    let mut function = Map::from_iter([("name".to_owned(), json!(neutral.apply(&tool.name)))]);
    if let Some(description) = &tool.description {
        function.insert("description".to_owned(), json!(neutral.apply(description)));
    }
    let parameters = tool
        .parameters
        .clone()
        .unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    function.insert("parameters".to_owned(), neutralised(parameters, neutral));
    json!({"type": "function", "function": function})
}

/// JSON with all its texts neutralised.
fn neutralised(value: Value, neutral: &Neutraliser) -> Value {
    match value {
        Value::String(text) => Value::String(neutral.apply(&text).into_owned()),
        Value::Array(items) => items.into_iter().map(|item| neutralised(item, neutral)).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(key, member)| (neutral.apply(&key).into_owned(), neutralised(member, neutral)))
            .collect(),
        plain => plain,
    }
}

/// The name of the tool that was called by this id.
fn name_of<'a>(id: &str, before: &'a [ChatMessage]) -> Option<&'a str> {
    let calls = before.iter().rev().flat_map(|message| &message.tool_calls);
    calls
        .into_iter()
        .find(|call| call.id == id)
        .map(|call| call.name.as_str())
}

#[cfg(test)]
mod tests {
    use sensorium_contract::ToolChoice;

    use super::*;

    fn render(source: &str, messages: Vec<ChatMessage>) -> Result<String, String> {
        let template = ChatTemplate::new(source, None, None).expect("a template");
        let conversation = Conversation {
            messages,
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: true,
        };
        let wording = Wording {
            template: &template,
            neutral: &Neutraliser::none(),
            format: None,
        };
        let worded = word(&conversation, wording, false).map_err(|refused| refused.message)?;
        template.render(&worded.rendering)
    }

    #[test]
    fn roles_find_their_place() {
        let chat = "{% for m in messages %}{{ m.role }}: {{ m.content }}|{% endfor %}";
        let messages = || {
            vec![
                ChatMessage::text(Role::Developer, "be brief"),
                ChatMessage::text(Role::User, "hello"),
            ]
        };
        assert_eq!(render(chat, messages()), Ok("system: be brief|user: hello|".to_owned()));
        let newer = format!("{{# developer #}}{chat}");
        assert_eq!(
            render(&newer, messages()),
            Ok("developer: be brief|user: hello|".to_owned())
        );
        let picky =
            format!("{{% if messages[0].role == 'system' %}}{{{{ raise_exception('no') }}}}{{% endif %}}{chat}");
        assert_eq!(render(&picky, messages()), Ok("user: be brief\n\nhello|".to_owned()));
        let tool = vec![ChatMessage::text(Role::Tool, "42")];
        assert!(render(chat, tool).is_err_and(|message| message.contains("no messages of tools")));
    }
}
