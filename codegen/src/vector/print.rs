//! The text form of a program, for listings and diagnostics.

use std::fmt::{self, Write as _};

use super::ir::{Addr, CacheLevel, Inst, IntSource, Program, Stmt, Storage, Width};

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}", self.base)?;
        if let Some((r, scale)) = self.index {
            write!(f, "+{r}*{scale}")?;
        }
        if self.disp != Default::default() {
            write!(f, "+{}", self.disp)?;
        }
        f.write_char(']')
    }
}

impl fmt::Display for IntSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IntSource::Reg(r) => r.fmt(f),
            IntSource::Const(n) => n.fmt(f),
        }
    }
}

/// An operation in the spelling of the listing: its Rust name in lower case.
fn name(op: impl fmt::Debug) -> String {
    let mut text = String::new();
    for (i, c) in format!("{op:?}").chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

/// The number that bits are, as an `f32` where they could be one.
fn float(bits: u64) -> f64 {
    u32::try_from(bits).map_or(f64::from_bits(bits), |bits| f64::from(f32::from_bits(bits)))
}

/// What follows the name of a load or a store: `.f16`, and nothing for whole lanes.
impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Storage::Bits8 | Storage::Bits16 | Storage::Bits32 | Storage::Bits64 => Ok(()),
            _ => write!(f, ".{}", name(self)),
        }
    }
}

impl fmt::Display for Inst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Inst::*;
        match self {
            Load { dst, addr, from } => write!(f, "{dst} = load{from} {addr}"),
            LoadMasked { dst, addr, from, mask } => write!(f, "{dst} = load{from} {addr} if {mask}"),
            LoadSplat { dst, addr, from } => write!(f, "{dst} = load_splat{from} {addr}"),
            LoadQuad { dst, addr, from } => write!(f, "{dst} = load_quad{from} {addr}"),
            Store { src, addr, to } => write!(f, "store{to} {addr}, {src}"),
            StoreMasked { src, addr, to, mask } => write!(f, "store{to} {addr}, {src} if {mask}"),
            StoreLane { src, addr, to } => write!(f, "store_lane{to} {addr}, {src}"),
            StoreQuad { src, addr, to } => write!(f, "store_quad{to} {addr}, {src}"),
            Splat { dst, bits } => write!(f, "{dst} = splat {bits:#010x} ; {}", float(*bits)),
            SplatInt { dst, src } => write!(f, "{dst} = splat {src}"),
            Iota { dst } => write!(f, "{dst} = iota"),
            Unary { op, dst, a } => write!(f, "{dst} = {} {a}", name(op)),
            Binary { op, dst, a, b } => write!(f, "{dst} = {} {a}, {b}", name(op)),
            ByteDot { dst, a, b, c } => write!(f, "{dst} = bytedot {a}, {b}, {c}"),
            PairDot { dst, a, b, c } => write!(f, "{dst} = pairdot {a}, {b}, {c}"),
            Fma { op, dst, a, b, c } => write!(f, "{dst} = {} {a}, {b}, {c}", name(op)),
            Compare { op, dst, a, b } => write!(f, "{dst} = compare.{} {a}, {b}", name(op)),
            Blend { dst, mask, yes, no } => write!(f, "{dst} = blend {mask}, {yes}, {no}"),
            Select { op, dst, a, b, yes, no } => {
                write!(f, "{dst} = select.{} {a}, {b}, {yes}, {no}", name(op))
            }
            Shift { op, dst, a, by } => write!(f, "{dst} = shift.{} {a}, {by}", name(op)),
            Interleave { op, dst, a, b } => write!(f, "{dst} = interleave.{} {a}, {b}", name(op)),
            Deinterleave { dst, a, b, odd } => {
                write!(f, "{dst} = deinterleave.{} {a}, {b}", if *odd { "odd" } else { "even" })
            }
            Slide { dst, low, high, by } => write!(f, "{dst} = slide {low}, {high}, {by}"),
            SplatLane { dst, a, lane } => write!(f, "{dst} = splat_lane {a}, {lane}"),
            FromHalves { dst, a, high } => {
                write!(f, "{dst} = from_halves.{} {a}", if *high { "high" } else { "low" })
            }
            ToHalves { dst, low, high } => write!(f, "{dst} = to_halves {low}, {high}"),
            Reduce { op, dst, a } => write!(f, "{dst} = reduce.{} {a}", name(op)),
            First { dst, n } => write!(f, "{dst} = first {n}"),
            Between { dst, low, high } => write!(f, "{dst} = between {low}, {high}"),
            MaskLanes { dst, mask } => write!(f, "{dst} = mask_lanes {mask}"),
            Gather { dst, base, index, from, mask } => {
                write!(f, "{dst} = gather{from} [{base}+{index}]")?;
                mask.map_or(Ok(()), |mask| write!(f, " if {mask}"))
            }
            IntConst { dst, value } => write!(f, "{dst} = {value}"),
            IntMove { dst, src } => write!(f, "{dst} = {src}"),
            Int { op, dst, a, b } => write!(f, "{dst} = {} {a}, {b}", name(op)),
            IntUnary { op, dst, a } => write!(f, "{dst} = {} {a}", name(op)),
            DivLanes { dst, n } => write!(f, "{dst} = div_lanes {n}"),
            SignBits { dst, a } => write!(f, "{dst} = sign_bits {a}"),
            IntLoad { dst, addr } => write!(f, "{dst} = int_load {addr}"),
            IntStore { src, addr } => write!(f, "int_store {addr}, {src}"),
            Prefetch { level: CacheLevel::First, addr } => write!(f, "prefetch {addr}"),
            Prefetch { level: CacheLevel::Second, addr } => write!(f, "prefetch2 {addr}"),
            Reload { dst, slot } => write!(f, "{dst} = reload s{}", slot.0),
            Spill { src, slot } => write!(f, "spill s{}, {src}", slot.0),
            StackParam { dst, index } => write!(f, "{dst} = stack_param {index}"),
        }
    }
}

fn block(out: &mut fmt::Formatter<'_>, stmts: &[Stmt], depth: usize) -> fmt::Result {
    let pad = "  ".repeat(depth);
    for stmt in stmts {
        match stmt {
            Stmt::Inst(inst) => writeln!(out, "{pad}{inst}")?,
            Stmt::Loop(l) => {
                match l.counter_slot {
                    None => writeln!(out, "{pad}loop {} = {} {{", l.counter, l.count)?,
                    Some(slot) => writeln!(out, "{pad}loop s{} = {} {{", slot.0, l.count)?,
                }
                block(out, &l.body, depth + 1)?;
                writeln!(out, "{pad}}}")?;
            }
            Stmt::If(i) => {
                writeln!(out, "{pad}if {} {} {} {{", name(i.op), i.a, i.b)?;
                block(out, &i.then, depth + 1)?;
                if !i.otherwise.is_empty() {
                    writeln!(out, "{pad}}} else {{")?;
                    block(out, &i.otherwise, depth + 1)?;
                }
                writeln!(out, "{pad}}}")?;
            }
        }
    }
    Ok(())
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "program {}", self.name)?;
        // The width is said where it is not 32 bits.
        if self.width != Width::W32 {
            write!(f, ".{}", self.width.bits())?;
        }
        f.write_char('(')?;
        for (i, p) in self.params.iter().enumerate() {
            write!(f, "{}{p}", if i > 0 { ", " } else { "" })?;
        }
        writeln!(f, ") {{")?;
        block(f, &self.body, 1)?;
        writeln!(f, "}}")
    }
}
