//! The bench on which a plugin is tried: it starts, loads and restarts it, and notes the outcomes.

use std::time::{Duration, Instant};

use super::check::{Objection, Verdict};
use super::report::{Check, Outcome, Report};
use super::{Options, chat, image, samples};
use crate::client::PluginClient;
use crate::process::{Launch, PluginProcess};
use crate::{Capabilities, EmbedCapabilities, EmbedInput, Embedding};

/// Holds the plugin under test and the outcomes so far.
pub(super) struct Bench<'a> {
    pub(super) options: &'a Options,
    report: Report,
    session: Option<Session>,
    /// Set once the model could not be loaded: the other checks would only repeat it.
    unusable: bool,
}

/// A process with its model loaded.
pub(super) struct Session {
    process: PluginProcess,
    pub(super) client: PluginClient,
    pub(super) capabilities: Capabilities,
}

// === impl Bench ===

impl<'a> Bench<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Self {
            options,
            report: Report::default(),
            session: None,
            unusable: false,
        }
    }

    pub(super) fn into_report(self) -> Report {
        self.report
    }

    /// Notes the outcome of one check.
    pub(super) async fn check(&mut self, name: &'static str, verdict: impl AsyncFnOnce(&mut Self) -> Verdict) {
        let outcome = match tokio::time::timeout(self.options.timeout, verdict(self)).await {
            Ok(Ok(())) => Outcome::Passed,
            Ok(Err(Objection::Fail(what))) => Outcome::Failed(what),
            Ok(Err(Objection::Skip(why))) => Outcome::Skipped(why),
            Err(_) => Outcome::Failed(format!("not done within {:?}", self.options.timeout)),
        };
        if matches!(outcome, Outcome::Failed(_)) {
            // What broke, or hangs, must not spoil the next check.
            self.session = None;
        }
        self.report.checks.push(Check { name, outcome });
    }

    /// A process without a model.
    pub(super) async fn start(&self) -> Result<PluginProcess, Objection> {
        let mut launch = Launch::new(&self.options.executable);
        launch.start_timeout = self.options.timeout.min(Duration::from_secs(60));
        Ok(PluginProcess::start(&launch, |_| {}).await?)
    }

    /// The process with the model, started anew if the last one has ended.
    pub(super) async fn session(&mut self) -> Result<&Session, Objection> {
        let alive = self
            .session
            .as_ref()
            .is_some_and(|session| session.process.pid().is_some());
        if !alive {
            let session = self.load().await?;
            return Ok(self.session.insert(session));
        }
        match &self.session {
            Some(session) => Ok(session),
            None => Objection::fail("the process has ended"),
        }
    }

    /// The process of the last session, for checks that end it.
    pub(super) async fn take_process(&mut self) -> Result<PluginProcess, Objection> {
        self.session().await?;
        match self.session.take() {
            Some(session) => Ok(session.process),
            None => Objection::fail("the process has ended"),
        }
    }

    async fn load(&mut self) -> Result<Session, Objection> {
        if self.unusable {
            return Objection::skip("the model can't be loaded");
        }
        // Until it has worked.
        self.unusable = true;
        let process = self.start().await?;
        let client = process.client();
        let capabilities = client.load(&self.options.load, |_| {}).await?;
        self.unusable = false;
        Ok(Session {
            process,
            client,
            capabilities,
        })
    }
}

// === impl Session ===

impl Session {
    /// What it can embed.
    pub(super) fn embedding(&self) -> Result<&EmbedCapabilities, Objection> {
        self.capabilities
            .embed
            .as_ref()
            .ok_or_else(|| Objection::Skip("the model doesn't embed".into()))
    }

    /// A few different inputs, of all kinds that the model reads, no more than fit into one batch.
    pub(super) fn samples(&self) -> Result<Vec<EmbedInput>, Objection> {
        let mut samples = samples::of_all_kinds(self.embedding()?);
        samples.truncate(self.capabilities.max_batch as usize);
        Ok(samples)
    }

    /// Embeds a batch in which every input is good.
    pub(super) async fn embed(&self, inputs: Vec<EmbedInput>) -> Result<Vec<Embedding>, Objection> {
        let results = self.client.embed(inputs, self.embedding()?.width, None).await?;
        results
            .into_iter()
            .map(|result| result.map_err(Objection::from))
            .collect()
    }

    /// Embeds one good input.
    pub(super) async fn embed_one(&self, input: EmbedInput) -> Result<Embedding, Objection> {
        let mut results = self.embed(vec![input]).await?;
        results.pop().ok_or_else(|| Objection::Fail("no result".into()))
    }

    /// Demands that health is answered `at_once` while something is computed, and that progress grows with it.
    pub(super) async fn grows_during<T>(
        &self,
        at_once: Duration,
        work: impl Future<Output = Result<T, Objection>>,
    ) -> Verdict {
        let before = self.client.health().await?.progress;
        tokio::pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(Duration::from_millis(1), &mut work).await {
                done?;
                break;
            }
            if tokio::time::timeout(at_once, self.client.health()).await.is_err() {
                return Objection::fail(format!("no answer within {at_once:?}"));
            }
        }
        let after = self.client.health().await?.progress;
        if after <= before {
            return Objection::fail(format!("progress is {before} before and {after} after"));
        }
        Ok(())
    }

    /// Waits until nothing runs, at most so long.
    pub(super) async fn quiet(&self, at_most: Duration) -> Verdict {
        let end = Instant::now() + at_most;
        loop {
            match self.client.health().await?.running {
                0 => return Ok(()),
                running if Instant::now() > end => {
                    return Objection::fail(format!("{running} calls still run {at_most:?} after the last"));
                }
                _ => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    }

    /// Demands that the process still works after what a check has done to it.
    pub(super) async fn still_works(&self) -> Verdict {
        if self.capabilities.embed.is_some()
            && let Some(input) = self.samples()?.into_iter().next()
        {
            self.embed_one(input).await?;
        }
        if let Some(chat) = &self.capabilities.chat {
            self.reply(chat::plain(chat, 1)).await?;
        }
        if let Some(image) = &self.capabilities.image {
            self.imagine(image::plain(image, &[1])).await?;
        }
        Ok(())
    }
}
