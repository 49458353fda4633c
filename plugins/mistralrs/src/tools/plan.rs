//! From a request to what its reply is kept to, and to how it is read.

use llguidance::Matcher;
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

/// Where the tools stand in a request.
const TOOLS: &str = "conversation.tools";

/// What a reply is kept to, and how it is read.
pub(crate) struct Plan {
    pub(crate) guide: Guide,
    /// The tools whose calls are looked for in the reply; none: it is all text.
    pub(crate) callables: Vec<Callable>,
    /// How many blanks at its start aren't part of it.
    pub(crate) blanks: usize,
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
    let unfit = |problem: String| refused("format", format!("the schema can't be followed: {problem}"));
    let answer = match &request.format {
        OutputFormat::Text => None,
        OutputFormat::JsonObject => Some(any_object()),
        OutputFormat::JsonSchema(schema) => Some(normalise(schema).map_err(|error| unfit(error.to_string()))?),
    };
    let matcher = answer
        .as_ref()
        .map(|schema| means.grammars.matcher(&Grammar::json(schema.clone())))
        .transpose();
    let matcher = matcher.map_err(unfit)?;
    match &request.prompt {
        Prompt::Conversation(conversation)
            if !conversation.tools.is_empty() && conversation.tool_choice != ToolChoice::None =>
        {
            CallPlan::new(conversation, answer, means)?.compile()
        }
        Prompt::Conversation(_) | Prompt::Text(_) | Prompt::TokenIds(_) => {
            let blanks = usize::from(matcher.is_some());
            let guide = matcher.map_or(Guide::Free, |matcher| Guide::Always(Box::new(matcher)));
            Ok(Plan {
                guide,
                callables: Vec::new(),
                blanks,
            })
        }
    }
}

/// A reply in which tools may be called.
struct CallPlan<'a> {
    conversation: &'a Conversation,
    /// The schema of a reply without a call, if it has one.
    answer: Option<Value>,
    format: &'static ToolFormat,
    most: usize,
    means: Means<'a>,
}

// === impl CallPlan ===

impl<'a> CallPlan<'a> {
    fn new(conversation: &'a Conversation, answer: Option<Value>, means: Means<'a>) -> Result<Self, ChatRefused> {
        let invalid = |message: String| ChatRefused {
            code: RefusalCode::InvalidInput,
            message,
            field: TOOLS.to_owned(),
        };
        let format = means.format;
        let format = format.ok_or_else(|| invalid("this model's chat template has no tools".to_owned()))?;
        let count = conversation.tools.len();
        if count > MAX_TOOLS {
            return Err(invalid(format!(
                "there are {count} tools; at most {MAX_TOOLS} are taken"
            )));
        }
        let most = match &conversation.tool_choice {
            ToolChoice::Named(_) => 1,
            _ if !conversation.parallel_tool_calls || !format.parallel => 1,
            _ => MAX_CALLS,
        };
        Ok(Self {
            conversation,
            answer,
            format,
            most,
            means,
        })
    }

    /// The tools that may be called, with their places in the request.
    fn listed(&self) -> impl Iterator<Item = (usize, &'a ChatTool)> {
        let tools = self.conversation.tools.iter().enumerate();
        tools.filter(|(_, tool)| match &self.conversation.tool_choice {
            ToolChoice::Named(name) => tool.name == *name,
            ToolChoice::Auto | ToolChoice::None | ToolChoice::Required => true,
        })
    }

    fn compile(&self) -> Result<Plan, ChatRefused> {
        let mut tools = Vec::new();
        for (index, tool) in self.listed() {
            tools.push(exact(tool, self.format).or_else(|problem| loosen(tool, index, &problem))?);
        }
        let matcher = self.matcher(&tools).or_else(|_| {
            // One of them may be beyond the grammar engine.
            for ((index, tool), ready) in self.listed().zip(&mut tools) {
                if let Err(problem) = self.matcher(std::slice::from_ref(ready)) {
                    *ready = loosen(tool, index, &problem)?;
                }
            }
            let unfit = |problem| refused(TOOLS, format!("calls of them can't be guaranteed: {problem}"));
            self.matcher(&tools).map_err(unfit)
        })?;
        let callables = self.listed().map(|(_, tool)| Callable {
            name: tool.name.clone(),
            parameters: tool.parameters.clone(),
        });
        Ok(Plan {
            callables: callables.collect(),
            guide: self.guide(matcher),
            blanks: usize::from(self.answer.is_some()),
        })
    }

    fn matcher(&self, tools: &[Tool]) -> Result<Matcher, String> {
        let calls = Calls {
            format: self.format,
            tools,
            most: self.most,
            vocabulary: self.means.vocabulary,
        };
        let grammar = match (&self.conversation.tool_choice, &self.answer) {
            (ToolChoice::Auto, Some(schema)) => Grammar::calls_or_json(calls, schema.clone()),
            (ToolChoice::Auto, None) => Grammar::text_then_calls(calls),
            _ => Grammar::calls(calls),
        };
        self.means.grammars.matcher(&grammar)
    }

    fn guide(&self, matcher: Matcher) -> Guide {
        if self.conversation.tool_choice != ToolChoice::Auto || self.answer.is_some() {
            return Guide::Always(Box::new(matcher));
        }
        let trigger = match self.format.open {
            Some(open) => Trigger::Marker(open, Vec::new()),
            None => Trigger::Object(String::new()),
        };
        Guide::lazy(matcher, trigger, self.means.vocabulary.clone())
    }
}

/// What becomes of a tool whose schema can't be followed: a strict one is refused, any other takes any object.
fn loosen(tool: &ChatTool, index: usize, problem: &str) -> Result<Tool, ChatRefused> {
    if tool.strict {
        let message = format!("the parameters of {} can't be followed: {problem}", tool.name);
        return Err(refused(&format!("{TOOLS}[{index}]"), message));
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
