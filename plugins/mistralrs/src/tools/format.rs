//! The ways in which models write tool calls, told from their chat templates.

/// How a model writes calls of tools.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ToolFormat {
    /// For logs.
    pub(crate) name: &'static str,
    /// What stands before a call (before each, or before all if `list`). `None`: a reply that is an object with a tool's name
    /// in it is a call.
    pub(crate) open: Option<&'static str>,
    /// What stands after it, where there is such a thing.
    pub(crate) close: Option<&'static str>,
    pub(crate) syntax: Syntax,
    /// The length of the ids that the template insists on, which are letters and digits; `None`: any id.
    pub(crate) id_length: Option<usize>,
    /// More than one call in a reply is understood.
    pub(crate) parallel: bool,
}

/// What stands between the markers of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// `{"name": …, "arguments": {…}}`, within `lead` and `tail`; several in brackets if `list`.
    Json {
        lead: &'static str,
        tail: &'static str,
        arguments: &'static str,
        list: bool,
    },
    /// `name[ARGS]{…}`, or `name[CALL_ID]id[ARGS]{…}`.
    Args { call_id: bool },
    /// `<function=name>` with a `<parameter=key>` for each argument, strings without quotes.
    Xml,
}

/// Qwen 2.5, Qwen3-VL, Hermes and SmolLM.
static HERMES: ToolFormat = ToolFormat {
    name: "hermes",
    open: Some("<tool_call>"),
    close: Some("</tool_call>"),
    syntax: Syntax::Json {
        lead: "\n",
        tail: "\n",
        arguments: "arguments",
        list: false,
    },
    id_length: None,
    parallel: true,
};

/// The same without line breaks: the bundled models.
static HERMES_TIGHT: ToolFormat = ToolFormat {
    name: "hermes-tight",
    open: Some("<tool_call>"),
    close: Some("</tool_call>"),
    syntax: Syntax::Json {
        lead: "",
        tail: "",
        arguments: "arguments",
        list: false,
    },
    id_length: None,
    parallel: true,
};

/// Qwen3-Coder and Qwen3.5.
static QWEN_XML: ToolFormat = ToolFormat {
    name: "qwen-xml",
    open: Some("<tool_call>"),
    close: Some("</tool_call>"),
    syntax: Syntax::Xml,
    id_length: None,
    parallel: true,
};

/// Llama 3.1 to 4.
static LLAMA: ToolFormat = ToolFormat {
    name: "llama",
    open: None,
    close: None,
    syntax: Syntax::Json {
        lead: "",
        tail: "",
        arguments: "parameters",
        list: false,
    },
    id_length: None,
    parallel: false,
};

/// Templates of no known family whose calls are plain objects.
static PLAIN: ToolFormat = ToolFormat {
    name: "plain",
    open: None,
    close: None,
    syntax: Syntax::Json {
        lead: "",
        tail: "",
        arguments: "arguments",
        list: false,
    },
    id_length: None,
    parallel: false,
};

/// Mistral up to tokenizer version 7.
static MISTRAL: ToolFormat = ToolFormat {
    name: "mistral",
    open: Some("[TOOL_CALLS]"),
    close: None,
    syntax: Syntax::Json {
        lead: "",
        tail: "",
        arguments: "arguments",
        list: true,
    },
    id_length: Some(9),
    parallel: true,
};

/// The same with a blank after the marker.
static MISTRAL_SPACED: ToolFormat = ToolFormat {
    name: "mistral-spaced",
    open: Some("[TOOL_CALLS]"),
    close: None,
    syntax: Syntax::Json {
        lead: " ",
        tail: "",
        arguments: "arguments",
        list: true,
    },
    id_length: Some(9),
    parallel: true,
};

/// Mistral from tokenizer version 11 on.
static MISTRAL_ARGS: ToolFormat = ToolFormat {
    name: "mistral-args",
    open: Some("[TOOL_CALLS]"),
    close: None,
    syntax: Syntax::Args { call_id: false },
    id_length: Some(9),
    parallel: true,
};

/// Mistral's tokenizer version 11, where the calls carry ids.
static MISTRAL_CALL_ID: ToolFormat = ToolFormat {
    name: "mistral-call-id",
    open: Some("[TOOL_CALLS]"),
    close: None,
    syntax: Syntax::Args { call_id: true },
    id_length: Some(9),
    parallel: true,
};

/// Phi-4-mini and Phi-4-multimodal.
static PHI: ToolFormat = ToolFormat {
    name: "phi",
    open: Some("<|tool_call|>"),
    close: Some("<|/tool_call|>"),
    syntax: Syntax::Json {
        lead: "",
        tail: "",
        arguments: "arguments",
        list: true,
    },
    id_length: None,
    parallel: true,
};

/// The marker that Llama models may put before a call; it stands for nothing more.
pub(crate) const PYTHON_TAG: &str = "<|python_tag|>";

/// Every token that brackets calls in some format.
pub(crate) const MARKERS: [&str; 8] = [
    "<tool_call>",
    "</tool_call>",
    "[TOOL_CALLS]",
    "[ARGS]",
    "[CALL_ID]",
    "<|tool_call|>",
    "<|/tool_call|>",
    PYTHON_TAG,
];

// === impl ToolFormat ===

