//! What the checks found.

/// What the checks found, in the order in which they ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// One entry for each check.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is demanded, as a sentence.
    pub name: &'static str,
    /// Whether the plugin does it.
    pub outcome: Outcome,
}

/// Whether a plugin does what is demanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It does.
    Passed,
    /// It doesn't: what happened instead.
    Failed(String),
    /// It doesn't apply to this plugin or model: why.
    Skipped(String),
}

// === impl Report ===

impl Report {
    /// True if nothing failed and something passed.
    pub fn is_success(&self) -> bool {
        self.count(|outcome| matches!(outcome, Outcome::Failed(_))) == 0 && self.passed() > 0
    }

    /// How many checks passed.
    pub fn passed(&self) -> usize {
        self.count(|outcome| *outcome == Outcome::Passed)
    }

    fn count(&self, of: impl Fn(&Outcome) -> bool) -> usize {
        self.checks.iter().filter(|check| of(&check.outcome)).count()
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Check { name, outcome } in &self.checks {
            match outcome {
                Outcome::Passed => writeln!(f, "pass  {name}")?,
                Outcome::Failed(what) => writeln!(f, "FAIL  {name}\n      {what}")?,
                Outcome::Skipped(why) => writeln!(f, "skip  {name} ({why})")?,
            }
        }
        let failed = self.count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let skipped = self.count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        write!(f, "{} passed, {failed} failed, {skipped} skipped", self.passed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcomes: impl IntoIterator<Item = Outcome>) -> Report {
        Report {
            checks: outcomes
                .into_iter()
                .map(|outcome| Check {
                    name: "it works",
                    outcome,
                })
                .collect(),
        }
    }

    #[test]
    fn one_failure_is_a_failure_and_so_is_nothing_at_all() {
        let (skipped, failed) = (Outcome::Skipped("no model".into()), Outcome::Failed("it broke".into()));
        assert!(report([Outcome::Passed, skipped.clone()]).is_success());
        assert!(!report([Outcome::Passed, failed.clone()]).is_success());
        assert!(!report([skipped]).is_success());
        assert!(!report([]).is_success());
        let text = report([Outcome::Passed, failed]).to_string();
        assert_eq!(
            text,
            "pass  it works\nFAIL  it works\n      it broke\n1 passed, 1 failed, 0 skipped"
        );
    }
}
