//! Tools, calls of them, and which of them a model is to choose.

use super::json;
use crate::{
    ChatTool, Invalid, ToolCall, ToolChoice,
    convert::{known, unknown},
    proto,
};

impl TryFrom<proto::ChatTool> for ChatTool {
    type Error = Invalid;

    fn try_from(wire: proto::ChatTool) -> Result<Self, Invalid> {
        let parameters = match wire.parameters.as_str() {
            "" => None,
            text => Some(json(text, "tools.parameters")?),
        };
        Ok(Self {
            name: wire.name,
            description: (!wire.description.is_empty()).then_some(wire.description),
            parameters,
            strict: wire.strict,
        })
    }
}

impl From<ChatTool> for proto::ChatTool {
    fn from(tool: ChatTool) -> Self {
        Self {
            name: tool.name,
            description: tool.description.unwrap_or_default(),
            parameters: tool.parameters.map(|schema| schema.to_string()).unwrap_or_default(),
            strict: tool.strict,
        }
    }
}

impl From<proto::ToolCall> for ToolCall {
    fn from(wire: proto::ToolCall) -> Self {
        Self {
            id: wire.id,
            name: wire.name,
            arguments: wire.arguments,
        }
    }
}

impl From<ToolCall> for proto::ToolCall {
    fn from(call: ToolCall) -> Self {
        Self {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
        }
    }
}

impl TryFrom<proto::ToolChoice> for ToolChoice {
    type Error = Invalid;

    fn try_from(wire: proto::ToolChoice) -> Result<Self, Invalid> {
        use proto::tool_choice::Choice;
        match wire.choice {
            None => Ok(ToolChoice::Auto),
            Some(Choice::Name(name)) => Ok(ToolChoice::Named(name)),
            Some(Choice::Mode(mode)) => match known(mode, "tool_choice.mode")? {
                proto::ToolMode::Auto => Ok(ToolChoice::Auto),
                proto::ToolMode::None => Ok(ToolChoice::None),
                proto::ToolMode::Required => Ok(ToolChoice::Required),
                proto::ToolMode::Unspecified => Err(unknown(mode, "tool_choice.mode")),
            },
        }
    }
}

impl From<ToolChoice> for proto::ToolChoice {
    fn from(choice: ToolChoice) -> Self {
        use proto::tool_choice::Choice;
        let mode = |mode: proto::ToolMode| Choice::Mode(mode.into());
        let choice = match choice {
            ToolChoice::Auto => mode(proto::ToolMode::Auto),
            ToolChoice::None => mode(proto::ToolMode::None),
            ToolChoice::Required => mode(proto::ToolMode::Required),
            ToolChoice::Named(name) => Choice::Name(name),
        };
        Self { choice: Some(choice) }
    }
}
