use serde_json::json;

use super::*;

fn take(body: Value) -> Result<Asked, String> {
    let mut fields = Fields::parse(body.to_string().as_bytes()).unwrap();
    Asked::take(&mut fields, &Limits::default()).map_err(|error| error.body().error.param.unwrap_or_default())
}

fn wanted(asked: &Asked) -> Vec<&str> {
    asked.wanted.iter().map(|wanted| wanted.at.as_ref()).collect()
}

#[test]
fn off_is_as_good_as_nothing() {
    for body in [
        json!({}),
        json!({"temperature": 1, "top_p": 1.0, "top_k": 0, "min_p": 0, "n": 1, "stop": [], "logit_bias": {}}),
        json!({"presence_penalty": 0, "frequency_penalty": 0.0, "repetition_penalty": 1, "top_k": -1}),
        json!({"temperature": null, "seed": null, "stop": null, "logit_bias": {"5": 0}}),
    ] {
        let mut asked = take(body.clone()).unwrap();
        asked.sampling.seed = 0;
        assert_eq!(asked.sampling, Sampling::default(), "{body}");
        assert!(
            asked.wanted.is_empty() && asked.stop.is_empty() && asked.n == 1,
            "{body}"
        );
    }
}

#[test]
fn what_is_wanted_is_named() {
    let asked = take(json!({
        "temperature": 0, "top_p": 0.5, "top_k": 40, "min_p": 0.05, "presence_penalty": -2, "frequency_penalty": 2,
        "repetition_penalty": 1.1, "seed": -1, "logit_bias": {"50256": -100, "7": 1.5}, "n": 3, "stop": "\n"
    }))
    .unwrap();
    let sampling = &asked.sampling;
    assert_eq!(
        (sampling.temperature, sampling.top_p, sampling.top_k),
        (Some(0.0), Some(0.5), Some(40))
    );
    assert_eq!((sampling.min_p, sampling.repetition_penalty), (Some(0.05), Some(1.1)));
    assert_eq!(
        (sampling.presence_penalty, sampling.frequency_penalty),
        (Some(-2.0), Some(2.0))
    );
    assert_eq!(sampling.seed, u64::MAX);
    assert_eq!(sampling.logit_bias, BTreeMap::from([(7, 1.5), (50256, -100.0)]));
    assert_eq!((asked.n, asked.stop.as_slice()), (3, &["\n".to_owned()][..]));
    assert_eq!(
        wanted(&asked),
        [
            "temperature",
            "top_p",
            "min_p",
            "presence_penalty",
            "frequency_penalty",
            "repetition_penalty",
            "top_k",
            "seed",
            "logit_bias"
        ]
    );
}

#[test]
fn bounds_are_held() {
    for (name, value) in [
        ("temperature", json!(-0.1)),
        ("temperature", json!(2.1)),
        ("temperature", json!(1e300)),
        ("temperature", json!("hot")),
        ("top_p", json!(0)),
        ("top_p", json!(1.1)),
        ("top_k", json!(-2)),
        ("top_k", json!(4_294_967_296_i64)),
        ("top_k", json!(1.5)),
        ("min_p", json!(-1)),
        ("min_p", json!(1.01)),
        ("presence_penalty", json!(2.5)),
        ("frequency_penalty", json!(-2.5)),
        ("repetition_penalty", json!(0)),
        ("repetition_penalty", json!(11)),
        ("n", json!(0)),
        ("n", json!(129)),
        ("n", json!(-1)),
        ("n", json!(1e9)),
        ("n", json!("2")),
        ("seed", json!(1.5)),
        ("seed", json!(1e30)),
        ("seed", json!("x")),
        ("stop", json!(7)),
        ("stop", json!("")),
        ("stop", json!(["a", ""])),
        ("stop", json!(["a", 7])),
        ("stop", json!(["a", "b", "c", "d", "e"])),
        ("stop", json!("x".repeat(1025))),
        ("logit_bias", json!([])),
        ("logit_bias", json!({"x": 1})),
        ("logit_bias", json!({"-1": 1})),
        ("logit_bias", json!({"1": 101})),
        ("logit_bias", json!({"1": "a"})),
        (
            "logit_bias",
            (0..1025)
                .map(|id| (id.to_string(), json!(1)))
                .collect::<Map<_, _>>()
                .into(),
        ),
    ] {
        assert_eq!(take(json!({name: value})), Err(name.to_owned()), "{name}: {value}");
    }
    assert_eq!(take(json!({"seed": u64::MAX})).unwrap().sampling.seed, u64::MAX);
    assert_eq!(take(json!({"top_p": 1e-60})), Err("top_p".to_owned()));
}

#[test]
fn each_choice_has_its_own_seed() {
    let prompt = || Prompt::Text("a".into());
    let asked = take(json!({"seed": u64::MAX, "n": 2})).unwrap();
    let seeds: Vec<u64> = (0..2)
        .map(|choice| asked.request(prompt(), OutputFormat::Text, choice).sampling.seed)
        .collect();
    assert_eq!(seeds, [u64::MAX, 0]);
    let seed = || take(json!({})).unwrap().sampling.seed;
    assert_ne!(seed(), seed());
}

#[test]
fn stream_options_need_a_stream() {
    let take = |body: Value| {
        let mut fields = Fields::parse(body.to_string().as_bytes()).unwrap();
        let taken = Delivery::take(&mut fields).map(|delivery| (delivery.stream, delivery.include_usage));
        taken
            .map(|taken| (taken, fields.finish()))
            .map_err(|error| error.body().error.param.unwrap_or_default())
    };
    let ignored = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (body, expected) in [
        (json!({}), Ok(((false, false), ignored(&[])))),
        (
            json!({"stream": false, "stream_options": null}),
            Ok(((false, false), ignored(&[]))),
        ),
        (
            json!({"stream": true, "stream_options": {}}),
            Ok(((true, false), ignored(&[]))),
        ),
        (
            json!({"stream": true, "stream_options": {"include_usage": true, "include_obfuscation": false}}),
            Ok(((true, true), ignored(&["stream_options.include_obfuscation"]))),
        ),
        (
            json!({"stream_options": {"include_usage": true}}),
            Err("stream_options".to_owned()),
        ),
        (
            json!({"stream": true, "stream_options": 3}),
            Err("stream_options".to_owned()),
        ),
        (
            json!({"stream": true, "stream_options": {"include_usage": 1}}),
            Err("stream_options.include_usage".to_owned()),
        ),
        (json!({"stream": "yes"}), Err("stream".to_owned())),
    ] {
        assert_eq!(take(body.clone()), expected, "{body}");
    }
}
