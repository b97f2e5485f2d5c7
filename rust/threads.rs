//! Which threads a call runs on. No result depends on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Kind};

/// Below this many rows a thread costs more than it brings, so no pool is woken.
const SMALL: usize = 1 << 14;

/// More threads than any machine has cores for; a larger wish is cut to this.
const MOST: usize = 256;

/// Whether work on `rows` rows should be shared among threads.
pub(crate) fn worthwhile(rows: usize) -> bool {
    rows >= SMALL && rayon::current_num_threads() > 1
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
        Some(threads) => Ok(pool(threads.min(MOST))?.install(work)),
    }
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
