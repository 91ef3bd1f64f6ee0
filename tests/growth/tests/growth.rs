//! Compilation is near linear: four times the nodes allocate less than six times as often and as much.
//!
//! Allocations stand for work because they are the same in every run, however loaded the machine is; what grows
//! without them shows in the table of `cargo xtask growth`.
#![allow(clippy::print_stdout, reason = "a test without a harness reports")]
#![allow(unsafe_code, reason = "an allocator that counts")]

use anyhow::Result;
use orogen::{Model, OptIn};
use orogen_growth::{Form, PATHS, compile, model, plan};
use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a model is compiled and the nodes of the smaller one. Most kernels are machine code of their own, so
/// libraries of thousands of nodes would take too long for a test.
const WAYS: [(&str, Way, usize); 2] = [("plan", plan, 1000), ("library", compile, 150)];
/// The larger one has so many times the nodes,
const TIMES: usize = 4;
/// and takes less than so many times the work.
const RATIO: f64 = 6.0;

static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Way = fn(&Model, OptIn) -> Result<()>;

/// Calls and bytes of one compilation.
fn work(form: Form, nodes: usize, way: Way, path: OptIn) -> Result<[u64; 2]> {
    let model = model(form, nodes)?;
    let before = [CALLS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed)];
    way(&model, path)?;
    Ok([CALLS.load(Ordering::Relaxed) - before[0], BYTES.load(Ordering::Relaxed) - before[1]])
}

fn check(form: Form, nodes: usize, way: Way, path: OptIn) -> Result<String, String> {
    let work = |nodes| work(form, nodes, way, path).map_err(|it| format!("{it:#}"));
    let (small, large) = (work(nodes)?, work(TIMES * nodes)?);
    let ratios = [0, 1].map(|i| large[i] as f64 / small[i] as f64);
    let text = format!("{:.1} times the calls, {:.1} times the bytes", ratios[0], ratios[1]);
    if ratios.iter().all(|it| *it < RATIO) { Ok(text) } else { Err(text) }
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let chosen = |form: Form| wanted.is_empty() || wanted.iter().any(|it| form.name().contains(it.as_str()));
    let mut failed = 0;
    for form in Form::ALL.into_iter().filter(|it| chosen(*it)) {
        for (path, opt_in) in PATHS.into_iter().filter(|it| it.1 != OptIn::Legacy || form.is_static()) {
            for (what, way, nodes) in WAYS {
                let outcome = check(form, nodes, way, opt_in);
                failed += usize::from(outcome.is_err());
                let (verdict, text) = match outcome {
                    Ok(text) => ("ok", text),
                    Err(text) => ("FAILED", text),
                };
                println!("{} {path} {what} {nodes} ... {verdict}: {text}", form.name());
            }
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
