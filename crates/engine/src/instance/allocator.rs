//! What plugins are told about allocating memory.

/// glibc's variable for the number of heaps (`mallopt(3)`).
const ARENAS: &str = "MALLOC_ARENA_MAX";

/// glibc gives threads that compete heaps of their own, up to eight for each core, and keeps in each what was freed
/// there: a model that chats grew to three times the memory that it used. Large tensors are mapped apart, and don't need
/// many heaps. A plugin may set its own allocator otherwise, as torch does.
const FEW: &str = "2";

/// Environment variables of a plugin: few heaps, unless the host was started with a number of its own.
pub(crate) fn settings() -> Vec<(String, String)> {
    let arenas = std::env::var(ARENAS).unwrap_or_else(|_| FEW.to_owned());
    vec![(ARENAS.to_owned(), arenas)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_have_few_heaps() {
        let expected = std::env::var(ARENAS).unwrap_or_else(|_| "2".to_owned());
        assert_eq!(settings(), [("MALLOC_ARENA_MAX".to_owned(), expected)]);
    }
}
