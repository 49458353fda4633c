//! What a prompt may tell the stub to do, and when; a chat's is what the user says last.

use sensorium_contract::RefusalCode;

use crate::misbehaviour::Misbehaviour;

/// A prompt that is `stub:<what>` or `stub:<what>@<token or step>`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) what: What,
    /// After so many tokens or denoise steps of the reply; `None`: before it starts.
    pub(crate) at: Option<u32>,
}

/// What it is told to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// What it can be told to do when it embeds, too. A hang stops all replies, as that of an engine's loop would.
    Misbehave(Misbehaviour),
    /// `refuse`, `refuse:context`, `refuse:schema`: refuses the prompt.
    Refuse(RefusalCode),
    /// `drop`: forgets the reply.
    Drop,
    /// `say:1000`: a reply of so many words. Means nothing to images.
    Say(u32),
}

// === impl Order ===

impl Order {
    /// Understands `stub:…`; `None` for any other text.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let text = text.trim().strip_prefix("stub:")?;
        let (what, at) = match text.rsplit_once('@') {
            Some((what, at)) => (what, Some(at.parse().ok()?)),
            None => (text, None),
        };
        let (verb, argument) = what.split_once(':').unwrap_or((what, ""));
        let what = match (verb, argument) {
            ("refuse", "") => What::Refuse(RefusalCode::InvalidInput),
            ("refuse", "context") => What::Refuse(RefusalCode::ContextLength),
            ("refuse", "schema") => What::Refuse(RefusalCode::Schema),
            ("drop", "") => What::Drop,
            ("say", count) => What::Say(count.parse().ok()?),
            _ => What::Misbehave(Misbehaviour::parse(what)?),
        };
        Some(Self { what, at })
    }
}

#[cfg(test)]
mod tests {
    use sensorium_contract::PluginError;

    use super::*;

    #[test]
    fn orders_are_understood() {
        let misbehave = |what: Misbehaviour, at| {
            Some(Order {
                what: What::Misbehave(what),
                at,
            })
        };
        let check = |text: &str, expected: Option<Order>| assert_eq!(Order::from_text(text), expected, "{text}");
        check("stub:hang", misbehave(Misbehaviour::Hang, None));
        check(" stub:abort@0\n", misbehave(Misbehaviour::Abort, Some(0)));
        let error = Misbehaviour::Error(PluginError::caller("told to fail"));
        check("stub:error:caller@7", misbehave(error, Some(7)));
        let (say, refuse) = (What::Say(9), What::Refuse(RefusalCode::ContextLength));
        check("stub:say:9", Some(Order { what: say, at: None }));
        check("stub:refuse:context", Some(Order { what: refuse, at: None }));
        for text in [
            "",
            "stub:",
            "stub:hang@soon",
            "stub:say:",
            "please stub:hang",
            "stub:dance",
        ] {
            check(text, None);
        }
    }
}
