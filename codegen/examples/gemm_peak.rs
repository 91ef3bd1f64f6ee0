//! Measures the FMA peak of this machine and, in the same run, the tile kernels and whole multiplications against it.
//!
//! `cargo run -p orogen-codegen --example gemm_peak [widest] [depth row_tiles b_kib]`
#![allow(unsafe_code, reason = "calling generated code")]
#![allow(clippy::print_stdout, reason = "a measurement prints")]

use orogen_codegen::jit_memory::{Jit, Loaded};
use orogen_codegen::kernels::gemm::{Blocking, Gemm, Layout, Tile};
use orogen_codegen::vector::{Builder, Isa, Program};

/// Independent chains of fused multiply-adds, `n` times.
fn peak_program(chains: usize) -> Program {
    let mut b = Builder::new("peak");
    let [n] = b.params();
    let (x, y) = (b.splat(1.0), b.splat(0.5));
    let acc: Vec<_> = (0..chains).map(|_| b.splat(0.0)).collect();
    b.repeat(n, |b| {
        for &a in &acc {
            b.fma_into(a, x, y);
        }
    });
    b.finish()
}

/// Processor time of this thread: other processes on the machine do not count.
fn thread_nanoseconds() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure lives on this stack.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// The best of several timings, in operations per nanosecond.
fn best(repeats: usize, operations: f64, mut run: impl FnMut()) -> f64 {
    run();
    (0..repeats).map(|_| speed(operations, &mut run)).fold(0.0, f64::max)
}

/// One timing, in operations per nanosecond.
fn speed(operations: f64, run: &mut impl FnMut()) -> f64 {
    let start = thread_nanoseconds();
    run();
    operations / (thread_nanoseconds() - start)
}

fn call(code: &Loaded, id: cranelift_module::FuncId, args: &[i64]) {
    // SAFETY: every caller below passes the parameters that the program documents, with buffers that live on.
    unsafe { code.call(id, args) }
}

/// Block sizes from the command line (depth, row tiles, KiB of B), or the default ones.
fn blocking(isa: Isa) -> Blocking {
    let args: Vec<i64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    match args[..] {
        [depth, row_tiles, kib] => Blocking { depth, row_tiles, b_bytes: kib * 1024 },
        _ => Blocking::of(isa),
    }
}

fn main() {
    for isa in Isa::available() {
        if std::env::args().any(|a| a == "widest") && isa != Isa::host() {
            continue;
        }
        let tile = Tile::of(isa);
        let columns = tile.columns(isa);
        let chains = if isa == Isa::Avx512 { 24 } else { 12 };
        let mut jit = Jit::new().unwrap();
        let peak_id = jit.define(&peak_program(chains), isa).unwrap();
        let micro = Gemm::new(isa, Layout::Packed, Layout::Packed).micro(tile.rows);
        let micro_id = jit.define(&micro.program(), isa).unwrap();
        let gemm = |b| Gemm { blocking: blocking(isa), ..Gemm::new(isa, Layout::RowMajor, b) };
        let (both, weights) = (gemm(Layout::RowMajor), gemm(Layout::Packed));
        let both_id = both.emit(jit.module(), "both").unwrap();
        let weights_id = weights.emit(jit.module(), "weights").unwrap();
        let code = jit.finish().unwrap();

        let n_peak = 50_000i64;
        let peak_flops = (n_peak * chains as i64 * 2 * i64::from(isa.lanes())) as f64;
        let peak = best(300, peak_flops, || call(&code, peak_id, &[n_peak]));
        println!("{isa:?}: peak {peak:.1} Gflop/s");

        for k in [64i64, 256] {
            let a = vec![1.0f32; (k as usize) * tile.rows as usize];
            let b = vec![1.0f32; (k * i64::from(columns)) as usize];
            let mut c = vec![0.0f32; (tile.rows * columns) as usize];
            let args = [
                a.as_ptr() as i64,
                b.as_ptr() as i64,
                c.as_mut_ptr() as i64,
                k,
                4 * i64::from(columns),
                i64::from(columns),
                1,
                0,
                b.as_ptr() as i64,
            ];
            let rounds = 2_000_000 / (k * i64::from(tile.rows));
            let flops = (rounds * k * i64::from(tile.rows * columns) * 2) as f64;
            let speed = best(100, flops, || {
                for _ in 0..rounds {
                    call(&code, micro_id, &args);
                }
            });
            println!(
                "  tile {}x{columns} k {k}: {speed:.1} Gflop/s, {:.1} % of peak",
                tile.rows,
                100.0 * speed / peak
            );
        }

        for (m, n, k) in
            [(1024, 1024, 1024), (512, 512, 512), (384, 3072, 768), (128, 768, 768), (1, 4096, 4096)]
        {
            let columns = i64::from(columns);
            let a: Vec<f32> = (0..m * k).map(|i| (i % 7) as f32).collect();
            let b = vec![1.0f32; (k * ((n + columns - 1) / columns * columns)) as usize];
            let mut c = vec![0.0f32; (m * n) as usize];
            let mut workspace = vec![0.0f32; (both.workspace(m, n, k).expect("a size") / 4) as usize];
            let mut args = [
                a.as_ptr() as i64,
                b.as_ptr() as i64,
                c.as_mut_ptr() as i64,
                m,
                n,
                k,
                4 * k,
                4 * n,
                4 * n,
                workspace.as_mut_ptr() as i64,
            ];
            args[9] = (args[9] + 63) & !63;
            let flops = (m * n * k * 2) as f64;
            for (what, id) in [("packed inside", both_id), ("B packed before", weights_id)] {
                // In turn, so that a slow spell of the machine meets both.
                let repeats = (1e11 / flops).clamp(10.0, 300.0) as usize;
                let (mut fastest, mut peak) = (0f64, peak);
                for _ in 0..repeats {
                    peak = peak.max(speed(peak_flops, &mut || call(&code, peak_id, &[n_peak])));
                    fastest = fastest.max(speed(flops, &mut || call(&code, id, &args)));
                }
                println!(
                    "  {m}x{n}x{k} {what}: {fastest:.1} Gflop/s, {:.1} % of peak",
                    100.0 * fastest / peak
                );
                let row: f32 = a[..k as usize].iter().sum();
                assert_eq!(c[0], row, "the result must be right");
            }
        }
    }
}
