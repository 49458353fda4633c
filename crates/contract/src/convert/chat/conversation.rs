//! Conversations: messages, their parts and their roles.

use crate::{
    ChatMessage, ChatPart, Conversation, Invalid, Role,
    convert::{known, required, unknown},
    proto,
};

impl TryFrom<proto::Conversation> for Conversation {
    type Error = Invalid;

    fn try_from(wire: proto::Conversation) -> Result<Self, Invalid> {
        Ok(Self {
            messages: wire
                .messages
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            tools: wire
                .tools
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            tool_choice: wire.tool_choice.unwrap_or_default().try_into()?,
            parallel_tool_calls: wire.parallel_tool_calls,
        })
    }
}

impl From<Conversation> for proto::Conversation {
    fn from(conversation: Conversation) -> Self {
        Self {
            messages: conversation.messages.into_iter().map(Into::into).collect(),
            tools: conversation.tools.into_iter().map(Into::into).collect(),
            tool_choice: Some(conversation.tool_choice.into()),
            parallel_tool_calls: conversation.parallel_tool_calls,
        }
    }
}

impl TryFrom<proto::ChatMessage> for ChatMessage {
    type Error = Invalid;

    fn try_from(wire: proto::ChatMessage) -> Result<Self, Invalid> {
        Ok(Self {
            role: role(wire.role)?,
            parts: wire.parts.into_iter().map(part).collect::<Result<_, _>>()?,
            tool_calls: wire.tool_calls.into_iter().map(Into::into).collect(),
            tool_call_id: (!wire.tool_call_id.is_empty()).then_some(wire.tool_call_id),
            name: (!wire.name.is_empty()).then_some(wire.name),
        })
    }
}

impl From<ChatMessage> for proto::ChatMessage {
    fn from(message: ChatMessage) -> Self {
        use proto::chat_part::Part as Wire;
        let part = |part| match part {
            ChatPart::Text(text) => Wire::Text(text),
            ChatPart::Image(image) => Wire::Image(image.into()),
        };
        let parts = message
            .parts
            .into_iter()
            .map(|one| proto::ChatPart { part: Some(part(one)) });
        Self {
            role: proto::Role::from(message.role).into(),
            parts: parts.collect(),
            tool_calls: message.tool_calls.into_iter().map(Into::into).collect(),
            tool_call_id: message.tool_call_id.unwrap_or_default(),
            name: message.name.unwrap_or_default(),
        }
    }
}

fn part(wire: proto::ChatPart) -> Result<ChatPart, Invalid> {
    use proto::chat_part::Part as Wire;
    Ok(match required(wire.part, "part")? {
        Wire::Text(text) => ChatPart::Text(text),
        Wire::Image(image) => ChatPart::Image(image.try_into()?),
    })
}

fn role(number: i32) -> Result<Role, Invalid> {
    match known(number, "role")? {
        proto::Role::System => Ok(Role::System),
        proto::Role::Developer => Ok(Role::Developer),
        proto::Role::User => Ok(Role::User),
        proto::Role::Assistant => Ok(Role::Assistant),
        proto::Role::Tool => Ok(Role::Tool),
        proto::Role::Unspecified => Err(unknown(number, "role")),
    }
}

impl From<Role> for proto::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::System => Self::System,
            Role::Developer => Self::Developer,
            Role::User => Self::User,
            Role::Assistant => Self::Assistant,
            Role::Tool => Self::Tool,
        }
    }
}
