//! Tells when the registry file may have changed.
//!
//! The directory is watched rather than the file, so that an editor's rename and the swap
//! of the symbolic link that Kubernetes mounts are seen too. Events only say "look again":
//! whether the file differs is decided by its content and time stamp. A slow poll covers
//! file systems that send no events; a faster one a machine where they can't be had.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Quiet time after an event before the file is looked at: writers are rarely done at once.
const QUIET: Duration = Duration::from_millis(200);
/// The file is looked at after this long even if the directory never becomes quiet.
const LONGEST_UNREST: Duration = Duration::from_secs(2);
/// How often the file is looked at where events can't be had.
const POLL: Duration = Duration::from_secs(2);
/// How often it is looked at where they can, in case one was lost.
const SLOW_POLL: Duration = Duration::from_secs(30);

/// A watch on one file. Dropping it ends the watch.
pub(crate) struct FileWatch {
    changes: mpsc::Receiver<()>,
    _end: DropGuard,
}

/// The task behind a [`FileWatch`].
struct Watching {
    file: PathBuf,
    seen: Option<Fingerprint>,
    events: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    /// Directories that send events.
    directories: Vec<PathBuf>,
    changes: mpsc::Sender<()>,
}

/// Differs whenever the file was written, even with the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fingerprint {
    modified: Option<SystemTime>,
    content: blake3::Hash,
}

// === impl FileWatch ===

impl FileWatch {
    /// Watches `file` from now on: to be called before the file is first read, on a runtime.
    pub(crate) fn start(file: &Path) -> Self {
        let events = Arc::new(Notify::new());
        let watcher = watcher(events.clone());
        Self::start_with(file, events, watcher)
    }

    fn start_with(file: &Path, events: Arc<Notify>, watcher: Option<RecommendedWatcher>) -> Self {
        // One change that nobody has taken stands for all that follow it.
        let (sender, changes) = mpsc::channel(1);
        let mut watching = Watching {
            file: file.into(),
            seen: fingerprint(file),
            events,
            watcher,
            directories: vec![],
            changes: sender,
        };
        watching.follow_links();
        let end = CancellationToken::new();
        tokio::spawn(end.clone().run_until_cancelled_owned(watching.run()));
        Self {
            changes,
            _end: end.drop_guard(),
        }
    }

    /// Waits for the next change of the file: new content, a new time stamp, or that it is
    /// gone. Several changes may be told as one, and one may be told although a reader has
    /// seen it already. `None` once the watch has ended. Cancel safe.
    pub(crate) async fn changed(&mut self) -> Option<()> {
        self.changes.recv().await
    }
}

// === impl Watching ===

impl Watching {
    async fn run(mut self) {
        loop {
            self.wait().await;
            let (file, before) = (self.file.clone(), self.seen.clone());
            let Ok(now) = tokio::task::spawn_blocking(move || fingerprint(&file)).await else {
                return;
            };
            self.follow_links();
            if now != before {
                self.seen = now;
                if let Err(mpsc::error::TrySendError::Closed(())) = self.changes.try_send(()) {
                    return;
                }
            }
        }
    }

    /// Until the directory has changed and is quiet again, or it is time to look anyway.
    async fn wait(&self) {
        let poll = if self.directories.is_empty() { POLL } else { SLOW_POLL };
        if timeout_at(Instant::now() + poll, self.events.notified()).await.is_err() {
            return;
        }
        let latest = Instant::now() + LONGEST_UNREST;
        loop {
            let quiet = (Instant::now() + QUIET).min(latest);
            tokio::select! {
                () = self.events.notified(), if quiet < latest => {}
                () = sleep_until(quiet) => return,
            }
        }
    }

    /// Watches the file's directory, and the one that the file really is in.
    fn follow_links(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let real = self.file.canonicalize().ok();
        let wanted: Vec<PathBuf> = [Some(&self.file), real.as_ref()]
            .into_iter()
            .flatten()
            .map(|file| directory(file))
            .collect();
        for left in self.directories.iter().filter(|watched| !wanted.contains(watched)) {
            // The directory is often gone, and its watch with it.
            let _ = watcher.unwatch(left);
        }
        self.directories.retain(|watched| wanted.contains(watched));
        for new in wanted {
            if self.directories.contains(&new) {
                continue;
            }
            match watcher.watch(&new, RecursiveMode::NonRecursive) {
                Ok(()) => self.directories.push(new),
                Err(error) => tracing::debug!(directory = %new.display(), %error, "this directory can't be watched"),
            }
        }
        if self.directories.is_empty() {
            tracing::warn!(file = %self.file.display(), "changes can't be watched; looking every {POLL:?} instead");
        }
    }
}

// === helpers ===

/// A watcher that wakes `events` when something in a directory is written.
fn watcher(events: Arc<Notify>) -> Option<RecommendedWatcher> {
    let handler = move |event: notify::Result<notify::Event>| {
        if event.map_or(true, |event| is_change(&event.kind)) {
            events.notify_one();
        }
    };
    let watcher = notify::recommended_watcher(handler);
    watcher
        .inspect_err(|error| tracing::warn!(%error, "file events can't be had; looking every {POLL:?} instead"))
        .ok()
}

