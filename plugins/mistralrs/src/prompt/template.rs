//! A model's chat template, rendered as transformers renders it.

use std::collections::HashMap;

use minijinja::{
    Environment, Error, ErrorKind, context,
    value::{Kwargs, Value as Jinja},
};
use serde_json::{Map, Value, json};

use super::json::{to_jinja, tojson};
use crate::{checkpoint::ModelDir, error::LoadError, model::special};

/// Roles of messages, as templates know them; the user first, because trials of the others have the user speak too.
const ROLES: [&str; 4] = ["user", "system", "assistant", "tool"];

/// What stands in a trial conversation for what the client says.
const PROBE: &str = "sensorium-probe";

/// A chat template that has been tried.
#[derive(Debug)]
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    /// All of its source, to look for words in.
    source: String,
    bos: Option<String>,
    eos: Option<String>,
    /// The template `tools` exists beside `chat`.
    tool_template: bool,
    /// Roles whose words are given as a list of parts, not as one text.
    in_parts: Vec<&'static str>,
    /// It knows messages of the operator.
    takes_system: bool,
}

/// What is rendered.
#[derive(Debug, Clone)]
pub(crate) struct Rendering {
    /// As transformers takes them.
    pub(crate) messages: Vec<Value>,
    /// As transformers takes them; empty: none.
    pub(crate) tools: Vec<Value>,
}

// === impl ChatTemplate ===

impl ChatTemplate {
    /// The template of a model's directory: chat_template.jinja, chat_template.json, or that of tokenizer_config.json.
    ///
    /// # Errors
    /// If it isn't one.
    pub(crate) fn read(dir: &ModelDir, tokens: &Map<String, Value>) -> Result<Option<Self>, LoadError> {
        let (bos, eos) = (special(tokens, "bos_token"), special(tokens, "eos_token"));
        if let Some(source) = dir.text("chat_template.jinja")? {
            return Self::new(&source, bos, eos).map(Some);
        }
        let mut template = None;
        for (name, object) in [
            ("chat_template.json", dir.object("chat_template.json")?),
            ("tokenizer_config.json", Some(tokens.clone())),
        ] {
            let found = object.and_then(|mut object| object.remove("chat_template"));
            template = template.or(found.map(|found| (name, found)));
        }
        match template {
            None => Ok(None),
            Some((_, Value::String(source))) => Self::new(&source, bos, eos).map(Some),
            Some((name, Value::Array(list))) => {
                let named: HashMap<&str, &str> = list
                    .iter()
                    .filter_map(|one| Some((one.get("name")?.as_str()?, one.get("template")?.as_str()?)))
                    .collect();
                let chat = named.get("default").or_else(|| named.get("chat"));
                let chat = chat.ok_or_else(|| LoadError::file(name, "`chat_template` has no `default`"))?;
                Self::with_tools(chat, named.get("tool_use").copied(), bos, eos).map(Some)
            }
            Some((name, _)) => Err(LoadError::file(name, "`chat_template` is neither a text nor a list")),
        }
    }

    /// A template from its source.
    ///
    /// # Errors
    /// If it isn't one.
    pub(crate) fn new(source: &str, bos: Option<String>, eos: Option<String>) -> Result<Self, LoadError> {
        Self::with_tools(source, None, bos, eos)
    }

    fn with_tools(
        chat: &str,
        tools: Option<&str>,
        bos: Option<String>,
        eos: Option<String>,
    ) -> Result<Self, LoadError> {
        let mut environment = environment();
        let fail = |error: Error| LoadError::file("chat template", chain(&error));
        environment.add_template_owned("chat", portable(chat)).map_err(fail)?;
        if let Some(tools) = tools {
            environment.add_template_owned("tools", portable(tools)).map_err(fail)?;
        }
        let mut template = Self {
            environment,
            source: format!("{chat}{}", tools.unwrap_or_default()),
            bos,
            eos,
            tool_template: tools.is_some(),
            in_parts: Vec::new(),
            takes_system: true,
        };
        for role in ROLES {
            if template.try_parts(role) {
                template.in_parts.push(role);
            }
        }
        template.takes_system = template.try_system();
        Ok(template)
    }

    /// True if `words` occur in the template's source.
    pub(crate) fn mentions(&self, words: &str) -> bool {
        self.source.contains(words)
    }

    /// All of its source.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// True if messages of this role are to have a list of parts.
    pub(crate) fn takes_parts(&self, role: &str) -> bool {
        self.in_parts.contains(&role)
    }

    /// True if a message may have the role `system`.
    pub(crate) fn takes_system(&self) -> bool {
        self.takes_system
    }

    /// The token that begins a prompt, if the tokenizer's files name one.
    pub(crate) fn bos(&self) -> Option<&str> {
        self.bos.as_deref()
    }

