//! The call at hand: how many threads it may use, and whether it was stopped.
//!
//! A stopped call unwinds, as a panic does but without its message, from the next [`check`] of
//! each of its threads to where it began: kernels need no path for it, and nothing half done is
//! ever returned.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use super::pools;
use crate::error::{Error, Kind};

/// From one look at signals to the next. To look takes the interpreter's lock.
const WATCH_TIME: Duration = Duration::from_millis(100);

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

/// What the work of a call has to know about it.
#[derive(Clone)]
pub(super) struct Call {
    /// How many threads it may use, by default one per core.
    threads: Option<usize>,
    /// Whether this thread is one of its pool.
    pooled: bool,
    cancel: Option<Cancel>,
}

/// Work outside of any call stays on its thread.
const NO_CALL: Call = Call { threads: Some(1), pooled: false, cancel: None };

/// What a calling thread asks from time to time whether the work should go on.
struct Watch {
    ask: RefCell<Box<dyn FnMut() -> bool>>,
    next: Cell<Instant>,
    /// Whether the answer was no: what was being done then may be done before it stops, but what
    /// comes next must not begin.
    stopped: Cell<bool>,
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
    static WATCH: RefCell<Option<Rc<Watch>>> = const { RefCell::new(None) };
}

/// Why a call unwinds.
enum Abandoned {
    Cancelled,
    NoThreads(String),
}

