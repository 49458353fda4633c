//! The messages of a conversation. Sizes are counted over all of them, before anything is made of them.

use sensorium_engine::{Role, ToolCall};
use serde_json::Value;

use super::part::{Part, take_parts};
use crate::config::Limits;
use crate::error::ApiError;
use crate::wire::fields::{Fields, kind_of};
use crate::wire::object::Object;

/// One turn, its images not loaded yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    /// Who speaks.
    pub(crate) role: Role,
    /// What is said and shown.
    pub(crate) parts: Vec<Part>,
    /// Calls that the assistant made.
    pub(crate) tool_calls: Vec<ToolCall>,
    /// The call that a tool's message answers.
    pub(crate) tool_call_id: Option<String>,
    /// Who speaks, where several share a role.
    pub(crate) name: Option<String>,
}

/// What has been read of a request so far, against its limits.
#[derive(Debug)]
pub(crate) struct Room {
    parts: usize,
    bytes: usize,
}

/// Reads messages, and notes what it did not understand.
pub(super) struct Reader<'a> {
    pub(super) room: Room,
    pub(super) fields: &'a mut Fields,
    /// Ids for calls that came in the old form, which has none.
    last_call: Option<String>,
}

/// Longest name or id in bytes.
const LONGEST_NAME: usize = 256;
/// Most calls in one message.
const MOST_CALLS: usize = 128;

/// Takes `messages`, and says what room is left for tools.
///
/// # Errors
/// Naming the first message, or part of one, that is wrong.
pub(crate) fn take_messages(fields: &mut Fields, limits: &Limits) -> Result<(Vec<Message>, Room), ApiError> {
    let list = match fields.take("messages") {
        Some(Value::Array(list)) => list,
        Some(other) => {
            let message = format!("messages must be an array, not {}", kind_of(&other));
            return Err(ApiError::invalid("messages", message));
        }
        None => return Err(ApiError::missing("messages")),
    };
    if list.is_empty() {
        return Err(ApiError::invalid("messages", "messages is empty: send at least one"));
    }
    if list.len() > limits.messages {
        let message = format!("messages has {} entries; at most {}", list.len(), limits.messages);
        return Err(ApiError::invalid("messages", message));
    }
    let mut reader = Reader {
        room: Room::new(limits),
        fields,
        last_call: None,
    };
    let messages = list
        .into_iter()
        .enumerate()
        .map(|(index, value)| reader.message(index, value))
        .collect::<Result<_, _>>()?;
    Ok((messages, reader.room))
}

// === impl Message ===

impl Message {
    /// True if only a model that calls tools can make sense of it.
    pub(crate) fn is_about_tools(&self) -> bool {
        self.role == Role::Tool || !self.tool_calls.is_empty()
    }
}

// === impl Room ===

