//! Pools of threads, kept from call to call because starting threads costs more than a small call.
//!
//! A forked child has the memory of its parent but none of its threads, so pools belong to the
//! process that started them, and a child starts its own.

use std::sync::{Arc, Mutex, OnceLock, TryLockError};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// So many pools are kept, those used last.
const MAX_POOLS: usize = 4;

/// Bytes for the frames of a thread; only those that are used take memory.
const STACK_BYTES: usize = 16 << 20;

/// The pools of one process, the one used last at the end.
#[derive(Default)]
struct Kept {
    process: u32,
    pools: Vec<Arc<ThreadPool>>,
}

impl Kept {
    /// The pools of this process.
    fn own(&mut self) -> &mut Vec<Arc<ThreadPool>> {
        if self.process != std::process::id() {
            self.process = std::process::id();
            // Dropped, pools of the parent would wait for locks that its threads may have held.
            std::mem::forget(std::mem::take(&mut self.pools));
        }
        &mut self.pools
    }

    /// The pool of one size, if it is there.
    fn take(&mut self, threads: usize) -> Option<Arc<ThreadPool>> {
        let pools = self.own();
        let at = pools.iter().position(|pool| pool.current_num_threads() == threads)?;
        let pool = pools.remove(at);
        pools.push(Arc::clone(&pool));
        Some(pool)
    }

    /// Keeps a pool, and returns one that is no longer kept.
    fn put(&mut self, pool: &Arc<ThreadPool>) -> Option<Arc<ThreadPool>> {
        let pools = self.own();
        pools.push(Arc::clone(pool));
        (pools.len() > MAX_POOLS).then(|| pools.remove(0))
    }
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { process: 0, pools: Vec::new() });

/// What `f` does with the pools that are kept; `None` if they cannot be had.
fn kept<T>(f: impl FnOnce(&mut Kept) -> T) -> Option<T> {
    // It is held for some instructions only. A process forked within these never gets it: it
    // works with pools that are not kept.
    const TRIES: usize = 1000;
    for _ in 0..TRIES {
        match KEPT.try_lock() {
            Ok(mut kept) => return Some(f(&mut kept)),
            Err(TryLockError::Poisoned(kept)) => {
                return Some(f(&mut kept.into_inner()));
            }
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
    None
}

/// A pool of that many threads, or why they could not be started.
pub(super) fn pool(threads: usize) -> Result<Arc<ThreadPool>, String> {
    if let Some(pool) = kept(|kept| kept.take(threads)).flatten() {
        return Ok(pool);
    }
    let name = |thread| format!("paretohqd-{thread}");
    let builder = ThreadPoolBuilder::new().num_threads(threads).thread_name(name);
    let pool = builder.stack_size(STACK_BYTES).build().map_err(|error| error.to_string())?;
    let pool = Arc::new(pool);
    // Dropped here, out of the lock.
    drop(kept(|kept| kept.put(&pool)));
    Ok(pool)
}

/// How many threads a call gets that asks for so many, or by default for as many as
/// `RAYON_NUM_THREADS` says, else one per core.
pub(super) fn granted(asked: Option<usize>) -> usize {
    // Far more threads than cores only look for work and take it from each other: 64 threads on
    // two cores took twice the time of two. A few more are of no matter.
    const FEW: usize = 8;
    static CORES: OnceLock<usize> = OnceLock::new();
    static DEFAULT: OnceLock<usize> = OnceLock::new();
    let cores =
        || *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
    let default = || {
        let said = std::env::var("RAYON_NUM_THREADS").ok().and_then(|said| said.parse().ok());
        said.filter(|&threads| threads > 0).unwrap_or_else(cores)
    };
    match asked {
        // To ask the system for its cores costs more than a small call.
        Some(threads) if threads <= FEW => threads,
        Some(threads) => threads.min(cores().max(FEW)),
        None => (*DEFAULT.get_or_init(default)).min(cores().max(FEW)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_pools_are_kept_and_those_of_another_process_are_not_used() {
        let mut kept = Kept::default();
        let start =
            |threads| Arc::new(ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
        let pools: Vec<_> = (1..=MAX_POOLS + 1).map(start).collect();
        let dropped: Vec<_> = pools.iter().filter_map(|pool| kept.put(pool)).collect();
        assert!(dropped.len() == 1 && Arc::ptr_eq(&dropped[0], &pools[0]));
        assert!(kept.take(1).is_none());
        // The one used last is dropped last.
        assert!(Arc::ptr_eq(&kept.take(2).unwrap(), &pools[1]));
        assert!(Arc::ptr_eq(&kept.put(&pools[0]).unwrap(), &pools[2]));
        kept.process ^= 1;
        assert!(kept.take(2).is_none() && kept.pools.is_empty());
    }
}
