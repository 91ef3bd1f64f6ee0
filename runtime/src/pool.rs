//! The thread pool behind parallel loops.
//!
//! Laws:
//!
//! - **P1** The iterations `0..extent` are covered once each; ranges begin at multiples of `grain`.
//! - **P2** When the loop returns, no thread is inside its body any more.
//! - **P3** A loop inside a loop runs on the calling thread.
//! - **P4** Workers start on first need, sleep when idle, and never outnumber what a call asked for.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, Thread};

/// A loop body over a range of iterations.
type Body<'a> = &'a (dyn Fn(i64, i64) + Sync);

/// Spins before a waiting thread sleeps: about as long as waking one up takes.
const SPINS: usize = 4000;

/// Ranges per thread, so that a slow thread does not hold up the loop.
const RANGES_PER_THREAD: i64 = 4;

thread_local! {
    /// Threads that a loop on this thread may use; see [`with_threads`].
    static THREADS: Cell<usize> = const { Cell::new(1) };
    /// Whether this thread runs a loop body now.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` with loops on this thread using up to `threads` threads, the calling one included.
pub(crate) fn with_threads<T>(threads: usize, body: impl FnOnce() -> T) -> T {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            THREADS.set(self.0);
        }
    }
    let _restore = Restore(THREADS.replace(threads.max(1)));
    body()
}

/// A loop in progress.
struct Loop {
    /// The borrowed body with its lifetime taken off; law P2 keeps it valid while ranges are unclaimed or running.
    body: Body<'static>,
    extent: i64,
    step: i64,
    /// First iteration that nobody has claimed.
    next: AtomicI64,
    /// Ranges that have not ended.
    open: AtomicI64,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    caller: Thread,
}

impl Loop {
    /// Claims and runs ranges until none is left.
    fn work(&self) {
        loop {
            let begin = self.next.fetch_add(self.step, Ordering::Relaxed);
            if begin >= self.extent {
                return;
            }
            let end = (begin + self.step).min(self.extent);
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| (self.body)(begin, end))) {
                *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(payload);
            }
            // Release: what the body wrote is seen by the caller once it reads zero.
            if self.open.fetch_sub(1, Ordering::Release) == 1 {
                self.caller.unpark();
            }
        }
    }
}

#[derive(Default)]
struct Pool {
    /// One entry for each worker that a loop may still use.
    tickets: Mutex<VecDeque<Arc<Loop>>>,
    wake: Condvar,
    /// Length of `tickets`, to look at without the lock.
    waiting: AtomicUsize,
    workers: Mutex<usize>,
    stuck: AtomicBool,
}

static POOL: std::sync::LazyLock<Pool> = std::sync::LazyLock::new(Pool::default);

impl Pool {
    fn tickets(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Loop>>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts workers until there are `count`, or the system refuses.
    fn ensure(&'static self, count: usize) {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        while *workers < count && !self.stuck.load(Ordering::Relaxed) {
            let started = thread::Builder::new().name(format!("orogen-{workers}")).spawn(|| self.serve());
            match started {
                Ok(_) => *workers += 1,
                // The caller does the work alone; asking again for every loop would be slow.
                Err(_) => self.stuck.store(true, Ordering::Relaxed),
            }
        }
    }

    fn serve(&self) {
        INSIDE.set(true);
        loop {
            for _ in 0..SPINS {
                if self.waiting.load(Ordering::Relaxed) > 0 {
                    break;
                }
                std::hint::spin_loop();
            }
            let mut tickets = self.tickets();
            let ticket = loop {
                match tickets.pop_front() {
                    Some(ticket) => break ticket,
                    None => tickets = self.wake.wait(tickets).unwrap_or_else(PoisonError::into_inner),
                }
            };
            self.waiting.store(tickets.len(), Ordering::Relaxed);
            drop(tickets);
            ticket.work();
        }
    }

    /// Takes the tickets of a finished loop back, so that no worker wakes for nothing.
    fn withdraw(&self, done: &Arc<Loop>) {
        let mut tickets = self.tickets();
        tickets.retain(|it| !Arc::ptr_eq(it, done));
        self.waiting.store(tickets.len(), Ordering::Relaxed);
    }
}