impl Room {
    /// All the room of a request.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            parts: limits.parts,
            bytes: limits.prompt_bytes,
        }
    }

    /// Takes the room of one part.
    pub(super) fn part(&mut self, at: &str) -> Result<(), ApiError> {
        self.parts = self
            .parts
            .checked_sub(1)
            .ok_or_else(|| ApiError::invalid(at.to_owned(), "the messages have too many parts: send fewer"))?;
        Ok(())
    }

    /// Takes the room of a text.
    pub(crate) fn text(&mut self, at: &str, bytes: usize) -> Result<(), ApiError> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| {
            let message = "the texts of the request are too long together: send less";
            ApiError::invalid(at.to_owned(), message)
        })?;
        Ok(())
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn message(&mut self, index: usize, value: Value) -> Result<Message, ApiError> {
        let mut object = Object::new(format!("messages[{index}]"), value)?;
        let role = object.required_string("role")?;
        let (role, old_form) = match role.as_str() {
            "system" => (Role::System, false),
            "developer" => (Role::Developer, false),
            "user" => (Role::User, false),
            "assistant" => (Role::Assistant, false),
            "tool" => (Role::Tool, false),
            "function" => (Role::Tool, true),
            _ => {
                let message = "must be one of: system, developer, user, assistant, tool";
                return Err(object.bad("role", message));
            }
        };
        let content = object.take("content");
        let mut parts = take_parts(self, role, object.path("content"), content)?;
        let name = self.short(&mut object, "name")?;
        let mut message = Message {
            role,
            parts: Vec::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
            name,
        };
        match role {
            Role::Assistant => {
                message.tool_calls = self.tool_calls(&mut object, index)?;
                if let Some(refusal) = object.string("refusal")? {
                    self.room.text(object.at(), refusal.len())?;
                    parts.push(Part::Text(refusal));
                }
                if object.take("audio").is_some() {
                    let message = "audio in messages is not supported: send its text";
                    return Err(ApiError::unsupported(object.path("audio"), message));
                }
            }
            Role::Tool if old_form => message.tool_call_id = self.last_call.clone(),
            Role::Tool => {
                let id = self.short(&mut object, "tool_call_id")?;
                message.tool_call_id = Some(id.ok_or_else(|| ApiError::missing(object.path("tool_call_id")))?);
            }
            Role::System | Role::Developer | Role::User => {}
        }
        if parts.is_empty() && message.tool_calls.is_empty() {
            return Err(ApiError::missing(object.path("content")));
        }
        message.parts = parts;
        object.finish("messages[]", self.fields);
        Ok(message)
    }

    /// Calls that the assistant made, in today's form or the old one.
    fn tool_calls(&mut self, object: &mut Object, index: usize) -> Result<Vec<ToolCall>, ApiError> {
        let list = object.list("tool_calls")?.unwrap_or_default();
        if list.len() > MOST_CALLS {
            return Err(object.bad("tool_calls", format!("has {} calls; at most {MOST_CALLS}", list.len())));
        }
        let at = object.path("tool_calls");
        let mut calls = Vec::with_capacity(list.len());
        for (place, value) in list.into_iter().enumerate() {
            let mut call = Object::new(format!("{at}[{place}]"), value)?;
            let kind = call.string("type")?;
            if kind.is_some_and(|kind| kind != "function") {
                return Err(call.bad("type", "must be 'function'"));
            }
            let id = self.short(&mut call, "id")?;
            let id = id.ok_or_else(|| ApiError::missing(call.path("id")))?;
            let function = call.required_object("function")?;
            calls.push(self.function(id, function)?);
            // Streams number their calls; what is sent back may still have it.
            call.take("index");
            call.finish("messages[].tool_calls[]", self.fields);
        }
        if let Some(value) = object.take("function_call") {
            let id = format!("call_{index}");
            let function = Object::new(object.path("function_call"), value)?;
            calls.push(self.function(id.clone(), function)?);
            self.last_call = Some(id);
        }
        Ok(calls)
    }

    fn function(&mut self, id: String, mut function: Object) -> Result<ToolCall, ApiError> {
        let name = self.short(&mut function, "name")?;
        let name = name.ok_or_else(|| ApiError::missing(function.path("name")))?;
        let arguments = match function.take("arguments") {
            None => "{}".to_owned(),
            Some(Value::String(text)) if text.trim().is_empty() => "{}".to_owned(),
            Some(Value::String(text)) if is_object(&text) => text,
            Some(Value::Object(map)) => Value::Object(map).to_string(),
            Some(_) => return Err(function.bad("arguments", "must be a JSON object, as text")),
        };
        self.room.text(function.at(), arguments.len())?;
        function.finish("messages[].tool_calls[].function", self.fields);
        Ok(ToolCall { id, name, arguments })
    }

    /// A name or an id: some text, and not a long one.
    fn short(&mut self, object: &mut Object, key: &str) -> Result<Option<String>, ApiError> {
        match object.string(key)? {
            Some(text) if text.is_empty() || text.len() > LONGEST_NAME => {
                Err(object.bad(key, format!("must have 1 to {LONGEST_NAME} bytes")))
            }
            text => Ok(text),
        }
    }
}

fn is_object(text: &str) -> bool {
    serde_json::from_str::<std::collections::HashMap<String, serde::de::IgnoredAny>>(text).is_ok()
}

#[cfg(test)]
mod tests;
