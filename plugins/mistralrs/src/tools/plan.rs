//! From a request to what its reply is kept to, and to how it is read.

use sensorium_contract::{
    ChatRefused, ChatRequest, ChatTool, Conversation, OutputFormat, Prompt, RefusalCode, ToolChoice,
};
use serde_json::{Map, Value, json};

use super::{
    Callable, Grammars, Guide, Syntax, ToolFormat,
    grammar::{Argument, Calls, Grammar, Tool},
    guide::Trigger,
    schema::{any_object, normalise},
    xml::is_bare,
};
use crate::text::Vocabulary;

/// Most calls in one reply of a model that is made to call.
const MAX_CALLS: usize = 8;

/// Most tools in a request, as OpenAI has it.
const MAX_TOOLS: usize = 128;

/// What a reply is kept to, and how it is read.
pub(crate) struct Plan {
    pub(crate) guide: Guide,
    /// The tools whose calls are looked for in the reply; none: it is all text.
    pub(crate) callables: Vec<Callable>,
}

/// What the planner works with.
#[derive(Clone, Copy)]
pub(crate) struct Means<'a> {
    pub(crate) grammars: &'a Grammars,
    pub(crate) vocabulary: &'a Vocabulary,
    /// `None`: the model can't call tools.
    pub(crate) format: Option<&'static ToolFormat>,
}

/// Compiles what `request` asks for.
///
/// # Errors
/// What of it can't be followed.
pub(crate) fn plan(request: &ChatRequest, means: Means<'_>) -> Result<Plan, ChatRefused> {
    let answer = match &request.format {
        OutputFormat::Text => None,
        OutputFormat::JsonObject => Some(any_object()),
        OutputFormat::JsonSchema(schema) => Some(
            normalise(schema).map_err(|error| refused("format", format!("the schema can't be followed: {error}")))?,
        ),
    };
    let conversation = match &request.prompt {
        Prompt::Conversation(conversation) if !conversation.tools.is_empty() => Some(conversation),
        Prompt::Conversation(_) | Prompt::Text(_) | Prompt::TokenIds(_) => None,
    };
    match conversation.filter(|conversation| conversation.tool_choice != ToolChoice::None) {
        Some(conversation) => plan_calls(conversation, answer, means),
        None => {
            let guide = answer.map_or(Ok(Guide::Free), |schema| {
                let matcher = means.grammars.matcher(&Grammar::json(schema));
                matcher.map(|matcher| Guide::Always(Box::new(matcher)))
            });
            let guide =
                guide.map_err(|problem| refused("format", format!("the schema can't be followed: {problem}")))?;
            Ok(Plan {
                guide,
                callables: Vec::new(),
            })
        }
    }
}

fn plan_calls(conversation: &Conversation, answer: Option<Value>, means: Means<'_>) -> Result<Plan, ChatRefused> {
    let field = "conversation.tools";
    let Some(format) = means.format else {
        return Err(refused(field, "this model's chat template has no tools".to_owned()));
    };
    if conversation.tools.len() > MAX_TOOLS {
        return Err(refused(
            field,
            format!("there are {} tools; at most {MAX_TOOLS} fit", conversation.tools.len()),
        ));
    }
    let chosen = |tool: &&ChatTool| match &conversation.tool_choice {
        ToolChoice::Named(name) => tool.name == *name,
        ToolChoice::Auto | ToolChoice::None | ToolChoice::Required => true,
    };
    let most = match &conversation.tool_choice {
        ToolChoice::Named(_) => 1,
        _ if !conversation.parallel_tool_calls || !format.parallel => 1,
        _ => MAX_CALLS,
    };
    let mut tools = Vec::new();
    for (index, tool) in conversation.tools.iter().enumerate().filter(|(_, tool)| chosen(tool)) {
        tools.push(prepare(tool, index, format, most, means)?);
    }
    let calls = Calls {
        format,
        tools: &tools,
        most,
        vocabulary: means.vocabulary,
    };
    let lazy = conversation.tool_choice == ToolChoice::Auto && answer.is_none();
    let grammar = match (&conversation.tool_choice, answer) {
        (ToolChoice::Auto, Some(schema)) => Grammar::calls_or_json(calls, schema),
        (ToolChoice::Auto, None) => Grammar::text_then_calls(calls),
        _ => Grammar::calls(calls),
    };
    let matcher = means.grammars.matcher(&grammar);
    let matcher = matcher.map_err(|problem| refused(field, format!("calls of them can't be guaranteed: {problem}")))?;
    let guide = if lazy {
        let trigger = format
            .open
            .map_or(Trigger::Object(String::new()), |open| Trigger::Marker(open, Vec::new()));
        Guide::lazy(matcher, trigger, means.vocabulary.clone())
    } else {
        Guide::Always(Box::new(matcher))
    };
    let callables = conversation.tools.iter().filter(chosen);
    let callables = callables.map(|tool| Callable {
        name: tool.name.clone(),
        parameters: tool.parameters.clone(),
    });
    Ok(Plan {
        guide,
        callables: callables.collect(),
    })
}

