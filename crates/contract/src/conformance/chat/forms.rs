//! Replies that are bound to a form: JSON, and calls of tools.

use serde_json::{Value, json};

use super::request::{plain, tools};
use super::whole::{Outcome, Whole};
use crate::conformance::bench::{Bench, Session};
use crate::conformance::check::{Objection, Verdict};
use crate::{ChatMessage, ChatParameter, ChatPart, ChatRequest, OutputFormat, Prompt, Role, ToolCall, ToolChoice};

/// Tokens that a form may take.
const ENOUGH: u32 = 256;

pub(super) async fn check(bench: &mut Bench<'_>) {
    bench
        .check("a reply that is to be a JSON object is one", async |bench| {
            json_object(bench.session().await?).await
        })
        .await;
    bench
        .check("a reply that is to follow a JSON Schema does", async |bench| {
            json_schema(bench.session().await?).await
        })
        .await;
    bench
        .check(
            "a schema that can't be followed is never the instance's fault",
            async |bench| {
                let session = bench.session().await?;
                bad_schemas(session).await?;
                session.still_works().await
            },
        )
        .await;
    bench
        .check(
            "`required` calls a tool, with arguments that follow its schema",
            async |bench| {
                let session = bench.session().await?;
                for parallel in [true, false] {
                    let whole = call(session, ToolChoice::Required, parallel).await?.in_full()?;
                    if !parallel && whole.calls.len() != 1 {
                        return Objection::fail(format!("{} calls where one was allowed", whole.calls.len()));
                    }
                    well_formed(&whole.calls)?;
                }
                Ok(())
            },
        )
        .await;
    bench
        .check(
            "a tool that is demanded by name is called, and with `none` none is",
            async |bench| {
                let session = bench.session().await?;
                for tool in tools() {
                    let whole = call(session, ToolChoice::Named(tool.name.clone()), true)
                        .await?
                        .in_full()?;
                    well_formed(&whole.calls)?;
                    if whole.calls.iter().any(|call| call.name != tool.name) {
                        return Objection::fail(format!("{} was demanded, {:?} called", tool.name, whole.calls));
                    }
                }
                match call(session, ToolChoice::None, true).await?.calls.first() {
                    Some(call) => Objection::fail(format!("{} was called", call.name)),
                    None => Ok(()),
                }
            },
        )
        .await;
    bench
        .check("what a tool answers is read", async |bench| {
            let session = bench.session().await?;
            answered(session).await
        })
        .await;
}

async fn json_object(session: &Session) -> Verdict {
    let chat = session.chatting()?;
    if !chat.honours(ChatParameter::JsonObject) {
        return Objection::skip("the model doesn't honour `json_object`");
    }
    let request = ChatRequest {
        format: OutputFormat::JsonObject,
        ..plain(chat, ENOUGH.min(chat.context_length / 2).max(1))
    };
    let text = session.reply(request).await?.in_full()?.text;
    match serde_json::from_str(&text) {
        Ok(Value::Object(_)) => Ok(()),
        _ => Objection::fail(format!("{text:?} is no JSON object")),
    }
}

async fn json_schema(session: &Session) -> Verdict {
    let chat = session.chatting()?;
    if !chat.honours(ChatParameter::JsonSchema) {
        return Objection::skip("the model doesn't honour `json_schema`");
    }
    let schema = json!({
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}, "sure": {"type": "boolean"}},
        "required": ["colour", "sure"],
        "additionalProperties": false,
    });
    let request = ChatRequest {
        format: OutputFormat::JsonSchema(schema),
        ..plain(chat, ENOUGH.min(chat.context_length / 2).max(1))
    };
    let text = session.reply(request).await?.in_full()?.text;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let follows = value.as_object().is_some_and(|object| object.len() == 2)
        && matches!(value["colour"].as_str(), Some("red" | "blue"))
        && value["sure"].is_boolean();
    if !follows {
        return Objection::fail(format!("{text:?} does not follow the schema"));
    }
    Ok(())
}

