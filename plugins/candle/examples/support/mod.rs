//! What the examples share.

/// Processor time of all threads of this process so far, in seconds, from the scheduler's own counters; zero where the
/// system has none.
pub(crate) fn core_seconds() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return 0.0;
    };
    let nanoseconds = |path: std::path::PathBuf| -> Option<f64> {
        std::fs::read_to_string(path.join("schedstat"))
            .ok()?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    };
    tasks.flatten().filter_map(|task| nanoseconds(task.path())).sum::<f64>() / 1e9
}
