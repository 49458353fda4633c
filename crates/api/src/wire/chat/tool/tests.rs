use serde_json::json;

use super::*;

fn take(body: Value) -> Result<Tools, String> {
    let mut fields = Fields::parse(body.to_string().as_bytes()).unwrap();
    let limits = Limits {
        prompt_bytes: 1000,
        ..Limits::default()
    };
    Tools::take(&mut fields, &limits, Room::new(&limits)).map_err(|error| error.body().error.param.unwrap_or_default())
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}, "strict": true}})
}

fn with_choice(choice: Value) -> Result<(ToolChoice, Vec<String>), String> {
    let tools = take(json!({"tools": [tool("f"), tool("g")], "tool_choice": choice}))?;
    Ok((tools.choice, tools.tools.into_iter().map(|tool| tool.name).collect()))
}

#[test]
fn choices_have_many_forms() {
    let named = |name: &str| json!({"type": "function", "function": {"name": name}});
    let allowed =
        |mode: &str, tools: Value| json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}});
    let both = || vec!["f".to_owned(), "g".to_owned()];
    for (choice, expected) in [
        (json!(null), Ok((ToolChoice::Auto, both()))),
        (json!("auto"), Ok((ToolChoice::Auto, both()))),
        (json!("none"), Ok((ToolChoice::None, both()))),
        (json!("required"), Ok((ToolChoice::Required, both()))),
        (named("g"), Ok((ToolChoice::Named("g".into()), both()))),
        (
            allowed("auto", json!([named("g")])),
            Ok((ToolChoice::Auto, vec!["g".to_owned()])),
        ),
        (
            allowed("required", json!([{"type": "function", "name": "f"}])),
            Ok((ToolChoice::Required, vec!["f".to_owned()])),
        ),
        (json!("all"), Err("tool_choice")),
        (json!(7), Err("tool_choice")),
        (json!({}), Err("tool_choice.type")),
        (json!({"type": "custom"}), Err("tool_choice.type")),
        (named("h"), Err("tool_choice.function.name")),
        (json!({"type": "function"}), Err("tool_choice.function")),
        (
            allowed("none", json!([named("g")])),
            Err("tool_choice.allowed_tools.mode"),
        ),
        (allowed("auto", json!([])), Err("tool_choice.allowed_tools.tools")),
        (
            allowed("auto", json!([named("h")])),
            Err("tool_choice.allowed_tools.tools[0].function.name"),
        ),
    ] {
        assert_eq!(with_choice(choice.clone()), expected.map_err(str::to_owned), "{choice}");
    }
    assert_eq!(take(json!({"tool_choice": "required"})), Err("tool_choice".to_owned()));
}

#[test]
fn tools_are_functions_with_names() {
    let tools = take(json!({"tools": [tool("get_weather-2")]})).unwrap();
    let expected = ChatTool {
        name: "get_weather-2".into(),
        description: None,
        parameters: Some(json!({"type": "object"})),
        strict: true,
    };
    assert_eq!((tools.tools, tools.parallel), (vec![expected], true));
    for (tools, param) in [
        (json!({}), "tools"),
        (json!([7]), "tools[0]"),
        (json!([{}]), "tools[0].type"),
        (json!([{"type": "web_search"}]), "tools[0].type"),
        (json!([{"type": "function"}]), "tools[0].function"),
        (json!([{"type": "function", "function": {}}]), "tools[0].function.name"),
        (json!([tool("")]), "tools[0].function.name"),
        (json!([tool("a b")]), "tools[0].function.name"),
        (json!([tool(&"x".repeat(65))]), "tools[0].function.name"),
        (json!([tool("f"), tool("f")]), "tools[1].function.name"),
        (
            json!([{"type": "function", "function": {"name": "f", "parameters": []}}]),
            "tools[0].function.parameters",
        ),
        (
            json!([{"type": "function", "function": {"name": "f", "strict": 1}}]),
            "tools[0].function.strict",
        ),
        (
            json!([{"type": "function", "function": {"name": "f", "description": "x".repeat(1000)}}]),
            "tools[0].function",
        ),
        (json!(vec![tool("f"); 129]), "tools"),
    ] {
        assert_eq!(take(json!({"tools": tools.clone()})), Err(param.to_owned()), "{tools}");
    }
}
