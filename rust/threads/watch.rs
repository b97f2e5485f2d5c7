//! Calls whose calling thread asks from time to time whether they should go on.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use super::begin::with_threads;
use super::call::{WATCH, WATCH_TIME, Watch};
use crate::error::Error;

/// [`with_threads`] whose calling thread asks every [`WATCH_TIME`] whether the work should go on,
/// and gives up, with an error, if not.
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

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::super::{Cancel, check, count, fork, map, share_out, with_cancel, worthwhile};
    use super::*;
    use crate::error::Kind;

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
