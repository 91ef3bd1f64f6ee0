//! Random expressions with an independent meaning, and the laws as properties of a seed.
//!
//! Tests run a fixed number of seeds; fuzzers run these functions without end.
//! Each property returns what went wrong, in words that hold the expression.

use indexmap::IndexMap;

use super::{Constraint, Dim, Env, Overflow, ShapeCx, Sym, Truth};

/// The splitmix64 generator: small, seeded, the same on every machine.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that yields the same numbers for the same seed.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `lo..=hi`.
    pub fn in_range(&mut self, lo: i64, hi: i64) -> i64 {
        let span = u64::try_from(i128::from(hi) - i128::from(lo) + 1).unwrap_or(1);
        lo.wrapping_add((self.next_u64() % span) as i64)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.next_u64().is_multiple_of(n)
    }
}

/// An expression as written, without any rule of the shape module.
#[derive(Clone, Debug)]
pub enum Expr {
    /// A number.
    Int(i64),
    /// A symbol, by its place in [`NAMES`].
    Sym(usize),
    /// An operation on two operands.
    Op(Op, Box<Expr>, Box<Expr>),
}

/// An operation on two operands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after the operation")]
pub enum Op {
    Add,
    Sub,
    Mul,
    FloorDiv,
    CeilDiv,
    Mod,
    Min,
    Max,
    Broadcast,
}

const OPS: [Op; 9] =
    [Op::Add, Op::Sub, Op::Mul, Op::FloorDiv, Op::CeilDiv, Op::Mod, Op::Min, Op::Max, Op::Broadcast];

/// The symbols of random expressions: sizes first, then those that may be negative.
pub const NAMES: [&str; 6] = ["n", "m", "batch size", "x", "y", "min"];
/// How many of [`NAMES`] are sizes.
pub const SIZES: usize = 3;

/// How random expressions look.
#[derive(Copy, Clone, Debug)]
pub struct Config {
    /// The deepest nesting.
    pub depth: u32,
    /// The largest magnitude of constants.
    pub constants: i64,
    /// Whether constants near the ends of the 64-bit range occur.
    pub extreme: bool,
    /// Whether divisors may be expressions.
    pub symbolic_divisors: bool,
}

impl Expr {
    /// A random expression.
    pub fn random(rng: &mut Rng, config: &Config) -> Expr {
        if config.depth == 0 || rng.one_in(6) {
            return match rng.in_range(0, 2) {
                0 => Expr::Int(constant(rng, config)),
                _ => Expr::Sym(rng.in_range(0, NAMES.len() as i64 - 1) as usize),
            };
        }
        let below = Config { depth: config.depth - 1, ..*config };
        let op = OPS[rng.in_range(0, OPS.len() as i64 - 1) as usize];
        let left = Expr::random(rng, &below);
        let divides = matches!(op, Op::FloorDiv | Op::CeilDiv | Op::Mod);
        let right = match divides && !(config.symbolic_divisors && rng.one_in(3)) {
            true if rng.one_in(12) => Expr::Int(constant(rng, config)),
            true => Expr::Int(rng.in_range(1, 8)),
            false => Expr::random(rng, &below),
        };
        Expr::Op(op, Box::new(left), Box::new(right))
    }

    /// The value computed step by step in 128 bits; `None` where a divisor is zero or a number overflows.
    pub fn eval(&self, values: &[i64]) -> Option<i128> {
        let (op, a, b) = match self {
            Expr::Int(value) => return Some(i128::from(*value)),
            Expr::Sym(at) => return values.get(*at).copied().map(i128::from),
            Expr::Op(op, a, b) => (op, a.eval(values)?, b.eval(values)?),
        };
        let floor = |a: i128, b: i128| {
            let (quotient, remainder) = (a.checked_div(b)?, a.checked_rem(b)?);
            Some(if remainder != 0 && (remainder < 0) != (b < 0) { quotient - 1 } else { quotient })
        };
        match op {
            Op::Add => a.checked_add(b),
            Op::Sub => a.checked_sub(b),
            Op::Mul => a.checked_mul(b),
            Op::FloorDiv => floor(a, b),
            Op::CeilDiv => floor(a.checked_neg()?, b)?.checked_neg(),
            Op::Mod => a.checked_sub(b.checked_mul(floor(a, b)?)?),
            Op::Min => Some(a.min(b)),
            Op::Max => Some(a.max(b)),
            Op::Broadcast if a == 1 => Some(b),
            Op::Broadcast => (b == 1 || a == b).then_some(a),
        }
    }

