//! [`Manifest`], on the wire and off it.

use super::{known, required, unknown};
use crate::{Invalid, Manifest, ProtocolVersion, Task, proto};

impl TryFrom<proto::Manifest> for Manifest {
    type Error = Invalid;

    fn try_from(wire: proto::Manifest) -> Result<Self, Invalid> {
        let protocol = required(wire.protocol, "protocol")?;
        let manifest = Manifest {
            name: wire.name,
            version: wire.version,
            protocol: ProtocolVersion {
                major: protocol.major,
                minor: protocol.minor,
            },
            tasks: wire.tasks.into_iter().map(task).collect::<Result<_, _>>()?,
            devices: wire.devices,
            network: wire.network,
            options_schema: schema(&wire.options_schema)?,
            architectures: wire.architectures,
        };
        manifest.validate()?;
        Ok(manifest)
    }
}

impl From<Manifest> for proto::Manifest {
    fn from(manifest: Manifest) -> Self {
        Self {
            name: manifest.name,
            version: manifest.version,
            protocol: Some(proto::ProtocolVersion {
                major: manifest.protocol.major,
                minor: manifest.protocol.minor,
            }),
            tasks: manifest
                .tasks
                .into_iter()
                .map(|task| proto::Task::from(task).into())
                .collect(),
            devices: manifest.devices,
            network: manifest.network,
            options_schema: manifest
                .options_schema
                .map(|schema| schema.to_string())
                .unwrap_or_default(),
            architectures: manifest.architectures,
        }
    }
}

impl From<Task> for proto::Task {
    fn from(task: Task) -> Self {
        match task {
            Task::Embed => Self::Embed,
            Task::Chat => Self::Chat,
            Task::Image => Self::Image,
            Task::Transcribe => Self::Transcribe,
        }
    }
}

fn task(number: i32) -> Result<Task, Invalid> {
    match known(number, "tasks")? {
        proto::Task::Embed => Ok(Task::Embed),
        proto::Task::Chat => Ok(Task::Chat),
        proto::Task::Image => Ok(Task::Image),
        proto::Task::Transcribe => Ok(Task::Transcribe),
        proto::Task::Unspecified => Err(unknown(number, "tasks")),
    }
}

fn schema(text: &str) -> Result<Option<serde_json::Value>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(text)
        .map(Some)
        .map_err(|error| Invalid::new("options_schema", format!("is not JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> proto::Manifest {
        proto::Manifest {
            name: "stub".into(),
            version: "0.1.0-rc.1".into(),
            protocol: Some(proto::ProtocolVersion { major: 1, minor: 3 }),
            tasks: vec![1, 2],
            devices: vec!["cpu".into()],
            network: false,
            options_schema: r#"{"type":"object"}"#.into(),
            architectures: vec!["CLIPModel".into()],
        }
    }

    #[test]
    fn survives_the_round_trip() {
        let manifest = Manifest::try_from(wire()).unwrap();
        assert_eq!(manifest.tasks, [Task::Embed, Task::Chat]);
        assert_eq!(proto::Manifest::from(manifest), wire());
    }

    #[test]
    fn refuses_what_breaks_the_contract() {
        let check = |field: &str, spoil: fn(&mut proto::Manifest)| {
            let mut message = wire();
            spoil(&mut message);
            assert_eq!(Manifest::try_from(message).unwrap_err().field, field);
        };
        check("name", |m| m.name.clear());
        check("name", |m| m.name = "../evil".into());
        check("name", |m| m.name = "Stub".into());
        check("name", |m| m.name = "x".repeat(65));
        check("version", |m| m.version = "one".into());
        check("version", |m| m.version = "1.2".into());
        check("protocol", |m| m.protocol = None);
        check("protocol.major", |m| {
            m.protocol = Some(proto::ProtocolVersion::default())
        });
        check("tasks", |m| m.tasks.clear());
        check("tasks", |m| m.tasks = vec![0]);
        check("tasks", |m| m.tasks = vec![99]);
        check("tasks", |m| m.tasks = vec![1, 1]);
        check("devices", |m| m.devices.clear());
        check("options_schema", |m| m.options_schema = "{".into());
        check("options_schema", |m| m.options_schema = "[]".into());
        check("architectures", |m| m.architectures.push(String::new()));
    }
}