/// Reading is no change: else looking at the file would wake us again and again.
fn is_change(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => true,
    }
}

/// `None` if the file can't be read.
fn fingerprint(file: &Path) -> Option<Fingerprint> {
    let modified = fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(file).ok()?).ok()?;
    Some(Fingerprint {
        modified,
        content: hasher.finalize(),
    })
}

/// The directory of a file.
fn directory(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent.into(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use notify::event::{CreateKind, DataChange, MetadataKind, ModifyKind, RemoveKind, RenameMode};
    use tempfile::TempDir;

    use super::*;

    fn world() -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("models.toml");
        fs::write(&file, "one").expect("a file");
        (dir, file)
    }

    async fn expect_change(watch: &mut FileWatch) {
        let change = tokio::time::timeout(Duration::from_secs(60), watch.changed()).await;
        assert_eq!(change.expect("a change within a minute"), Some(()));
    }

    #[tokio::test]
    async fn writing_is_a_change() {
        let (_dir, file) = world();
        let mut watch = FileWatch::start(&file);
        for content in ["two", "three", "three, longer"] {
            fs::write(&file, content).expect("a file");
            expect_change(&mut watch).await;
        }
    }

    #[tokio::test]
    async fn another_file_in_its_place_is_a_change() {
        let (dir, file) = world();
        let mut watch = FileWatch::start(&file);
        for content in ["two", "three"] {
            let new = dir.path().join(".models.toml.swp");
            fs::write(&new, content).expect("a file");
            fs::rename(&new, &file).expect("they are in one directory");
            expect_change(&mut watch).await;
        }
        fs::remove_file(&file).expect("it is there");
        expect_change(&mut watch).await;
        fs::write(&file, "back").expect("a file");
        expect_change(&mut watch).await;
    }

    #[tokio::test]
    async fn a_new_time_stamp_is_a_change() {
        let (_dir, file) = world();
        let mut watch = FileWatch::start(&file);
        let opened = fs::File::options().write(true).open(&file).expect("it is there");
        opened.set_modified(SystemTime::UNIX_EPOCH).expect("it is ours");
        expect_change(&mut watch).await;
    }

    #[tokio::test]
    async fn the_swap_of_a_config_map_is_a_change() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let publish = |version: &str| {
            let data = dir.path().join(version);
            fs::create_dir(&data).expect("a directory");
            fs::write(data.join("models.toml"), version).expect("a file");
            symlink(version, dir.path().join("..data_tmp")).expect("a link");
            fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).expect("they are in one directory");
        };
        publish("..v1");
        let file = dir.path().join("models.toml");
        symlink("..data/models.toml", &file).expect("a link");
        let mut watch = FileWatch::start(&file);
        for (old, new) in [("..v1", "..v2"), ("..v2", "..v3")] {
            publish(new);
            fs::remove_dir_all(dir.path().join(old)).expect("it is there");
            expect_change(&mut watch).await;
        }
    }

    #[tokio::test]
    async fn writing_where_a_link_leads_is_a_change() {
        let ((_elsewhere, real), here) = (world(), tempfile::tempdir().expect("a temporary directory"));
        let file = here.path().join("models.toml");
        symlink(&real, &file).expect("a link");
        let mut watch = FileWatch::start(&file);
        fs::write(&real, "two").expect("a file");
        expect_change(&mut watch).await;
    }

    #[tokio::test]
    async fn without_events_changes_are_found_by_looking() {
        let (_dir, file) = world();
        let mut watch = FileWatch::start_with(&file, Arc::new(Notify::new()), None);
        fs::write(&file, "two").expect("a file");
        expect_change(&mut watch).await;
    }

    #[tokio::test]
    async fn it_ends_when_it_is_dropped() {
        let (_dir, file) = world();
        let events = Arc::new(Notify::new());
        let watch = FileWatch::start_with(&file, events.clone(), None);
        drop(watch);
        let waiting = async {
            while Arc::strong_count(&events) > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting)
            .await
            .expect("the task ends");
    }

    #[test]
    fn reading_is_no_change() {
        let rows = [
            (EventKind::Access(AccessKind::Open(AccessMode::Read)), false),
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), false),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), false),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), true),
            (EventKind::Create(CreateKind::File), true),
            (EventKind::Modify(ModifyKind::Data(DataChange::Any)), true),
            (EventKind::Modify(ModifyKind::Metadata(MetadataKind::WriteTime)), true),
            (EventKind::Modify(ModifyKind::Name(RenameMode::To)), true),
            (EventKind::Remove(RemoveKind::File), true),
        ];
        for (kind, expected) in rows {
            assert_eq!(is_change(&kind), expected, "{kind:?}");
        }
    }
}