    /// The handle that the context makes of the expression.
    pub fn build(&self, cx: &mut ShapeCx) -> Result<Dim, Overflow> {
        let (op, a, b) = match self {
            Expr::Int(value) => return Ok(cx.int(*value)),
            Expr::Sym(at) => return Ok(symbol(cx, *at)),
            Expr::Op(op, a, b) => (op, a.build(cx)?, b.build(cx)?),
        };
        match op {
            Op::Add => cx.add(a, b),
            Op::Sub => cx.sub(a, b),
            Op::Mul => cx.mul(a, b),
            Op::FloorDiv => cx.floor_div_dim(a, b),
            Op::CeilDiv => cx.ceil_div_dim(a, b),
            Op::Mod => cx.modulo_dim(a, b),
            Op::Min => cx.min(&[a, b]),
            Op::Max => cx.max(&[a, b]),
            Op::Broadcast => cx.broadcast(&[a, b]),
        }
    }
}

fn constant(rng: &mut Rng, config: &Config) -> i64 {
    if config.extreme && rng.one_in(3) {
        let near = rng.in_range(0, 2);
        return match rng.in_range(0, 3) {
            0 => i64::MAX - near,
            1 => i64::MIN + near,
            2 => (i64::MAX >> rng.in_range(1, 40)) + near,
            _ => (i64::MIN >> rng.in_range(1, 40)) - near,
        };
    }
    rng.in_range(-config.constants, config.constants)
}

fn symbol(cx: &mut ShapeCx, at: usize) -> Dim {
    if at < SIZES { cx.sym(NAMES[at]) } else { cx.integer(NAMES[at]) }
}

/// A context that holds [`NAMES`], created in an order that depends on the seed.
pub fn context(rng: &mut Rng) -> ShapeCx {
    let mut cx = ShapeCx::new();
    let start = rng.in_range(0, NAMES.len() as i64 - 1) as usize;
    for at in 0..NAMES.len() {
        symbol(&mut cx, (at + start) % NAMES.len());
    }
    cx
}

/// Random values of [`NAMES`], and the same for `cx`.
pub fn values(rng: &mut Rng, cx: &ShapeCx, magnitude: i64) -> (Vec<i64>, Env) {
    let value = |at| rng.in_range(if at < SIZES { 0 } else { -magnitude }, magnitude);
    let values: Vec<i64> = (0..NAMES.len()).map(value).collect();
    let pairs = NAMES.iter().zip(&values).filter_map(|(name, value)| Some((cx.find_sym(name)?, *value)));
    let env = pairs.collect();
    (values, env)
}