impl Abandoned {
    fn error(self) -> Error {
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

/// Does `work` while the call of this thread is watched.
fn watched<T>(watch: Option<Rc<Watch>>, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Rc<Watch>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            WATCH.set(self.0.take());
        }
    }
    let _restore = Restore(WATCH.replace(watch));
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

/// Runs `work`, kernels of this crate, on up to `threads` threads, or, when no number is given,
/// on as many as `RAYON_NUM_THREADS` says or there are cores.
///
/// Outside of this and [`with_cancel`] kernels stay on the calling thread. Threads are only
/// started where a kernel has enough to do for them, no more than there are cores or 8; then they
/// are kept for later calls, and by no forked child. Within another such call the outer one's
/// threads are used.
///
/// # Errors
/// `threads` is zero, or the system cannot start that many.
///
/// ```
/// assert_eq!(paretohqd::with_threads(Some(1), || 6 * 7).unwrap(), 42);
/// assert!(paretohqd::with_threads(Some(0), || ()).is_err());
/// ```
pub fn with_threads<T: Send>(
    threads: Option<usize>,
    work: impl FnOnce() -> T + Send,
) -> Result<T, Error> {
    run(threads, current().cancel, work)
}

/// [`with_threads`] that `cancel` stops: kernels give up within milliseconds and free what they
/// hold.
///
/// # Errors
/// As for [`with_threads`], or the call was cancelled, by its token or before it began.
///
/// ```
/// use paretohqd::{Cancel, Column, ErrorKind, Points, hypervolume, with_cancel};
///
/// let cancel = Cancel::new();
/// // A set that would take days.
/// let columns: Vec<Vec<f64>> = (0..12u64)
///     .map(|j| (0..9000u64).map(|i| (i * (2 * j + 7919) % 9001) as f64).collect())
///     .collect();
/// let points = Points::new(columns.iter().map(|column| Column::F64(column)).collect())?;
/// let stopped = std::thread::scope(|scope| {
///     scope.spawn(|| cancel.cancel());
///     with_cancel(&cancel, None, || hypervolume(&points, &[-1.0; 12]))
/// });
/// assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
/// # Ok::<(), paretohqd::Error>(())
/// ```
pub fn with_cancel<T: Send>(
    cancel: &Cancel,
    threads: Option<usize>,
    work: impl FnOnce() -> T + Send,
) -> Result<T, Error> {
    run(threads, Some(cancel.clone()), || {
        check();
        work()
    })
}

/// [`with_threads`] whose calling thread asks every [`WATCH_TIME`] whether the work should go on,
/// and gives up, with an error, if not.
#[cfg(any(test, feature = "python"))]
pub(crate) fn with_watch<T: Send>(
    ask: impl FnMut() -> bool + 'static,
    threads: Option<usize>,
    work: impl FnOnce() -> T + Send,
) -> Result<T, Error> {
    let next = Cell::new(Instant::now() + WATCH_TIME);
    let stopped = Cell::new(false);
    let watch = Rc::new(Watch { ask: RefCell::new(Box::new(ask)), next, stopped });
    watched(Some(watch), || with_threads(threads, work))
}

fn run<T>(
    threads: Option<usize>,
    cancel: Option<Cancel>,
    work: impl FnOnce() -> T,
) -> Result<T, Error> {
    if threads == Some(0) {
        return Err(Kind::Zero { name: "n_threads" }.into());
    }
    let outer = current();
    let threads = match threads {
        // A thread of a pool that entered another would wait for it, perhaps for ever.
        _ if outer.pooled && threads != Some(1) => outer.threads,
        _ => threads,
    };
    let call = Call { threads, cancel, ..outer };
    let result = catch_unwind(AssertUnwindSafe(|| within(&call, work)));
    result.map_err(|panic: Box<dyn Any + Send>| match panic.downcast::<Abandoned>() {
        Ok(why) => why.error(),
        Err(panic) => resume_unwind(panic),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{count, fork, map, share_out, worthwhile};
    use super::*;

    #[test]
    fn one_thread_is_this_one_and_no_more() {
        let here = std::thread::current().id();
        let seen = with_threads(Some(1), || {
            (0..3).for_each(|_| assert!(!worthwhile(usize::MAX)));
            map(usize::MAX, 9, |_| std::thread::current().id())
        });
        assert_eq!(seen, Ok(vec![here; 9]));
        assert_eq!(with_threads(Some(3), count), Ok(3));
        assert!(catch_unwind(|| with_threads(Some(1), || panic!("work"))).is_err());
        assert!(
            catch_unwind(|| with_threads(Some(3), || map(1 << 20, 9, |_| panic!("work")))).is_err()
        );
        assert_eq!(count(), 1);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(with_threads(Some(usize::MAX), count), Ok(cores.max(8)));
    }

    #[test]
    fn calls_within_calls_use_the_outer_threads() {
        let inner = || with_threads(Some(9), || map(1 << 20, 50, |_| count())).unwrap();
        let counts = with_threads(Some(2), || map(1 << 20, 50, |_| inner())).unwrap();
        assert!(counts.into_iter().flatten().all(|count| count == 2));
        let alone = || with_threads(Some(1), count).unwrap();
        assert_eq!(with_threads(Some(2), || fork(alone, count)), Ok((1, 2)));
    }

    #[test]
    fn a_call_is_stopped_even_if_what_it_did_was_done_first() {
        // The answer comes while the first of many pieces of work is finished without a look.
        let mut asked = 0;
        let ask = move || {
            asked += 1;
            asked > 1
        };
        let work = || {
            share_out(vec![(); 2], |()| std::thread::sleep(3 * WATCH_TIME));
            share_out(vec![(); 2], |()| std::thread::sleep(3 * WATCH_TIME));
            share_out(vec![(); 2], |()| ());
        };
        let stopped = with_watch(ask, Some(2), work);
        assert_eq!(stopped.unwrap_err().kind(), crate::ErrorKind::Cancelled);
    }

    #[test]
    fn what_stops_a_call_stops_no_other_that_shares_its_pool() {
        let cancel = Cancel::new();
        let wait = || loop {
            check();
            std::thread::yield_now();
        };
        for threads in [1, 2] {
            let task = |i: usize| {
                (0..1000).for_each(|_| check());
                i
            };
            let other = || with_threads(Some(threads), || share_out((0..99).collect(), task));
            std::thread::scope(|scope| {
                let stopped = scope.spawn(|| {
                    let work = || share_out(vec![(); 9], |()| wait());
                    with_cancel(&cancel, Some(threads), work).map(|_| ())
                });
                let others: Vec<_> = (0..9).map(|_| scope.spawn(other)).collect();
                if threads == 2 {
                    // They may wait for a thread until the first call lets go of both.
                    cancel.cancel();
                }
                for other in others {
                    assert_eq!(other.join().unwrap(), Ok((0..99).collect()));
                }
                cancel.cancel();
                assert_eq!(stopped.join().unwrap(), Err(Kind::Cancelled.into()));
            });
        }
    }

    #[test]
    fn a_watch_is_asked_and_obeyed() {
        for threads in [1, 2] {
            let asked = Rc::new(Cell::new(0));
            let ask = {
                let asked = Rc::clone(&asked);
                move || {
                    // A handler that calls a kernel.
                    assert_eq!(with_threads(Some(2), || map(1 << 20, 9, |i| i)).unwrap().len(), 9);
                    check();
                    asked.set(asked.get() + 1);
                    asked.get() < 3
                }
            };
            let work = || {
                share_out(vec![(); 4], |()| {
                    loop {
                        check();
                    }
                })
            };
            let stopped = with_watch(ask, Some(threads), work).map(|_: Vec<()>| ());
            assert_eq!(stopped, Err(Kind::Cancelled.into()));
            assert_eq!(asked.get(), 3);
        }
        check();
    }
}