/// Runs `body` over ranges that cover `0..extent`, on as many threads as the running call allows.
///
/// A panic in `body` is passed on to the caller after all ranges have ended.
pub(crate) fn parallel_for(extent: i64, grain: i64, body: Body<'_>) {
    if extent <= 0 {
        return;
    }
    let grain = grain.max(1);
    let threads = if INSIDE.get() { 1 } else { THREADS.get() };
    let most = i64::try_from(threads).unwrap_or(i64::MAX).min((extent - 1) / grain + 1);
    if most <= 1 {
        return body(0, extent);
    }
    // Ranges are whole grains (law P1), enough of them to even out the threads.
    let pieces = most.saturating_mul(RANGES_PER_THREAD);
    let grains = (extent - 1) / grain + 1;
    let step = ((grains - 1) / pieces + 1).saturating_mul(grain);
    // Claims run past the end once per thread; that must not wrap around.
    if extent > i64::MAX / 2 || step > i64::MAX / 4096 {
        return body(0, extent);
    }
    let ranges = (extent - 1) / step + 1;
    let helpers = (most.min(ranges) - 1) as usize;
    // SAFETY: `parallel_for` returns only after `open` fell to zero, and a claim fails once all ranges are claimed,
    // so nobody calls the body after its lifetime (law P2).
    let body = unsafe { std::mem::transmute::<Body<'_>, Body<'static>>(body) };
    let shared = Arc::new(Loop {
        body,
        extent,
        step,
        next: AtomicI64::new(0),
        open: AtomicI64::new(ranges),
        panic: Mutex::new(None),
        caller: thread::current(),
    });
    POOL.ensure(helpers);
    {
        let mut tickets = POOL.tickets();
        tickets.extend(std::iter::repeat_n(&shared, helpers).cloned());
        POOL.waiting.store(tickets.len(), Ordering::Relaxed);
    }
    if helpers == 1 {
        POOL.wake.notify_one()
    } else {
        POOL.wake.notify_all()
    }
    INSIDE.set(true);
    shared.work();
    INSIDE.set(false);
    POOL.withdraw(&shared);
    let mut spins = 0;
    while shared.open.load(Ordering::Acquire) != 0 {
        spins += 1;
        if spins < SPINS { std::hint::spin_loop() } else { thread::park() }
    }
    let panic = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(payload) = panic {
        std::panic::resume_unwind(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    fn counts(threads: usize, extent: i64, grain: i64) -> Vec<u32> {
        let counts: Vec<_> = (0..extent).map(|_| AtomicU32::new(0)).collect();
        with_threads(threads, || {
            parallel_for(extent, grain, &|begin, end| {
                assert!(begin % grain.max(1) == 0 && (end == extent || end % grain.max(1) == 0));
                (begin..end).for_each(|i| {
                    counts[i as usize].fetch_add(1, Ordering::Relaxed);
                });
            });
        });
        counts.into_iter().map(AtomicU32::into_inner).collect()
    }

    #[test]
    fn p1_every_iteration_runs_once() {
        for threads in [1, 2, 3, 8] {
            for extent in [0, 1, 2, 7, 64, 1001] {
                for grain in [-1, 1, 3, 64, 5000] {
                    let counts = counts(threads, extent, grain);
                    assert!(counts.iter().all(|&it| it == 1), "{threads} {extent} {grain}");
                }
            }
        }
    }

    #[test]
    fn p2_and_p3_hold_for_nested_loops_and_many_callers() {
        let total = AtomicI64::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let sum = AtomicI64::new(0);
                        with_threads(3, || {
                            parallel_for(20, 1, &|begin, end| {
                                let id = thread::current().id();
                                parallel_for(10, 1, &|from, to| {
                                    assert_eq!(thread::current().id(), id);
                                    sum.fetch_add((end - begin) * (to - from), Ordering::Relaxed);
                                });
                            });
                        });
                        total.fetch_add(sum.into_inner(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(total.into_inner(), 8 * 100 * 200);
    }

    #[test]
    fn a_panic_reaches_the_caller_after_all_ranges() {
        let ran = AtomicU32::new(0);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            with_threads(2, || {
                parallel_for(8, 1, &|begin, _| {
                    ran.fetch_add(1, Ordering::Relaxed);
                    assert!(begin != 3, "three");
                });
            });
        }));
        assert!(outcome.is_err());
        assert_eq!(ran.into_inner(), 8);
        assert!(!INSIDE.get());
        assert_eq!(THREADS.get(), 1);
    }

    #[test]
    fn huge_extents_do_not_overflow() {
        with_threads(4, || {
            parallel_for(i64::MAX, i64::MAX, &|begin, end| assert_eq!((begin, end), (0, i64::MAX)))
        });
        with_threads(4, || {
            parallel_for(i64::MAX, 1 << 61, &|begin, end| assert_eq!((begin, end), (0, i64::MAX)))
        });
    }
}