/// `tool` for the grammar. A strict one whose schema can't be followed is refused; any other then takes any object.
fn prepare(
    tool: &ChatTool,
    index: usize,
    format: &'static ToolFormat,
    most: usize,
    means: Means<'_>,
) -> Result<Tool, ChatRefused> {
    let problem = match exact(tool, format) {
        Ok(exact) => {
            let calls = Calls {
                format,
                tools: std::slice::from_ref(&exact),
                most,
                vocabulary: means.vocabulary,
            };
            match means.grammars.matcher(&Grammar::calls(calls)) {
                Ok(_) => return Ok(exact),
                Err(problem) => problem,
            }
        }
        Err(problem) => problem,
    };
    if tool.strict {
        let message = format!("the parameters of {} can't be followed: {problem}", tool.name);
        return Err(refused(&format!("conversation.tools[{index}]"), message));
    }
    Ok(loose(tool))
}

/// With exactly the arguments that the tool's schema allows.
fn exact(tool: &ChatTool, format: &ToolFormat) -> Result<Tool, String> {
    let Some(parameters) = &tool.parameters else {
        return Ok(loose(tool));
    };
    let arguments = normalise(parameters).map_err(|error| error.to_string())?;
    let each = if format.syntax == Syntax::Xml {
        one_by_one(parameters)?
    } else {
        Vec::new()
    };
    // Arguments are an object even where the schema has forgotten to say so.
    let arguments = if arguments.get("type").is_some() {
        arguments
    } else {
        with_type_object(arguments)
    };
    Ok(Tool {
        name: tool.name.clone(),
        arguments,
        each,
    })
}

fn with_type_object(mut schema: Value) -> Value {
    if let Some(map) = schema.as_object_mut()
        && !map.contains_key("$ref")
    {
        map.insert("type".to_owned(), json!("object"));
    }
    schema
}

/// With arguments of any kind.
fn loose(tool: &ChatTool) -> Tool {
    let properties = tool
        .parameters
        .as_ref()
        .and_then(|schema| schema.get("properties")?.as_object());
    let argument = |name: &String| Argument {
        name: name.clone(),
        required: false,
        schema: json!({ "type": "string" }),
    };
    let each = properties.into_iter().flat_map(Map::keys).map(argument).collect();
    Tool {
        name: tool.name.clone(),
        arguments: any_object(),
        each,
    }
}

/// The arguments of a tool whose format writes each in tags.
fn one_by_one(parameters: &Value) -> Result<Vec<Argument>, String> {
    let required = |name: &String| {
        let names = parameters.get("required").and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|other| other == name))
    };
    let properties = parameters.get("properties").and_then(Value::as_object);
    let arguments = properties.into_iter().flatten().map(|(name, property)| {
        let schema = if is_bare(Some(property)) {
            let limits = ["pattern", "format", "minLength", "maxLength"];
            if let Some(limit) = limits.iter().find(|&&limit| property.get(limit).is_some()) {
                return Err(format!(
                    "{limit} of {name} can't be guaranteed in this model's way to write calls"
                ));
            }
            property.clone()
        } else {
            let mut schema = property.clone();
            for key in ["$defs", "definitions"] {
                if let (Some(map), Some(definitions)) = (schema.as_object_mut(), parameters.get(key)) {
                    map.insert(key.to_owned(), definitions.clone());
                }
            }
            normalise(&schema).map_err(|error| error.to_string())?
        };
        Ok(Argument {
            name: name.clone(),
            required: required(name),
            schema,
        })
    });
    arguments.collect()
}

fn refused(field: &str, message: String) -> ChatRefused {
    ChatRefused {
        code: RefusalCode::Schema,
        message,
        field: field.to_owned(),
    }
}
