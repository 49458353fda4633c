//! Files that are kept for a while for those who asked for links: so many bytes of them, the oldest going first, under
//! names that nobody can guess.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use uuid::Uuid;

use crate::wire::images::output::FileFormat;

/// Files that are kept for a while.
#[derive(Debug)]
pub(crate) struct FileStore {
    /// Bytes of all files together; a single larger one is kept alone.
    most: u64,
    life: Duration,
    kept: Mutex<Kept>,
}

/// A file that is kept.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) bytes: Bytes,
    pub(crate) format: FileFormat,
    /// When it goes.
    until: Instant,
}

#[derive(Debug, Default)]
struct Kept {
    files: HashMap<String, File>,
    /// Names, oldest first.
    names: VecDeque<String>,
    bytes: u64,
}

// === impl FileStore ===

impl FileStore {
    /// Keeps files for `life`, at most `most` bytes of them.
    pub(crate) fn new(most: u64, life: Duration) -> Self {
        Self {
            most,
            life,
            kept: Mutex::default(),
        }
    }

    /// Keeps a file, at the cost of older ones; its name.
    pub(crate) fn keep(&self, bytes: Bytes, format: FileFormat) -> String {
        self.keep_at(bytes, format, Instant::now())
    }

    /// A file that is still kept.
    pub(crate) fn get(&self, name: &str) -> Option<File> {
        self.get_at(name, Instant::now())
    }

    /// For how long a file lasts from now on.
    pub(crate) fn left(file: &File) -> Duration {
        file.until.saturating_duration_since(Instant::now())
    }

    fn keep_at(&self, bytes: Bytes, format: FileFormat, now: Instant) -> String {
        // 122 random bits.
        let name = format!("{}.{}", Uuid::new_v4().simple(), format.as_str());
        let size = bytes.len() as u64;
        let until = now + self.life;
        let file = File { bytes, format, until };
        let mut kept = self.kept();
        kept.drop_old(now);
        while kept.bytes + size > self.most && kept.drop_first() {}
        kept.bytes += size;
        kept.names.push_back(name.clone());
        kept.files.insert(name.clone(), file);
        name
    }

    fn get_at(&self, name: &str, now: Instant) -> Option<File> {
        let mut kept = self.kept();
        kept.drop_old(now);
        kept.files.get(name).cloned()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Kept ===

impl Kept {
    /// Drops what has had its time.
    fn drop_old(&mut self, now: Instant) {
        let is_old = |kept: &Self| {
            let first = kept.names.front().and_then(|name| kept.files.get(name));
            first.is_some_and(|file| file.until <= now)
        };
        while is_old(self) {
            self.drop_first();
        }
    }

    /// Drops the oldest; false if there is none.
    fn drop_first(&mut self) -> bool {
        let Some(name) = self.names.pop_front() else {
            return false;
        };
        if let Some(file) = self.files.remove(&name) {
            self.bytes -= file.bytes.len() as u64;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(60);

    fn keep(store: &FileStore, size: usize, now: Instant) -> String {
        store.keep_at(Bytes::from(vec![0; size]), FileFormat::Png, now)
    }

    #[test]
    fn a_file_lasts_its_time_and_no_longer() {
        let (store, now) = (FileStore::new(100, LIFE), Instant::now());
        let name = keep(&store, 10, now);
        assert!(name.ends_with(".png") && name.len() > 32, "{name}");
        assert_eq!(
            store.get_at(&name, now + LIFE / 2).map(|file| file.bytes.len()),
            Some(10)
        );
        assert!(store.get_at(&name, now + LIFE).is_none());
        assert_eq!(store.kept().bytes, 0);
        assert!(store.get_at("other.png", now).is_none());
    }

    #[test]
    fn the_oldest_make_room() {
        let (store, now) = (FileStore::new(100, LIFE), Instant::now());
        let names: Vec<String> = [40, 40, 40].into_iter().map(|size| keep(&store, size, now)).collect();
        let there = |name: &String| store.get_at(name, now).is_some();
        assert_eq!(names.iter().map(there).collect::<Vec<_>>(), [false, true, true]);
        let large = keep(&store, 1000, now);
        assert!(there(&large) && !there(&names[2]));
        let small = keep(&store, 1, now);
        assert!(there(&small) && !there(&large));
        assert_eq!(store.kept().bytes, 1);
    }
}
