//! One plugin process: started, loaded, tried, watched, restarted and stopped by one task.
//!
//! ```text
//!             ┌──────────────── died: at once, then after a pause ───────────────┐
//!             v                                                                  │
//! Stopped → Loading → Ready ── exited, stalled, faults, disconnected ──→ (Restarting)
//!             │                                                                  │
//!             ├─ model or options refused ─→ Failed ── a request or a reload, later ─→ Loading
//!             └─ five deaths in a row ─────→ Broken ── 30 s later, or a reload ──────→ Loading
//! ```
//!
//! [`status`] has the states, `policy` says when to restart, `start` brings a process up and `tiny` tries it,
//! `watch` notices that one has gone wrong, and [`supervisor`] is the task.

mod allocator;
mod logs;
mod policy;
mod start;
mod status;
mod stop;
mod supervisor;
mod tiny;
mod watch;

pub(crate) use allocator::settings as allocator_settings;
pub(crate) use start::Blueprint;
pub(crate) use status::{Board, Changes, Place, Status};
pub(crate) use stop::StopSignal;
pub(crate) use supervisor::Supervisor;
