//! Where calls begin: with how many threads, and what stops them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::call::{Abandoned, Call, check, current, within};
use super::cancel::Cancel;
use crate::error::{Error, Kind};

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
