//! Every form that is taken, and every one that is not.

use serde_json::json;

use super::*;

fn read(body: Value) -> Result<(Vec<Item>, Vec<String>), String> {
    let Value::Object(map) = body else {
        panic!("not an object")
    };
    let mut fields = Fields::new(map);
    let limits = Limits {
        inputs: 4,
        text_bytes: 100,
        ..Limits::default()
    };
    let inputs = if fields.has("messages") {
        Inputs::take_messages(&mut fields, &limits)
    } else {
        Inputs::take(&mut fields, &limits)
    };
    let inputs = inputs.map_err(|error| match error {
        ApiError::Invalid { param, .. } | ApiError::Missing { param } => param.into_owned(),
        other => other.to_string(),
    })?;
    Ok((inputs.items, fields.finish()))
}

fn text(text: &str) -> Item {
    Item::Text(text.to_owned())
}

fn pic(reference: &str) -> Item {
    Item::Image(ImageRef::Reference(reference.to_owned()))
}

#[test]
fn every_accepted_form() {
    let url = "https://x/y.png";
    let uri = "data:image/png;base64,AA";
    for (body, expected) in [
        (json!({"input": "a"}), vec![text("a")]),
        (json!({"input": ["a", "b"]}), vec![text("a"), text("b")]),
        (json!({"input": [1, 2]}), vec![Item::Tokens(vec![1, 2])]),
        (
            json!({"input": [[1], [2, 3]]}),
            vec![Item::Tokens(vec![1]), Item::Tokens(vec![2, 3])],
        ),
        (json!({"input": uri}), vec![pic(uri)]),
        (json!({"input": [uri, "a"]}), vec![pic(uri), text("a")]),
        (json!({"input": [url], "modality": "image"}), vec![pic(url)]),
        (json!({"input": [uri], "modality": "text"}), vec![text(uri)]),
        (json!({"input": url}), vec![text(url)]),
        (
            json!({"input": [{"text": "a"}, {"image": url}, "b"]}),
            vec![text("a"), pic(url), text("b")],
        ),
        (json!({"input": {"image": "iVBORw0"}}), vec![pic("iVBORw0")]),
        (
            json!({"input": [{"content": [{"type": "text", "text": "a"}]}]}),
            vec![text("a")],
        ),
        (
            json!({"input": [{"content": [{"type": "image_url", "image_url": {"url": url}}]}]}),
            vec![pic(url)],
        ),
        (json!({"input": [{"content": "a"}]}), vec![text("a")]),
        (
            json!({"input": [{"type": "image_url", "image_url": url}]}),
            vec![pic(url)],
        ),
        (
            json!({"input": [{"type": "image_base64", "image_base64": "AA"}]}),
            vec![pic("AA")],
        ),
        (json!({"messages": [{"role": "user", "content": "a"}]}), vec![text("a")]),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}),
            vec![pic(url)],
        ),
    ] {
        assert_eq!(read(body.clone()).map(|(items, _)| items), Ok(expected), "{body}");
    }
}

#[test]
fn every_refused_form_names_its_place() {
    let long = "a".repeat(101);
    for (body, param) in [
        (json!({}), "input"),
        (json!({"input": null}), "input"),
        (json!({"input": ""}), "input"),
        (json!({"input": []}), "input"),
        (json!({"input": [[]]}), "input[0]"),
        (json!({"input": ["a", ""]}), "input[1]"),
        (json!({"input": ["a", 1]}), "input[1]"),
        (json!({"input": [1, "a"]}), "input"),
        (json!({"input": [1, -1]}), "input"),
        (json!({"input": [1.5]}), "input"),
        (json!({"input": [[1], [4294967296_u64]]}), "input[1]"),
        (json!({"input": true}), "input"),
        (json!({"input": [null]}), "input[0]"),
        (json!({"input": long}), "input"),
        (json!({"input": ["a", "b", "c", "d", "e"]}), "input"),
        (json!({"input": [{"text": "a", "image": "b"}]}), "input[0]"),
        (json!({"input": [{}]}), "input[0]"),
        (json!({"input": [{"text": 1}]}), "input[0]"),
        (json!({"input": [{"image": ""}]}), "input[0]"),
        (json!({"input": [{"content": []}]}), "input[0]"),
        (json!({"input": [{"content": ["a", "b"]}]}), "input[0]"),
        (json!({"input": [{"type": "input_audio"}]}), "input[0]"),
        (json!({"input": "a", "modality": "audio"}), "modality"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": [{"content": "a"}, {"content": "b"}]}), "messages"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
    ] {
        assert_eq!(read(body.clone()).map(|_| ()), Err(param.to_owned()), "{body}");
    }
}

#[test]
fn what_an_input_holds_beside_is_reported() {
    let body = json!({"input": [{"type": "image_url", "image_url": {"url": "u", "detail": "low"}, "x": 1}]});
    assert_eq!(read(body).unwrap().1, ["input[].image_url.detail", "input[].x"]);
}
