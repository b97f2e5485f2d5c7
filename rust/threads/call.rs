//! The call at hand: how many threads it may use, and whether it was stopped.
//!
//! A stopped call unwinds, as a panic does but without its message, from the next [`check`] of
//! each of its threads to where it began: kernels need no path for it, and nothing half done is
//! ever returned.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use super::cancel::Cancel;
use super::pools;
use crate::error::{Error, Kind};

/// From one look at signals to the next. To look takes the interpreter's lock.
pub(super) const WATCH_TIME: Duration = Duration::from_millis(100);

/// What the work of a call has to know about it.
#[derive(Clone)]
pub(super) struct Call {
    /// How many threads it may use, by default one per core.
    pub threads: Option<usize>,
    /// Whether this thread is one of its pool.
    pub pooled: bool,
    pub cancel: Option<Cancel>,
}

/// Work outside of any call stays on its thread.
pub(super) const NO_CALL: Call = Call { threads: Some(1), pooled: false, cancel: None };

/// What a calling thread asks from time to time whether the work should go on.
pub(super) struct Watch {
    pub ask: RefCell<Box<dyn FnMut() -> bool>>,
    pub next: Cell<Instant>,
    /// Whether the answer was no: what was being done then may be done before it stops, but what
    /// comes next must not begin.
    pub stopped: Cell<bool>,
}

impl Watch {
    /// Asks if it is time.
    fn goes_on(&self) -> bool {
        if self.stopped.get() {
            return false;
        }
        let now = Instant::now();
        // A signal's handler may call a kernel: it is not asked within its own question, and stays
        // on this thread, since those of the pool may be at work until they are stopped.
        let Ok(mut ask) = self.ask.try_borrow_mut() else { return true };
        now < self.next.get() || {
            let goes_on = within(&Call { pooled: true, ..NO_CALL }, &mut *ask);
            self.next.set(Instant::now() + WATCH_TIME);
            self.stopped.set(!goes_on);
            goes_on
        }
    }
}

thread_local! {
    static CALL: RefCell<Call> = const { RefCell::new(NO_CALL) };
    /// What watches the call of this thread, while it works itself.
    pub(super) static WATCH: RefCell<Option<Rc<Watch>>> = const { RefCell::new(None) };
}

/// Why a call unwinds.
pub(super) enum Abandoned {
    Cancelled,
    NoThreads(String),
}

impl Abandoned {
    pub fn error(self) -> Error {
        match self {
            Self::Cancelled => Kind::Cancelled.into(),
            Self::NoThreads(reason) => Kind::Threads { reason }.into(),
        }
    }
}

fn abandon(why: Abandoned) -> ! {
    resume_unwind(Box::new(why))
}

/// The call that this thread works for.
pub(super) fn current() -> Call {
    CALL.with_borrow(Call::clone)
}

/// How many threads the call of this thread may use.
pub(super) fn threads() -> usize {
    pools::granted(CALL.with_borrow(|call| call.threads))
}

/// Unwinds if the call was stopped. Long loops look at least every few milliseconds.
pub(crate) fn check() {
    let cancelled = CALL.with_borrow(|call| call.cancel.as_ref().is_some_and(Cancel::is_cancelled));
    if cancelled || !WATCH.with_borrow(Option::clone).is_none_or(|watch| watch.goes_on()) {
        abandon(Abandoned::Cancelled);
    }
}

/// Does `work` for a call, and then goes back to the one before.
pub(super) fn within<T>(call: &Call, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Call>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CALL.set(self.0.take().unwrap_or(NO_CALL));
        }
    }
    let _restore = Restore(Some(CALL.replace(call.clone())));
    work()
}

/// Does `work` in the pool of the call, if this thread is none of it and there are to be several.
pub(super) fn enter<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let call = current();
    let threads = threads();
    if call.pooled || threads == 1 {
        return work();
    }
    check();
    let pool = pools::pool(threads).unwrap_or_else(|why| abandon(Abandoned::NoThreads(why)));
    // The pool needs a token if this thread is asked.
    let watch = WATCH.with_borrow(Option::clone);
    let cancel = call.cancel.or_else(|| watch.is_some().then(Cancel::new));
    let call = Call { threads: Some(threads), pooled: true, cancel: cancel.clone() };
    let (send, receive) = sync_channel(1);
    let result = pool.in_place_scope(|scope| {
        scope.spawn(move |_| {
            // The receiver is there until it has what is sent.
            let _ = send.send(catch_unwind(AssertUnwindSafe(|| within(&call, work))));
        });
        loop {
            match receive.recv_timeout(WATCH_TIME) {
                Err(RecvTimeoutError::Timeout) => {
                    if let (Some(watch), Some(cancel)) = (&watch, &cancel)
                        && !watch.goes_on()
                    {
                        cancel.cancel();
                    }
                }
                Ok(result) => break result,
                Err(RecvTimeoutError::Disconnected) => unreachable!("the work always answers"),
            }
        }
    });
    result.unwrap_or_else(|panic| resume_unwind(panic))
}
