//! What a check says, and what it says it with.

use crate::client::CallError;
use crate::process::StartError;
use crate::{Embedding, Fault, Invalid, ItemError};

/// `Ok` if the plugin does what the check demands.
pub(super) type Verdict = Result<(), Objection>;

/// Why a check did not pass.
#[derive(Debug)]
pub(super) enum Objection {
    /// The plugin does something else.
    Fail(String),
    /// The check doesn't apply.
    Skip(String),
}

// === impl Objection ===

impl Objection {
    pub(super) fn fail<T>(what: impl Into<String>) -> Result<T, Objection> {
        Err(Objection::Fail(what.into()))
    }

    pub(super) fn skip<T>(why: impl Into<String>) -> Result<T, Objection> {
        Err(Objection::Skip(why.into()))
    }
}

impl From<CallError> for Objection {
    fn from(error: CallError) -> Self {
        Objection::Fail(match error.fault() {
            Some(fault) => format!("{error} (fault of the {})", name(fault)),
            None => error.to_string(),
        })
    }
}

impl From<StartError> for Objection {
    fn from(error: StartError) -> Self {
        Objection::Fail(error.to_string())
    }
}

impl From<Invalid> for Objection {
    fn from(invalid: Invalid) -> Self {
        Objection::Fail(invalid.to_string())
    }
}

impl From<ItemError> for Objection {
    fn from(error: ItemError) -> Self {
        Objection::Fail(format!("an input was refused: {error}"))
    }
}

fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::Caller => "caller",
        Fault::Model => "model",
        Fault::Instance => "instance",
    }
}

/// Demands an error with this fault.
pub(super) fn refused<T>(result: Result<T, CallError>, fault: Fault) -> Verdict {
    match result {
        Ok(_) => Objection::fail("it was accepted"),
        Err(CallError::Plugin(error)) if error.fault == fault => Ok(()),
        Err(error) => {
            let wanted = name(fault);
            let Objection::Fail(what) = error.into() else {
                return Ok(());
            };
            Objection::fail(format!("it was refused, but not as the {wanted}'s fault: {what}"))
        }
    }
}

/// Demands that two vectors point the same way.
pub(super) fn same_direction(a: &Embedding, b: &Embedding, least: f64) -> Verdict {
    let cosine = cosine(a, b);
    if cosine < least {
        return Objection::fail(format!(
            "the cosine of the two vectors is {cosine:.6}, less than {least}"
        ));
    }
    Ok(())
}

/// Cosine of two vectors with norm 1.
pub(super) fn cosine(a: &Embedding, b: &Embedding) -> f64 {
    a.values
        .iter()
        .zip(&b.values)
        .map(|(x, y)| f64::from(*x) * f64::from(*y))
        .sum()
}
