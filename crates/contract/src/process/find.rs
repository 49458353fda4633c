//! Plugin executables are found by name, the way `git` and `cargo` find subcommands.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::manifest::is_plugin_name;

/// The executable `sensorium-<name>`: in the given directories, in order, then beside the
/// current executable (for a test in `target/<profile>/deps`, also in the directory above).
/// `None` if there is none, or if `name` has other characters than `a-z`, `0-9` and `-`.
pub fn find_plugin(name: &str, search_path: &[PathBuf]) -> Option<PathBuf> {
    if !is_plugin_name(name) {
        return None;
    }
    let file = format!("sensorium-{name}");
    let beside = std::env::current_exe().map(|exe| beside(&exe)).unwrap_or_default();
    let candidates = search_path.iter().chain(&beside).map(|directory| directory.join(&file));
    candidates.into_iter().find(|candidate| is_executable(candidate))
}

/// The directories in which the companions of `executable` lie.
fn beside(executable: &Path) -> Vec<PathBuf> {
    let Some(directory) = executable.parent() else {
        return Vec::new();
    };
    let mut directories = vec![directory.to_owned()];
    if directory
        .file_name()
        .is_some_and(|name| name == "deps" || name == "examples")
    {
        directories.extend(directory.parent().map(Path::to_owned));
    }
    directories
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path, mode: u32) {
        std::fs::write(path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_first_executable_of_that_name_is_found() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = [one.path().to_owned(), two.path().to_owned()];
        assert_eq!(find_plugin("find-me", &path), None);
        touch(&one.path().join("sensorium-find-me"), 0o644);
        touch(&two.path().join("sensorium-find-me"), 0o755);
        assert_eq!(
            find_plugin("find-me", &path),
            Some(two.path().join("sensorium-find-me"))
        );
        touch(&one.path().join("sensorium-find-me"), 0o755);
        assert_eq!(
            find_plugin("find-me", &path),
            Some(one.path().join("sensorium-find-me"))
        );
    }

    #[test]
    fn directories_and_strange_names_are_not_executables() {
        let directory = tempfile::tempdir().unwrap();
        let path = [directory.path().to_owned()];
        std::fs::create_dir(directory.path().join("sensorium-folder")).unwrap();
        touch(&directory.path().join("sensorium-Upper"), 0o755);
        for name in ["folder", "Upper", "", "../x", "a/b", "a b"] {
            assert_eq!(find_plugin(name, &path), None, "{name}");
        }
    }

    #[test]
    fn a_test_looks_one_directory_up() {
        let up = beside(Path::new("/t/release/deps/engine-0a1b"));
        assert_eq!(up, [PathBuf::from("/t/release/deps"), PathBuf::from("/t/release")]);
        assert_eq!(beside(Path::new("/usr/bin/sensorium")), [PathBuf::from("/usr/bin")]);
    }
}
