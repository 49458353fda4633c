//! [`LoadRequest`] and [`LoadProgress`], on the wire and off it.

use std::path::PathBuf;

use crate::{Invalid, LoadProgress, LoadRequest, proto};

impl TryFrom<proto::LoadRequest> for LoadRequest {
    type Error = Invalid;

    fn try_from(wire: proto::LoadRequest) -> Result<Self, Invalid> {
        let request = LoadRequest {
            model: wire.model,
            path: (!wire.path.is_empty()).then(|| PathBuf::from(wire.path)),
            device: wire.device,
            dtype: wire.dtype,
            threads: (wire.threads > 0).then_some(wire.threads as usize),
            options: options(&wire.options)?,
        };
        request.validate()?;
        Ok(request)
    }
}

fn options(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, Invalid> {
    if text.is_empty() {
        return Ok(serde_json::Map::new());
    }
    serde_json::from_str(text).map_err(|error| Invalid::new("options", format!("is not a JSON object: {error}")))
}

impl TryFrom<&LoadRequest> for proto::LoadRequest {
    type Error = Invalid;

    fn try_from(request: &LoadRequest) -> Result<Self, Invalid> {
        request.validate()?;
        let path = match &request.path {
            Some(path) => path
                .to_str()
                .ok_or_else(|| Invalid::new("path", "is not valid UTF-8"))?,
            None => "",
        };
        Ok(Self {
            model: request.model.clone(),
            path: path.to_owned(),
            device: request.device.clone(),
            dtype: request.dtype.clone(),
            threads: u32::try_from(request.threads.unwrap_or(0))
                .map_err(|_| Invalid::new("threads", "is more than fits into 32 bits"))?,
            options: serde_json::Value::Object(request.options.clone()).to_string(),
        })
    }
}

impl From<proto::LoadProgress> for LoadProgress {
    fn from(wire: proto::LoadProgress) -> Self {
        Self {
            stage: wire.stage,
            done: wire.done,
            total: wire.total,
        }
    }
}

impl From<LoadProgress> for proto::LoadProgress {
    fn from(progress: LoadProgress) -> Self {
        Self {
            stage: progress.stage,
            done: progress.done,
            total: progress.total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> proto::LoadRequest {
        proto::LoadRequest {
            model: "shapes-clip".into(),
            path: "/models/shapes-clip".into(),
            device: "cuda:0".into(),
            dtype: "bf16".into(),
            threads: 2,
            options: r#"{"pooling":"mean"}"#.into(),
        }
    }

    #[test]
    fn survives_the_round_trip() {
        let request = LoadRequest::try_from(wire()).unwrap();
        assert_eq!(request.options["pooling"], "mean");
        assert_eq!(proto::LoadRequest::try_from(&request).unwrap(), wire());
    }

    #[test]
    fn nothing_given_means_the_plugin_decides() {
        let mut message = wire();
        (message.path, message.options, message.threads) = (String::new(), String::new(), 0);
        let request = LoadRequest::try_from(message).unwrap();
        assert_eq!((request.path, request.threads), (None, None));
        assert!(request.options.is_empty());
    }

    #[test]
    fn refuses_what_breaks_the_contract() {
        let check = |field: &str, spoil: fn(&mut proto::LoadRequest)| {
            let mut message = wire();
            spoil(&mut message);
            assert_eq!(LoadRequest::try_from(message).unwrap_err().field, field);
        };
        check("model", |m| m.model.clear());
        check("path", |m| m.path = "models/shapes-clip".into());
        check("path", |m| m.path = "/models/../etc".into());
        check("device", |m| m.device.clear());
        check("dtype", |m| m.dtype.clear());
        check("options", |m| m.options = "[]".into());
        check("options", |m| m.options = "{".into());
    }
}