async fn bad_schemas(session: &Session) -> Verdict {
    let chat = session.chatting()?;
    if !chat.honours(ChatParameter::JsonSchema) {
        return Objection::skip("the model doesn't honour `json_schema`");
    }
    let mut deep = json!({"type": "string"});
    for _ in 0..100 {
        deep = json!({"type": "object", "properties": {"a": deep}, "required": ["a"]});
    }
    let many: Vec<Value> = (0..2000).map(|n| json!({"const": format!("value {n}")})).collect();
    for schema in [
        json!(false),
        json!([]),
        json!({"type": "dance"}),
        json!({"$ref": "#"}),
        json!({"$ref": "#/nowhere"}),
        json!({"$ref": "https://example.com/schema.json"}),
        json!({"type": "string", "pattern": "^(a+)+(b|b)*$"}),
        json!({"type": "string", "pattern": "("}),
        json!({"type": "array", "items": {"type": "integer"}, "minItems": 4_000_000_000_u64}),
        json!({"allOf": [{"type": "string"}, {"type": "integer"}]}),
        json!({"anyOf": many}),
        deep,
    ] {
        let shown = format!("{:.60}", schema.to_string());
        let request = ChatRequest {
            format: OutputFormat::JsonSchema(schema),
            ..plain(chat, 4)
        };
        Outcome::of(&session.client, request)
            .await
            .not_the_instances_fault(&shown)?;
    }
    Ok(())
}

/// A reply to a question that tools answer.
async fn call(session: &Session, choice: ToolChoice, parallel: bool) -> Result<Whole, Objection> {
    let chat = session.chatting()?;
    if !chat.honours(ChatParameter::Tools) {
        return Objection::skip("the model doesn't honour tools");
    }
    let mut request = plain(chat, ENOUGH.min(chat.context_length / 2).max(1));
    if let Prompt::Conversation(conversation) = &mut request.prompt {
        conversation.tools = tools();
        conversation.tool_choice = choice;
        conversation.parallel_tool_calls = parallel;
    }
    session.reply(request).await
}

fn well_formed(calls: &[ToolCall]) -> Verdict {
    if calls.is_empty() {
        return Objection::fail("no tool was called");
    }
    for (index, call) in calls.iter().enumerate() {
        if call.id.is_empty() || calls[..index].iter().any(|other| other.id == call.id) {
            return Objection::fail(format!("the id {:?} is empty, or not the only one", call.id));
        }
        let (argument, values) = match call.name.as_str() {
            "weather" => ("city", ["Oslo", "Paris"]),
            "price" => ("fruit", ["apple", "pear"]),
            other => return Objection::fail(format!("there is no tool {other:?}")),
        };
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        if !arguments[argument]
            .as_str()
            .is_some_and(|value| values.contains(&value))
        {
            return Objection::fail(format!("{} does not follow the schema", call.arguments));
        }
    }
    Ok(())
}

async fn answered(session: &Session) -> Verdict {
    let chat = session.chatting()?;
    if !chat.honours(ChatParameter::Tools) {
        return Objection::skip("the model doesn't honour tools");
    }
    let mut request = plain(chat, 8);
    if let Prompt::Conversation(conversation) = &mut request.prompt {
        conversation.tools = tools();
        let called = ToolCall {
            id: "call_1".into(),
            name: "weather".into(),
            arguments: r#"{"city": "Oslo"}"#.into(),
        };
        conversation.messages.push(ChatMessage {
            parts: Vec::new(),
            tool_calls: vec![called],
            ..ChatMessage::text(Role::Assistant, "")
        });
        conversation.messages.push(ChatMessage {
            parts: vec![ChatPart::Text("snow".into())],
            tool_call_id: Some("call_1".into()),
            ..ChatMessage::text(Role::Tool, "")
        });
    }
    session.reply(request).await.map(|_| ())
}
