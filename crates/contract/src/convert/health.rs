//! [`Health`], on the wire and off it.

use super::{known, unknown};
use crate::{Health, Invalid, LoadState, proto};

impl TryFrom<proto::HealthReply> for Health {
    type Error = Invalid;

    fn try_from(wire: proto::HealthReply) -> Result<Self, Invalid> {
        let state = match known(wire.state, "state")? {
            proto::LoadState::Empty => LoadState::Empty,
            proto::LoadState::Loading => LoadState::Loading,
            proto::LoadState::Loaded => LoadState::Loaded,
            proto::LoadState::Failed => LoadState::Failed,
            proto::LoadState::Unspecified => return Err(unknown(wire.state, "state")),
        };
        if wire.kv_usage.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err(Invalid::new("kv_usage", "is not between 0 and 1"));
        }
        Ok(Self {
            state,
            progress: wire.progress,
            running: wire.running,
            kv_usage: wire.kv_usage,
        })
    }
}

impl From<Health> for proto::HealthReply {
    fn from(health: Health) -> Self {
        let state = match health.state {
            LoadState::Empty => proto::LoadState::Empty,
            LoadState::Loading => proto::LoadState::Loading,
            LoadState::Loaded => proto::LoadState::Loaded,
            LoadState::Failed => proto::LoadState::Failed,
        };
        Self {
            state: state.into(),
            progress: health.progress,
            running: health.running,
            kv_usage: health.kv_usage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_round_trip() {
        for state in [
            LoadState::Empty,
            LoadState::Loading,
            LoadState::Loaded,
            LoadState::Failed,
        ] {
            let health = Health {
                state,
                progress: 7,
                running: 2,
                kv_usage: Some(0.5),
            };
            assert_eq!(Health::try_from(proto::HealthReply::from(health)), Ok(health));
        }
    }

    #[test]
    fn an_unspecified_state_is_refused() {
        assert_eq!(
            Health::try_from(proto::HealthReply::default()).unwrap_err().field,
            "state"
        );
    }
}
