//! What a connection is doing, known to both its socket and the middleware.
//!
//! actix-http times only the first head of a connection. The socket times the later ones: bytes
//! that come while no request is handled must become one in time.

use std::cell::Cell;
use std::rc::Rc;

/// The requests of one connection; a connection never leaves its thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exchange(Rc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: Cell<u64>,
    ended: Cell<u64>,
}

/// A request that is being handled, until it is dropped.
#[derive(Debug)]
pub(crate) struct Handling(Exchange);

// === impl Exchange ===

impl Exchange {
    /// A request's head has arrived, and its handling begins.
    pub(crate) fn begin(&self) -> Handling {
        self.0.begun.set(self.0.begun.get() + 1);
        Handling(self.clone())
    }

    /// Requests whose heads have arrived so far.
    pub(crate) fn begun(&self) -> u64 {
        self.0.begun.get()
    }

    /// True between requests.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.begun.get() == self.0.ended.get()
    }
}

// === impl Handling ===

impl Drop for Handling {
    fn drop(&mut self) {
        let counts = &self.0.0;
        counts.ended.set(counts.ended.get() + 1);
    }
}
