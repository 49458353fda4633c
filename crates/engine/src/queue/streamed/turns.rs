//! Prompts that wait for a place on an instance, first come first served, whatever is to be made of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::job::QueuedJob;

/// Prompts that wait for one model.
#[derive(Debug, Default)]
pub(in crate::queue) struct Turns {
    /// They were under way on a process that died: each must be alone until its prompt has been read.
    suspects: VecDeque<Turn>,
    line: VecDeque<Turn>,
}

/// A prompt's place in the line.
#[derive(Debug, Clone)]
pub(in crate::queue) struct Turn {
    pub(in crate::queue) job: Arc<dyn QueuedJob>,
    pub(in crate::queue) attempt: Attempt,
    since: Instant,
}

/// How often a prompt has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::queue) enum Attempt {
    /// Not yet.
    First,
    /// Once, and the instance failed at it but lives.
    Again,
    /// Once, and the process died: it may have been this prompt that killed it.
    Alone,
}

// === impl Turn ===

impl Turn {
    /// A place in the line from now on.
    pub(in crate::queue) fn new(job: Arc<dyn QueuedJob>, attempt: Attempt) -> Self {
        let since = Instant::now();
        Self { job, attempt, since }
    }
}

// === impl Turns ===

impl Turns {
    /// Puts one at the end of the line; one that is tried again goes before those that are not.
    pub(in crate::queue) fn push(&mut self, turn: Turn) {
        match turn.attempt {
            Attempt::First => self.line.push_back(turn),
            Attempt::Again => self.line.push_front(turn),
            Attempt::Alone => self.suspects.push_back(turn),
        }
    }

    /// Since when one waits that must go alone, if one does.
    pub(in crate::queue) fn suspect_since(&mut self, now: Instant) -> Option<Instant> {
        self.suspects.retain(|turn| !turn.job.is_over(now));
        self.suspects.front().map(|turn| turn.since)
    }

    /// The next one that must go alone.
    pub(in crate::queue) fn pop_suspect(&mut self) -> Option<Turn> {
        self.suspects.pop_front()
    }

    /// The next one of the others.
    pub(in crate::queue) fn pop(&mut self, now: Instant) -> Option<Turn> {
        std::iter::from_fn(|| self.line.pop_front()).find(|turn| !turn.job.is_over(now))
    }

    /// Takes one out.
    pub(in crate::queue) fn forget(&mut self, job: &Arc<dyn QueuedJob>) {
        self.suspects.retain(|turn| !Arc::ptr_eq(&turn.job, job));
        self.line.retain(|turn| !Arc::ptr_eq(&turn.job, job));
    }

    /// Takes out everything.
    pub(in crate::queue) fn drain(&mut self) -> Vec<Turn> {
        let Turns { suspects, line } = std::mem::take(self);
        suspects.into_iter().chain(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sensorium_contract::{ChatEvent, ChatRequest, OutputFormat, Prompt, Sampling, Task};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::Metrics;
    use crate::queue::streamed::StreamJob;

    /// A turn, and what calls it off.
    fn turn(attempt: Attempt, patience: Duration) -> (Turn, CancellationToken) {
        let request = ChatRequest {
            prompt: Prompt::Text("a".into()),
            sampling: Sampling::default(),
            max_tokens: None,
            stop: vec![],
            top_logprobs: None,
            format: OutputFormat::Text,
        };
        let waiting = Metrics::new().unwrap().waiting("model", Task::Chat);
        let cancel = CancellationToken::new();
        let (job, _) = StreamJob::<ChatEvent>::new(request, Instant::now() + patience, &cancel, waiting);
        (Turn::new(job, attempt), cancel)
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn first_come_first_served_but_for_those_that_are_tried_again() {
        let all: Vec<Turn> = [Attempt::First, Attempt::First, Attempt::Alone, Attempt::Again]
            .map(|attempt| turn(attempt, LONG).0)
            .into();
        let mut turns = Turns::default();
        all.iter().for_each(|turn| turns.push(turn.clone()));
        let is = |got: Option<Turn>, index: usize| Arc::ptr_eq(&got.unwrap().job, &all[index].job);
        let now = Instant::now();
        assert_eq!(turns.suspect_since(now), Some(all[2].since));
        assert!(is(turns.pop_suspect(), 2) && turns.suspect_since(now).is_none());
        assert!(is(turns.pop(now), 3) && is(turns.pop(now), 0) && is(turns.pop(now), 1));
        assert!(turns.pop(now).is_none());
    }

    #[test]
    fn what_nobody_waits_for_falls_out() {
        let (gone, cancel) = turn(Attempt::First, LONG);
        let [late, forgotten, kept] = [Duration::ZERO, LONG, LONG].map(|patience| turn(Attempt::First, patience).0);
        let (suspect, _) = turn(Attempt::Alone, Duration::ZERO);
        let mut turns = Turns::default();
        for turn in [&gone, &late, &forgotten, &kept, &suspect] {
            turns.push(turn.clone());
        }
        cancel.cancel();
        turns.forget(&forgotten.job);
        let now = Instant::now();
        assert!(turns.suspect_since(now).is_none());
        assert!(Arc::ptr_eq(&turns.pop(now).unwrap().job, &kept.job));
        assert!(turns.drain().is_empty());
    }
}
