//! The one line that a plugin writes to stdout once its socket accepts connections.

use serde::{Deserialize, Serialize};

use crate::ProtocolVersion;

/// `{"sensorium":{"protocol":{"major":1,"minor":0}}}`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Handshake {
    sensorium: Greeting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Greeting {
    protocol: ProtocolVersion,
}

// === impl Handshake ===

impl Handshake {
    /// Longest line that is read, in bytes. Room for fields that later versions add.
    pub(crate) const MAX_BYTES: usize = 4096;

    pub(crate) fn new(protocol: ProtocolVersion) -> Self {
        Self {
            sensorium: Greeting { protocol },
        }
    }

    pub(crate) fn protocol(&self) -> ProtocolVersion {
        self.sensorium.protocol
    }

    /// Without the line's end.
    pub(crate) fn to_line(self) -> serde_json::Result<String> {
        serde_json::to_string(&self)
    }

    /// Unknown fields are ignored, so that later versions can add some.
    pub(crate) fn parse(line: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PROTOCOL;

    #[test]
    fn the_line_is_what_plugin_proto_shows() {
        let handshake = Handshake::new(PROTOCOL);
        let line = handshake.to_line().unwrap();
        assert_eq!(line, r#"{"sensorium":{"protocol":{"major":1,"minor":2}}}"#);
        assert_eq!(Handshake::parse(line.as_bytes()).unwrap(), handshake);
    }

    #[test]
    fn added_fields_are_ignored_and_noise_is_refused() {
        let later = br#"{"sensorium":{"protocol":{"major":1,"minor":9,"x":1},"pid":3}}"#;
        assert_eq!(Handshake::parse(later).unwrap().protocol().minor, 9);
        for noise in [
            "",
            "hello",
            "{}",
            "[]",
            r#"{"sensorium":{"protocol":{"major":-1,"minor":0}}}"#,
        ] {
            assert!(Handshake::parse(noise.as_bytes()).is_err(), "{noise}");
        }
    }
}