    /// How often `placeholder` stands in the prompt of a message with one image.
    pub(crate) fn places(&self, placeholder: &str) -> usize {
        let parts = json!([{"type": "image"}, {"type": "text", "text": PROBE}]);
        let rendering = Rendering {
            messages: vec![json!({"role": "user", "content": parts})],
            tools: Vec::new(),
        };
        let rendered = self.render(&rendering).unwrap_or_default();
        rendered.matches(placeholder).count()
    }

    /// The prompt, up to where the assistant speaks.
    ///
    /// # Errors
    /// What the template says against these messages.
    pub(crate) fn render(&self, rendering: &Rendering) -> Result<String, String> {
        let name = if self.tool_template && !rendering.tools.is_empty() {
            "tools"
        } else {
            "chat"
        };
        let tools = match rendering.tools.is_empty() {
            true => Jinja::from(()),
            false => to_jinja(Value::Array(rendering.tools.clone())),
        };
        let context = context! {
            messages => to_jinja(Value::Array(rendering.messages.clone())),
            tools => tools,
            add_generation_prompt => true,
            bos_token => self.bos.clone().unwrap_or_default(),
            eos_token => self.eos.clone().unwrap_or_default(),
        };
        let template = self.environment.get_template(name).map_err(|error| chain(&error))?;
        template.render(context).map_err(|error| chain(&error))
    }

    /// Does a list of parts come out as its text?
    fn try_parts(&self, role: &str) -> bool {
        // A template that only knows texts writes the list as it would be in Python, or fails.
        let literal = |prompt: &str| ["\"text\"", "'text'"].iter().any(|key| prompt.contains(key));
        self.try_message(role, json!([{"type": "text", "text": PROBE}]))
            .is_some_and(|prompt| prompt.contains(PROBE) && !literal(&prompt))
    }

    fn try_system(&self) -> bool {
        let content = match self.takes_parts("system") {
            true => json!([{"type": "text", "text": PROBE}]),
            false => json!(PROBE),
        };
        self.try_message("system", content)
            .is_some_and(|prompt| prompt.contains(PROBE))
    }

    /// A conversation in which one role says something.
    fn try_message(&self, role: &str, content: Value) -> Option<String> {
        let user = || match self.takes_parts("user") {
            true => json!({"role": "user", "content": [{"type": "text", "text": "?"}]}),
            false => json!({"role": "user", "content": "?"}),
        };
        let message = json!({"role": role, "content": content});
        let messages = match role {
            "user" => vec![message],
            "system" => vec![message, user()],
            _ => vec![user(), message],
        };
        self.render(&Rendering {
            messages,
            tools: Vec::new(),
        })
        .ok()
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // As transformers' own environment has it.
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_filter("tojson", |value: &Jinja, options: Kwargs| {
        let indent = options.get::<Option<usize>>("indent").ok().flatten();
        tojson(value, indent).map_err(|problem| Error::new(ErrorKind::InvalidOperation, problem))
    });
    environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |format: String| {
        chrono::Local::now().format(&format).to_string()
    });
    environment
}

/// What Python's Jinja can do and minijinja can't, in other words.
fn portable(source: &str) -> String {
    source
        .replace("[::-1]", "|reverse")
        .replace("{% generation %}", "")
        .replace("{% endgeneration %}", "")
        .replace("{%- generation %}", "")
        .replace("{%- endgeneration %}", "")
}

/// An error's own words.
fn chain(error: &Error) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate::new(source, Some("<s>".into()), Some("</s>".into())).expect("a template")
    }

    #[test]
    fn what_a_template_takes_is_found_by_trying() {
        let plain = template("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}");
        assert!(!plain.takes_parts("user") && plain.takes_system());
        let parts = "{% for m in messages %}{% for p in m.content %}{{ p.text if p.type == 'text' else '<image>' }}{% endfor %}{% endfor %}";
        assert!(template(parts).takes_parts("user"));
        assert_eq!(template(parts).places("<image>"), 1);
        assert_eq!(plain.places("<image>"), 0);
        let picky = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ messages[0].content }}";
        assert!(!template(picky).takes_system());
    }

    #[test]
    fn exceptions_of_a_template_are_told() {
        let strict = template("{{ raise_exception('roles must alternate') }}");
        let rendering = Rendering {
            messages: vec![json!({"role": "user", "content": "x"})],
            tools: Vec::new(),
        };
        assert_eq!(strict.render(&rendering), Err("roles must alternate".to_owned()));
    }

    #[test]
    fn tools_keep_their_order() {
        let tools = template("{{ tools | tojson }}{{ bos_token }}");
        let rendering = Rendering {
            messages: vec![],
            tools: vec![json!({"type": "function", "function": {"name": "f", "description": "d"}})],
        };
        let expected = r#"[{"type": "function", "function": {"name": "f", "description": "d"}}]<s>"#;
        assert_eq!(tools.render(&rendering), Ok(expected.to_owned()));
    }
}
