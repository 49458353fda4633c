//! What a plugin says of itself while it runs.

/// What a plugin says of itself; asked for at any time, answered at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Health {
    /// Whether a model is loaded.
    pub state: LoadState,
    /// Grows with every unit of work done (an item, a token, a denoise step).
    pub progress: u64,
    /// Calls being computed or waiting now.
    pub running: u32,
    /// Share of the key-value cache in use, 0 to 1; `None` where it isn't known.
    pub kv_usage: Option<f32>,
}

/// Whether a process has its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadState {
    /// Nothing has been asked of it.
    Empty,
    /// Loading.
    Loading,
    /// Ready to work.
    Loaded,
    /// Loading failed; the process can only be stopped.
    Failed,
}
