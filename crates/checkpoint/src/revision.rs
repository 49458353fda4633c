//! What identifies a model: a hash over all that was read of it.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    rc::Rc,
};

/// Weights are hashed whole up to this size; of larger files every 64th piece, which tells any two trainings apart.
const HASHED_WHOLE: u64 = 2 << 30;

/// What is read of weights at once.
const PIECE: usize = 1 << 20;

/// A hash over what was marked, in the order of marking. Clones are one and the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Revision(Rc<RefCell<blake3::Hasher>>);

// === impl Revision ===

impl Revision {
    /// Makes `bytes` part of it.
    pub(crate) fn mark(&self, name: &str, bytes: &[u8]) {
        let mut hasher = self.0.borrow_mut();
        for part in [name.as_bytes(), bytes] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }

    /// Makes a file of weights part of it; gives its length in bytes.
    ///
    /// # Errors
    /// If it can't be read.
    pub(crate) fn mark_weights(&self, name: &str, file: &mut File) -> io::Result<u64> {
        let length = file.metadata()?.len();
        let step = if length <= HASHED_WHOLE { 1 } else { 64 };
        self.mark(name, &length.to_le_bytes());
        let mut piece = vec![0; PIECE];
        for start in (0..length).step_by(PIECE * step) {
            file.seek(SeekFrom::Start(start))?;
            let wanted = usize::try_from(length - start).map_or(PIECE, |left| left.min(PIECE));
            file.read_exact(&mut piece[..wanted])?;
            self.0.borrow_mut().update(&piece[..wanted]);
        }
        Ok(length)
    }

    /// 32 hexadecimal digits.
    pub(crate) fn digits(&self) -> String {
        self.0.borrow().finalize().to_hex()[..32].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_small_weights_counts() {
        let revision = |content: &[u8]| {
            let temp = tempfile::NamedTempFile::new().expect("temp file");
            std::fs::write(temp.path(), content).expect("written");
            let revision = Revision::default();
            let length = revision.mark_weights("model.safetensors", &mut temp.reopen().expect("opens"));
            assert_eq!(length.expect("reads"), content.len() as u64);
            revision.digits()
        };
        let long = vec![7; PIECE + 3];
        assert_eq!(revision(&long), revision(&long));
        assert_ne!(revision(&long), revision(&long[1..]));
        let mut other = long.clone();
        other[PIECE + 1] = 8;
        assert_ne!(revision(&long), revision(&other));
    }
}