/// S2, S3, S5, S8: building a random expression keeps its value, is stable, and survives text and import.
/// Returns how many values were compared.
pub fn property_canonical(seed: u64, config: &Config) -> Result<u32, String> {
    let mut rng = Rng::new(seed);
    let mut cx = context(&mut rng);
    let expr = Expr::random(&mut rng, config);
    let Ok(d) = expr.build(&mut cx) else { return Ok(0) };
    let text = cx.display(d).to_string();
    let fail = |what: &str| Err(format!("seed {seed}: {what}: {expr:?} became `{text}`"));
    let mut compared = 0;
    for _ in 0..6 {
        let (values, env) = values(&mut rng, &cx, 12);
        let (expected, found) = (expr.eval(&values), cx.eval(d, &env));
        if let (Some(expected), Some(found)) = (expected, found) {
            compared += 1;
            if expected != i128::from(found) {
                return fail(&format!("S2: expected {expected}, found {found} at {values:?}"));
            }
        } else if !config.extreme && expected.is_some_and(|value| value.abs() < 1 << 40) {
            return fail(&format!("S2: a value got lost at {values:?}"));
        }
    }
    if cx.substitute(d, &IndexMap::new()) != Ok(d) {
        return fail("S3: rebuilding changes it");
    }
    match cx.parse(&text) {
        Ok(read) if read == d => {}
        other => return fail(&format!("S5: reading its text gives {other:?}")),
    }
    let mut other = context(&mut rng);
    let there = other.import(&cx, d);
    if other.display(there).to_string() != text {
        return fail("S5: another context prints it differently");
    }
    if cx.import(&other, there) != d {
        return fail("S1: a round trip through another context changes it");
    }
    let mut reordered = context(&mut rng);
    match expr.build(&mut reordered) {
        Ok(again) if reordered.display(again).to_string() == text => {}
        again => {
            let again = again.map(|d| reordered.display(d).to_string());
            return fail(&format!("S5: with symbols created in another order it is {again:?}"));
        }
    }
    match cx.check().and_then(|()| other.check()) {
        Ok(()) => Ok(compared),
        Err(errors) => fail(&errors.join("; ")),
    }
}

/// What random proofs decided.
#[derive(Copy, Clone, Debug, Default)]
pub struct Decided {
    /// Answers [`Truth::Always`].
    pub always: u32,
    /// Answers [`Truth::Never`].
    pub never: u32,
    /// Answers [`Truth::Unknown`].
    pub unknown: u32,
}

