//! A token that stops calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stops calls that run on other threads.
///
/// ```
/// use paretohqd::{Cancel, ErrorKind, with_cancel};
///
/// let cancel = Cancel::new();
/// assert_eq!(with_cancel(&cancel, Some(1), || 6 * 7).unwrap(), 42);
/// // From now on, here or on another thread that has a clone, a kernel stops within milliseconds.
/// cancel.cancel();
/// let stopped = with_cancel(&cancel, Some(1), || 6 * 7);
/// assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A token that has stopped nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops every call that has this token, now and later.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
