//! [`PluginError`] to a gRPC status and back, by the table at the head of `plugin.proto`.

use std::error::Error as _;

use tonic::{Code, Status};

use crate::client::CallError;
use crate::{Fault, Invalid, PluginError};

/// How tonic begins its refusal of a message that is over the receiver's limit.
const TOO_LARGE: &str = "Error, decoded message length too large";

impl From<PluginError> for Status {
    fn from(error: PluginError) -> Self {
        let code = match error.fault {
            Fault::Caller => Code::InvalidArgument,
            Fault::Model => Code::FailedPrecondition,
            Fault::Instance => Code::Internal,
        };
        Status::new(code, error.message)
    }
}

impl From<Invalid> for Status {
    /// A request that breaks the contract is its sender's fault.
    fn from(invalid: Invalid) -> Self {
        Status::invalid_argument(invalid.to_string())
    }
}

/// What tonic says, on either end, when a `grpc-timeout` runs out; its code is CANCELLED.
const TIMED_OUT: &str = "Timeout expired";

/// What a failed call means to the host.
pub(crate) fn to_call_error(status: Status) -> CallError {
    if status.code() == Code::Cancelled && status.message().starts_with(TIMED_OUT) {
        return CallError::Deadline;
    }
    if status.source().is_some() {
        return CallError::Transport(transport_message(&status));
    }
    let fault = match status.code() {
        Code::Cancelled => return CallError::Cancelled,
        Code::DeadlineExceeded => return CallError::Deadline,
        // Requests are measured before they are sent, so this can only be the reply.
        Code::OutOfRange if status.message().starts_with(TOO_LARGE) => {
            return CallError::Breach(Invalid::new("reply", "is larger than the message limit"));
        }
        Code::InvalidArgument | Code::OutOfRange => Fault::Caller,
        Code::FailedPrecondition | Code::Unimplemented | Code::NotFound => Fault::Model,
        Code::Ok
        | Code::Unknown
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => Fault::Instance,
    };
    CallError::Plugin(PluginError {
        fault,
        message: status.message().to_owned(),
    })
}

/// The chain of causes; tonic's own text ("transport error") says nothing.
fn transport_message(status: &Status) -> String {
    let mut message = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_survives_the_round_trip() {
        for error in [
            PluginError::caller("a"),
            PluginError::model("b"),
            PluginError::instance("c"),
        ] {
            assert_eq!(to_call_error(error.clone().into()), CallError::Plugin(error));
        }
    }

    #[test]
    fn every_code_has_its_fault() {
        let check = |codes: &[Code], fault: Option<Fault>| {
            for &code in codes {
                assert_eq!(to_call_error(Status::new(code, "x")).fault(), fault, "{code:?}");
            }
        };
        check(&[Code::InvalidArgument, Code::OutOfRange], Some(Fault::Caller));
        check(
            &[Code::FailedPrecondition, Code::Unimplemented, Code::NotFound],
            Some(Fault::Model),
        );
        check(&[Code::Cancelled, Code::DeadlineExceeded], None);
        check(
            &[
                Code::Internal,
                Code::Unknown,
                Code::Unavailable,
                Code::ResourceExhausted,
            ],
            Some(Fault::Instance),
        );
        check(
            &[Code::Aborted, Code::DataLoss, Code::PermissionDenied],
            Some(Fault::Instance),
        );
    }

    #[test]
    fn a_broken_connection_is_told_apart_from_an_answer() {
        let status = Status::from_error("connection reset".into());
        assert!(matches!(to_call_error(status), CallError::Transport(message) if message == "connection reset"));
    }

    #[test]
    fn a_timer_that_runs_out_on_this_end_is_not_a_broken_connection() {
        let status = Status::from_error(Box::new(tonic::TimeoutExpired(())));
        assert!(status.source().is_some());
        assert_eq!(to_call_error(status), CallError::Deadline);
    }
}