/// S6, S7, S9: with random facts that hold for a hidden environment, no answer, bound or
/// simplification contradicts that environment.
pub fn property_sound(seed: u64, config: &Config) -> Result<Decided, String> {
    let mut rng = Rng::new(seed);
    let mut cx = context(&mut rng);
    let (_, env) = values(&mut rng, &cx, 9);
    let mut pool: Vec<(Dim, i64)> = Vec::new();
    while pool.len() < 8 {
        let small = Config { depth: rng.in_range(0, i64::from(config.depth)) as u32, ..*config };
        let Ok(d) = Expr::random(&mut rng, &small).build(&mut cx) else { continue };
        if let Some(value) = cx.eval(d, &env) {
            pool.push((d, value));
        }
    }
    // A loop over some extent. Where the extent is not positive the body never runs:
    // the index stays out of all questions and must not influence them.
    let mut env = env;
    let (extent, trips) = pool[rng.in_range(0, 3) as usize];
    let index = cx.fresh_index("i", extent);
    if trips > 0
        && let Some(sym) = cx.as_sym(index)
    {
        env.set(sym, rng.in_range(0, trips - 1));
        let (d, _) = pool[5];
        let (step, base, k) = (rng.in_range(-4, 4), rng.in_range(-4, 4), rng.in_range(1, 5));
        let scaled = cx.scale(index, step).and_then(|d| cx.add_int(d, base));
        let made = [
            cx.add(index, d),
            cx.sub(extent, index),
            scaled.and_then(|d| cx.floor_div(d, k)),
            scaled.and_then(|d| cx.modulo(d, k)),
            cx.min(&[index, d]),
            cx.modulo_dim(index, extent),
        ];
        for d in made.into_iter().flatten() {
            pool.extend(cx.eval(d, &env).map(|value| (d, value)));
        }
    }
    let env = env;
    for _ in 0..rng.in_range(0, 5) {
        let (d, value) = pool[rng.in_range(0, 3) as usize];
        let (e, other) = pool[rng.in_range(0, 3) as usize];
        let slack = rng.in_range(0, 2);
        let fact = match rng.in_range(0, 5) {
            0 => Some(Constraint::AtLeast(d, value.saturating_sub(slack))),
            1 => Some(Constraint::AtMost(d, value.saturating_add(slack))),
            2 | 3 => value.checked_sub(other).and_then(|gap| {
                if slack == 0 {
                    return cx.add_int(e, gap).ok().map(|equal| Constraint::Eq(d, equal));
                }
                cx.sub(d, e).ok().map(|difference| Constraint::AtLeast(difference, gap.saturating_sub(slack)))
            }),
            _ => (2..9).find(|k| value % k == 0).map(|k| Constraint::Multiple(d, k)),
        };
        if let Some(fact) = fact
            && let Err(contradiction) = cx.assume(fact)
        {
            return Err(report(
                &cx,
                seed,
                &env,
                &format!("S7: a fact that holds was refused: {contradiction}"),
                &[],
            ));
        }
    }
    let mut decided = Decided::default();
    for at in 0..pool.len() {
        let ((a, x), (b, y)) = (pool[at], pool[(at + 1) % pool.len()]);
        let k = rng.in_range(1, 6);
        let near = x.saturating_add(rng.in_range(-2, 2));
        // A fact survives its own text, up to what it says of constants.
        let fact = Constraint::AtLeast(a, near);
        let fact_text = cx.display_fact(&fact);
        if cx.parse_fact(&fact_text) != Ok(fact) {
            return Err(report(&cx, seed, &env, &format!("S5: `{fact_text}` reads differently"), &[a]));
        }
        let claims = [
            (cx.prove_eq(a, b), x == y, "=="),
            (cx.prove_le(a, b), x <= y, "<="),
            (cx.prove_lt(a, b), x < y, "<"),
            (cx.prove_ge(a, b), x >= y, ">="),
            (cx.divides(k, a), x % k == 0, "divided by k"),
            (cx.prove(Constraint::AtLeast(a, near)), x >= near, ">= near"),
            (cx.prove(Constraint::AtMost(a, near)), x <= near, "<= near"),
        ];
        for (truth, holds, what) in claims {
            match truth {
                Truth::Always => decided.always += 1,
                Truth::Never => decided.never += 1,
                Truth::Unknown => decided.unknown += 1,
            }
            if (truth == Truth::Always && !holds) || (truth == Truth::Never && holds) {
                return Err(report(
                    &cx,
                    seed,
                    &env,
                    &format!("S7: {truth:?} for {what} {k} {near}"),
                    &[a, b],
                ));
            }
        }
        if !cx.bounds(a).contains(x) {
            return Err(report(&cx, seed, &env, &format!("S7: {x} outside of {:?}", cx.bounds(a)), &[a]));
        }
        let simple = cx.simplify(a);
        let kept = cx.eval(simple, &env).map_or(config.extreme, |value| value == x);
        if !kept {
            return Err(report(&cx, seed, &env, "S9: simplification changes the value", &[a, simple]));
        }
        let again = cx.simplify(simple);
        if again != simple {
            return Err(report(&cx, seed, &env, "S9: not idempotent", &[a, simple, again]));
        }
        if cx.substitute(a, &IndexMap::new()) != Ok(a) {
            return Err(report(&cx, seed, &env, "S6: facts change a canonical form", &[a]));
        }
    }
    match cx.check() {
        Ok(()) => Ok(decided),
        Err(errors) => Err(format!("seed {seed}: {}", errors.join("; "))),
    }
}

fn report(cx: &ShapeCx, seed: u64, env: &Env, what: &str, dims: &[Dim]) -> String {
    let dims: Vec<String> = dims.iter().map(|&d| format!("`{}`", cx.display(d))).collect();
    let facts: Vec<String> = cx.facts().map(|fact| cx.display_fact(fact)).collect();
    let value = |(sym, value): (Sym, i64)| format!("{} = {value}", cx.name(sym));
    let env: Vec<String> = env.iter().map(value).collect();
    format!("seed {seed}: {what}: {} given [{}] at [{}]", dims.join(", "), facts.join(", "), env.join(", "))
}