impl ToolFormat {
    /// The format in which `template` shows calls; `None` if it knows no tools, or writes calls in a way that isn't known
    /// here.
    pub(crate) fn detect(template: &str) -> Option<&'static Self> {
        let has = |text: &str| template.contains(text);
        if !has("tools") && !has("tool_calls") {
            return None;
        }
        // The most particular first.
        let format = if has("<tool_call>") && has("<function=") {
            &QWEN_XML
        } else if has("<tool_call>") {
            if breaks_line_after(template, "<tool_call>") {
                &HERMES
            } else {
                &HERMES_TIGHT
            }
        } else if has("[TOOL_CALLS]") && has("[CALL_ID]") {
            &MISTRAL_CALL_ID
        } else if has("[TOOL_CALLS]") && has("[ARGS]") {
            &MISTRAL_ARGS
        } else if has("[TOOL_CALLS] ") {
            &MISTRAL_SPACED
        } else if has("[TOOL_CALLS]") {
            &MISTRAL
        } else if has("<|tool_call|>") {
            &PHI
        } else if ["tool_call>", "tool_call|>", "tool▁call", "<|channel|>"]
            .iter()
            .any(|&marker| has(marker))
        {
            // Calls stand between markers of another family.
            return None;
        } else if has(PYTHON_TAG) || (has("\"parameters\"") && has("\"name\"")) {
            &LLAMA
        } else if has("\"arguments\"") && has("\"name\"") {
            &PLAIN
        } else {
            return None;
        };
        Some(format)
    }

    /// An id that the template accepts in place of `id`, which may come from another server: itself where it can
    /// stay, else a digest of it, so that a call and its answer still match.
    pub(crate) fn call_id(&self, id: &str) -> String {
        match self.id_length {
            Some(length) if id.len() != length || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                letters(id.as_bytes(), length)
            }
            _ => id.to_owned(),
        }
    }

    /// The id of call `index` of a reply that `reply` names.
    pub(crate) fn new_id(&self, reply: &[u8], index: usize) -> String {
        let name = [reply, &index.to_le_bytes()].concat();
        match self.id_length {
            Some(length) => letters(&name, length),
            None => format!("call_{}", letters(&name, 24)),
        }
    }
}

/// True if `template` somewhere has a line break after `marker`, as it is or as an escape in a string.
fn breaks_line_after(template: &str, marker: &str) -> bool {
    template
        .split(marker)
        .skip(1)
        .any(|rest| rest.starts_with('\n') || rest.starts_with("\\n"))
}

/// `length` letters and digits that depend on every byte of `name`.
fn letters(name: &[u8], length: usize) -> String {
    const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let digest = blake3::hash(name);
    digest
        .as_bytes()
        .iter()
        .take(length)
        .map(|&byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_tells_the_format() {
        let rows = [
            ("{% for m in messages %}{{ m.content }}{% endfor %}", None),
            (
                "{% if tools %}<tools>…</tools> return <tool_call>\\n{\"name\": …, \"arguments\": …}",
                Some("hermes"),
            ),
            ("{{ tools }} {{- ' <tool_call>{\"name\": ' }}", Some("hermes-tight")),
            (
                "{{ tools }} <tool_call></tool_call>\n<tool_call>\n{\"name\": ",
                Some("hermes"),
            ),
            (
                "{% if tools %}<tool_call>\\n<function=example_function_name>",
                Some("qwen-xml"),
            ),
            ("{{ tools }} [TOOL_CALLS] [{\"name\":", Some("mistral-spaced")),
            ("{{ tools }} [TOOL_CALLS][{\"name\":", Some("mistral")),
            ("{{ tools }} [TOOL_CALLS]{{ name }}[ARGS]", Some("mistral-args")),
            (
                "{{ tools }} [TOOL_CALLS]{{ name }}[CALL_ID]{{ id }}[ARGS]",
                Some("mistral-call-id"),
            ),
            ("{{ tools }} <|tool_call|>[", Some("phi")),
            ("{{ tools }} <|python_tag|>", Some("llama")),
            ("{{ tools }} {\"name\": f, \"parameters\": p}", Some("llama")),
            ("{{ tools }} {\"name\": f, \"arguments\": p}", Some("plain")),
            ("{{ tools }} <|tool_call>call:name \"name\" \"parameters\"", None),
            ("{{ tools }} <｜tool▁calls▁begin｜> \"name\" \"arguments\"", None),
            ("{{ tools }} call as you like", None),
        ];
        for (template, expected) in rows {
            assert_eq!(
                ToolFormat::detect(template).map(|format| format.name),
                expected,
                "{template}"
            );
        }
    }

    #[test]
    fn ids_suit_the_template_and_depend_on_the_reply() {
        assert_eq!(HERMES.call_id("call_x-1"), "call_x-1");
        assert_eq!(MISTRAL.call_id("abcDEF123"), "abcDEF123");
        for other in ["call_x-1", "", "abc-EF123", "abcDEF1234"] {
            let id = MISTRAL.call_id(other);
            assert!(
                id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                "{id}"
            );
            assert_eq!(id, MISTRAL.call_id(other));
        }
        assert!(HERMES.new_id(b"reply", 0).starts_with("call_"));
        assert_eq!(MISTRAL.new_id(b"reply", 0).len(), 9);
        assert_ne!(HERMES.new_id(b"reply", 0), HERMES.new_id(b"reply", 1));
        assert_ne!(HERMES.new_id(b"reply", 0), HERMES.new_id(b"other", 0));
        assert_eq!(HERMES.new_id(b"reply", 0), HERMES.new_id(b"reply", 0));
    }
}
