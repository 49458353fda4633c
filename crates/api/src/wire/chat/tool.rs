//! Tools: what may be called, and whether it is.

use sensorium_engine::{ChatTool, ToolChoice};
use serde_json::Value;

use super::format::check_schema;
use super::message::Room;
use crate::config::Limits;
use crate::error::ApiError;
use crate::wire::fields::{Fields, kind_of};
use crate::wire::object::Object;

/// What may be called.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tools {
    /// With distinct names.
    pub(crate) tools: Vec<ChatTool>,
    /// Whether they are called.
    pub(crate) choice: ToolChoice,
    /// False: at most one call in a reply.
    pub(crate) parallel: bool,
}

// === impl Tools ===

impl Tools {
    /// Takes `tools`, `tool_choice` and `parallel_tool_calls`; `room` is what the messages have left.
    ///
    /// # Errors
    /// Naming the first tool, or part of one, that is wrong.
    pub(crate) fn take(fields: &mut Fields, limits: &Limits, mut room: Room) -> Result<Self, ApiError> {
        let list = match fields.take("tools") {
            None => Vec::new(),
            Some(Value::Array(list)) if list.len() <= limits.tools => list,
            Some(Value::Array(list)) => {
                let message = format!("tools has {} entries; at most {}", list.len(), limits.tools);
                return Err(ApiError::invalid("tools", message));
            }
            Some(other) => {
                let message = format!("tools must be an array, not {}", kind_of(&other));
                return Err(ApiError::invalid("tools", message));
            }
        };
        let mut tools: Vec<ChatTool> = Vec::with_capacity(list.len());
        for (index, value) in list.into_iter().enumerate() {
            let tool = take_tool(
                fields,
                limits,
                &mut room,
                Object::new(format!("tools[{index}]"), value)?,
            )?;
            if tools.iter().any(|other| other.name == tool.name) {
                let message = format!("tools[{index}] repeats the name of another: each name once");
                return Err(ApiError::invalid(format!("tools[{index}].function.name"), message));
            }
            tools.push(tool);
        }
        let parallel = fields.optional("parallel_tool_calls")?.unwrap_or(true);
        let choice = take_choice(fields, &mut tools)?;
        Ok(Self {
            tools,
            choice,
            parallel,
        })
    }
}

fn take_tool(fields: &mut Fields, limits: &Limits, room: &mut Room, mut tool: Object) -> Result<ChatTool, ApiError> {
    if tool.required_string("type")? != "function" {
        let message = format!("{} is not supported: tools are functions", tool.path("type"));
        return Err(ApiError::unsupported(tool.path("type"), message));
    }
    let mut function = tool.required_object("function")?;
    let name = function.required_string("name")?;
    if !is_name(&name) {
        return Err(function.bad("name", NAME_RULE));
    }
    let description = function.string("description")?;
    room.text(function.at(), name.len() + description.as_ref().map_or(0, String::len))?;
    let parameters = function.take("parameters");
    if let Some(schema) = &parameters {
        let bytes = check_schema(&function.path("parameters"), schema, limits)?;
        room.text(function.at(), bytes)?;
    }
    let strict = function.bool("strict")?.unwrap_or(false);
    function.finish("tools[].function", fields);
    tool.finish("tools[]", fields);
    Ok(ChatTool {
        name,
        description,
        parameters,
        strict,
    })
}

fn take_choice(fields: &mut Fields, tools: &mut Vec<ChatTool>) -> Result<ToolChoice, ApiError> {
    let at = "tool_choice";
    let choice = match fields.take(at) {
        None => return Ok(ToolChoice::Auto),
        Some(Value::String(mode)) => mode_of(at, &mode)?,
        Some(value) => {
            let mut object = Object::new(at, value)?;
            let choice = match object.required_string("type")?.as_str() {
                "function" => {
                    let mut function = object.required_object("function")?;
                    let name = function.required_string("name")?;
                    function.finish("tool_choice.function", fields);
                    check_known(&function_name(at), &name, tools)?;
                    ToolChoice::Named(name)
                }
                "allowed_tools" => {
                    let allowed = object.required_object("allowed_tools")?;
                    take_allowed(fields, allowed, tools)?
                }
                _ => return Err(object.bad("type", "must be 'function' or 'allowed_tools'")),
            };
            object.finish(at, fields);
            choice
        }
    };
    if choice == ToolChoice::Required && tools.is_empty() {
        return Err(ApiError::invalid(
            at,
            "tool_choice requires a call, but there are no tools",
        ));
    }
    Ok(choice)
}

/// The tools that are not allowed are taken away.
fn take_allowed(fields: &mut Fields, mut object: Object, tools: &mut Vec<ChatTool>) -> Result<ToolChoice, ApiError> {
    let mode = object.required_string("mode")?;
    let choice = match mode_of(&object.path("mode"), &mode)? {
        ToolChoice::None => return Err(object.bad("mode", "must be 'auto' or 'required'")),
        choice => choice,
    };
    let at = object.path("tools");
    let mut allowed = Vec::new();
    for (index, value) in object.list("tools")?.unwrap_or_default().into_iter().enumerate() {
        let mut tool = Object::new(format!("{at}[{index}]"), value)?;
        tool.take("type");
        let name = match tool.take("function") {
            Some(function) => Object::new(tool.path("function"), function)?.required_string("name")?,
            None => tool.required_string("name")?,
        };
        check_known(&function_name(tool.at()), &name, tools)?;
        allowed.push(name);
    }
    if allowed.is_empty() {
        return Err(object.bad("tools", "is empty: name at least one tool"));
    }
    object.finish("tool_choice.allowed_tools", fields);
    tools.retain(|tool| allowed.contains(&tool.name));
    Ok(choice)
}

fn mode_of(at: &str, mode: &str) -> Result<ToolChoice, ApiError> {
    match mode {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        _ => {
            let message = format!("{at} must be 'auto', 'none', 'required' or name a function");
            Err(ApiError::invalid(at.to_owned(), message))
        }
    }
}

fn check_known(at: &str, name: &str, tools: &[ChatTool]) -> Result<(), ApiError> {
    if tools.iter().any(|tool| tool.name == name) {
        return Ok(());
    }
    let message = format!("{at} names no function of tools");
    Err(ApiError::invalid(at.to_owned(), message))
}

fn function_name(at: &str) -> String {
    format!("{at}.function.name")
}

/// What names of functions and schemas are made of.
pub(super) const NAME_RULE: &str = "must be 1 to 64 letters, digits, underscores and dashes";

/// Whether a function or a schema may be called this, as OpenAI has it.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

#[cfg(test)]
mod tests;
