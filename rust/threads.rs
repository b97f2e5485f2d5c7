//! Which threads a call runs on. No result depends on it.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Kind};

/// With fewer rows a second thread costs more than it brings, so no pool is woken.
const MIN_PARALLEL_ROWS: usize = 1 << 14;

/// More threads than any machine has cores for; a larger number is cut to this.
const MAX_THREADS: usize = 256;

thread_local! {
    /// Whether this thread must not share its work with others.
    static SINGLE_THREADED: Cell<bool> = const { Cell::new(false) };
}

/// How many threads the work at hand may use.
pub(crate) fn count() -> usize {
    if SINGLE_THREADED.get() { 1 } else { rayon::current_num_threads() }
}

/// Whether work on `rows` rows should be shared among threads.
pub(crate) fn worthwhile(rows: usize) -> bool {
    rows >= MIN_PARALLEL_ROWS && count() > 1
}

/// `f` of 0, 1, .. below `parts`, shared among threads where the `rows` behind them are worth it.
pub(crate) fn map<T: Send>(rows: usize, parts: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if parts > 1 && worthwhile(rows) {
        (0..parts).into_par_iter().map(&f).collect()
    } else {
        (0..parts).map(f).collect()
    }
}

/// Both results, one of them on another thread where the `rows` behind them are worth it.
pub(crate) fn join<A: Send, B: Send>(
    rows: usize,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    if worthwhile(rows) { rayon::join(a, b) } else { (a(), b()) }
}

/// Runs `work` on `threads` threads, or on rayon's default pool (which obeys
/// `RAYON_NUM_THREADS`) when none is given.
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
    match threads {
        None => Ok(work()),
        Some(0) => Err(Kind::Zero { name: "n_threads" }.into()),
        Some(1) => Ok(single_threaded(work)),
        Some(threads) => Ok(pool(threads.min(MAX_THREADS))?.install(work)),
    }
}

/// Runs `work` here: handing it to a pool of one thread would cost a tiny call twice its time.
fn single_threaded<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            SINGLE_THREADED.set(self.0);
        }
    }
    let _restore = Restore(SINGLE_THREADED.replace(true));
    work()
}

/// The pool of one size; kept, because starting threads costs more than a small call.
fn pool(threads: usize) -> Result<Arc<ThreadPool>, Error> {
    static POOLS: OnceLock<Mutex<HashMap<usize, Arc<ThreadPool>>>> = OnceLock::new();
    let mut pools =
        POOLS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = pools.get(&threads) {
        return Ok(Arc::clone(pool));
    }
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| Kind::Threads { reason: error.to_string() })?;
    let pool = Arc::new(pool);
    pools.insert(threads, Arc::clone(&pool));
    Ok(pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_is_this_one_and_no_more() {
        let here = std::thread::current().id();
        let seen = with_threads(Some(1), || {
            (0..3).for_each(|_| assert!(!worthwhile(usize::MAX)));
            std::thread::current().id()
        });
        assert_eq!(seen, Ok(here));
        assert_eq!(with_threads(Some(3), count), Ok(3));
        assert!(std::panic::catch_unwind(|| with_threads(Some(1), || panic!("work"))).is_err());
        assert!(!SINGLE_THREADED.get());
    }
}
