//! Which threads a call runs on, and how it is stopped. No result depends on it.
//!
//! This is the one module that knows rayon. A call brings its number of threads and what stops it
//! ([`begin`]); its work is handed to a pool of this process ([`pools`]) the first time that there
//! is enough of it to share, so that small calls start and wake no thread.

mod begin;
mod call;
mod cancel;
mod pools;
#[cfg(any(test, feature = "python"))]
mod watch;

use rayon::prelude::*;

pub use begin::{with_cancel, with_threads};
pub(crate) use call::check;
pub use cancel::Cancel;
#[cfg(feature = "python")]
pub(crate) use watch::with_watch;

use call::within;

/// With fewer rows a second thread costs more than it brings.
const MIN_PARALLEL_ROWS: usize = 1 << 14;

/// How many threads the work at hand may use.
pub(crate) fn count() -> usize {
    call::threads()
}

/// Whether work on `rows` rows should be shared among threads.
pub(crate) fn worthwhile(rows: usize) -> bool {
    rows >= MIN_PARALLEL_ROWS && count() > 1
}

/// Does `work` in the pool at once if it is on enough `rows` to be shared: what it shares then
/// needs no hand-over of its own.
pub(crate) fn share<T: Send>(rows: usize, work: impl FnOnce() -> T + Send) -> T {
    if worthwhile(rows) { call::enter(work) } else { work() }
}

/// `f` of 0, 1, .. below `parts`, shared among threads where the `rows` behind them are worth it.
pub(crate) fn map<T: Send>(rows: usize, parts: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    each(rows, (0..parts).collect(), f)
}

/// `f` of each task, shared among threads where the `rows` behind all tasks are worth it.
pub(crate) fn each<T: Send, R: Send>(
    rows: usize,
    tasks: Vec<T>,
    f: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    if worthwhile(rows) { share_out(tasks, f) } else { serially(tasks, f) }
}

/// `f` of each task, shared among threads if there are several of both.
pub(crate) fn share_out<T: Send, R: Send>(tasks: Vec<T>, f: impl Fn(T) -> R + Sync) -> Vec<R> {
    if tasks.len() < 2 || count() == 1 {
        return serially(tasks, f);
    }
    call::enter(|| {
        let call = call::current();
        let task = |task| within(&call, || checked(|| f(task)));
        tasks.into_par_iter().map(task).collect()
    })
}

/// Both results, one of them on another thread where the `rows` behind them are worth it.
pub(crate) fn join<A: Send, B: Send>(
    rows: usize,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    if worthwhile(rows) { fork(a, b) } else { (a(), b()) }
}

/// Both results, one of them on another thread if there are several.
pub(crate) fn fork<A: Send, B: Send>(
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    if count() == 1 {
        return (a(), b());
    }
    call::enter(|| {
        let call = call::current();
        rayon::join(|| within(&call, || checked(a)), || within(&call, || checked(b)))
    })
}

fn serially<T, R>(tasks: Vec<T>, f: impl Fn(T) -> R) -> Vec<R> {
    tasks.into_iter().map(|task| checked(|| f(task))).collect()
}

/// Does `work` unless the call was stopped before.
fn checked<T>(work: impl FnOnce() -> T) -> T {
    check();
    work()
}
