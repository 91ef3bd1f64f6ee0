//! Runs a case: infer, legalise, evaluate the kernel, evaluate the operator, compare.

use indexmap::IndexSet;
use orogen_ir::loops::{TensorProgram, parse_program, print_program, verify};
use orogen_ir::ops::{InferCx, OpRegistry};
use orogen_ir::shape::{Constraint, Dim, Env, ShapeCx};
use orogen_ir::text::{Cursor, parse_attrs, parse_dtype, parse_int, parse_static_dims};
use orogen_ir::types::{Attrs, DType, TensorData, TensorType, Type};
use orogen_passes::rules::legalize::{LegalizeTable, LowerStep, Lowering, Operation, Value};
use orogen_reference::{Host, eval_kernel, eval_named, eval_program};

/// How much of a case inference sees as numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Constant,
    SymbolicDims,
    SymbolicElements,
}

struct Operand {
    data: TensorData,
    known: bool,
}

/// Runs every line and describes what fails.
pub(crate) fn run_all(cases: &str) -> Vec<String> {
    let ops = OpRegistry::standard();
    let table = LegalizeTable::standard(&ops);
    let mut failures = Vec::new();
    for line in cases.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with("//")) {
        for mode in [Mode::Constant, Mode::SymbolicDims, Mode::SymbolicElements] {
            if let Err(message) = run(&ops, &table, line, mode) {
                failures.push(format!("{line}\n    {mode:?}: {message}"));
            }
        }
    }
    failures
}

struct Random(u64);

impl Random {
    /// Uniform from 0 to 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn tensor(&mut self, dtype: DType, dims: &[u64], range: Option<(i64, i64)>) -> TensorData {
        let n: u64 = dims.iter().product();
        let values: Vec<f64> = (0..n)
            .map(|_| match (range, dtype) {
                (Some((low, high)), _) => (low as f64 + self.unit() * (high - low) as f64).floor(),
                (None, DType::Bool) => (self.unit() * 2.0).floor(),
                (None, _) if dtype.is_float() => self.unit() * 4.0 - 2.0,
                (None, _) => (self.unit() * 9.0).floor(),
            })
            .collect();
        TensorData::from_f64(dtype, dims, values)
    }
}

/// `name(operands) {attributes}`.
fn parse(line: &str) -> Result<(String, Vec<Operand>, Attrs), String> {
    let mut cursor = Cursor::new(line);
    let mut random = Random(line.bytes().fold(7, |n, b| n * 31 % 1_000_003 + u64::from(b)));
    let name = cursor.expect_ident("an operator").map_err(|it| it.to_string())?;
    cursor.expect_punct("(").map_err(|it| it.to_string())?;
    let operands = cursor.list(")", |cursor| {
        let dtype = parse_dtype(cursor)?;
        let dims = parse_static_dims(cursor)?;
        if cursor.eat_punct("(") {
            let low = parse_int(cursor)?;
            cursor.expect_punct(",")?;
            let high = parse_int(cursor)?;
            cursor.expect_punct(")")?;
            return Ok(Operand { data: random.tensor(dtype, &dims, Some((low, high))), known: false });
        }
        let known = cursor.eat_punct("=");
        if known || cursor.eat_punct("?") {
            cursor.expect_punct("[")?;
            let values = cursor.list("]", parse_int)?;
            let data = TensorData::from_f64(dtype, &dims, values.into_iter().map(|it| it as f64));
            // Bounds at the ends of the range are not representable as floats.
            return Ok(Operand { data, known });
        }
        Ok(Operand { data: random.tensor(dtype, &dims, None), known: false })
    });
    let operands = operands.map_err(|it| it.to_string())?;
    let attrs = parse_attrs(&mut cursor).map_err(|it| it.to_string())?;
    if !cursor.at_end() {
        return Err("text after the case".into());
    }
    Ok((name, operands, attrs))
}

/// Symbols for numbers of a case: equal numbers share a symbol, 1 stays a constant.
struct Symbols {
    shapes: ShapeCx,
    env: Env,
    used: IndexSet<i64>,
}

impl Symbols {
    fn dim(&mut self, value: i64, symbolic: bool) -> Dim {
        if !symbolic || value == 1 || value < 0 {
            return self.shapes.int(value);
        }
        let sym = self.shapes.symbol(&format!("d{value}"));
        self.env.set(sym, value);
        self.used.insert(value);
        self.shapes.sym_dim(sym)
    }

    /// The type of an operand; `fixed` of its last dimensions stay constants.
    fn ty(&mut self, operand: &Operand, mode: Mode, fixed: usize) -> Type {
        let symbolic = mode != Mode::Constant && !operand.known;
        let extents = operand.data.dims();
        let dims: Vec<Dim> = extents
            .iter()
            .enumerate()
            .map(|(i, it)| self.dim(*it as i64, symbolic && i + fixed < extents.len()))
            .collect();
        let ty = TensorType::new(operand.data.dtype(), dims);
        if !operand.known {
            return Type::Tensor(ty);
        }
        let elements: Vec<Dim> = operand
            .data
            .to_i64()
            .into_iter()
            .map(|it| {
                let symbolic = mode == Mode::SymbolicElements && self.used.contains(&it);
                self.dim(it, symbolic)
            })
            .collect();
        Type::Tensor(ty.with_elements(elements))
    }

    /// A symbol without a value gets one; anything else must have that value.
    fn bind(&mut self, dim: Dim, value: i64) -> Result<(), String> {
        if let Some(sym) = self.shapes.as_sym(dim)
            && self.shapes.eval(dim, &self.env).is_none()
        {
            self.env.set(sym, value);
        }
        match self.eval(dim)? {
            found if found == value => Ok(()),
            found => Err(format!("a cast to {found} of {value}")),
        }
    }

    fn eval(&self, dim: Dim) -> Result<i64, String> {
        self.shapes.eval(dim, &self.env).ok_or_else(|| format!("{} has no value", self.shapes.display(dim)))
    }
}

/// An operation with inferred types.
struct Inferred {
    symbols: Symbols,
    args: Vec<Type>,
    results: Vec<Type>,
}

fn infer(
    ops: &OpRegistry,
    name: &str,
    operands: &[Operand],
    attrs: &Attrs,
    mode: Mode,
) -> Result<Inferred, String> {
    let op = ops.find(name).ok_or("no such operator")?;
    let mut symbols = Symbols { shapes: ShapeCx::new(), env: Env::new(), used: IndexSet::new() };
    let unknown_first = operands.iter().enumerate().filter(|(_, it)| !it.known);
    let known_last = operands.iter().enumerate().filter(|(_, it)| it.known);
    let order: Vec<_> = unknown_first.chain(known_last).collect();
    let mut args = vec![Type::Object; operands.len()];
    for (i, operand) in order {
        // How many coordinates an index has decides the rank of the result.
        let fixed = usize::from(name.ends_with("_nd") && i == 1);
        args[i] = symbols.ty(operand, mode, fixed);
    }
    let mut cx = InferCx::new(&mut symbols.shapes, attrs, &args);
    let results = ops.infer(op, &mut cx).map_err(|it| format!("inference: {it}"))?;
    for requirement in cx.requirements {
        let _ = symbols.shapes.assume(requirement.constraint);
    }
    Ok(Inferred { symbols, args, results: results.to_vec() })
}

/// The lowering of a case.
pub(crate) fn lower(line: &str, symbolic: bool) -> Result<Lowering, String> {
    let ops = OpRegistry::standard();
    let (name, operands, attrs) = parse(line)?;
    let mode = if symbolic { Mode::SymbolicDims } else { Mode::Constant };
    let mut it = infer(&ops, &name, &operands, &attrs, mode)?;
    let operation =
        Operation { op: ops.get(&name), attrs: &attrs, args: &it.args, results: &it.results, constants: &[] };
    LegalizeTable::standard(&ops)
        .legalize(&ops, &mut it.symbols.shapes, operation)
        .map_err(|it| it.to_string())
}

fn run(ops: &OpRegistry, table: &LegalizeTable, line: &str, mode: Mode) -> Result<(), String> {
    let (name, operands, attrs) = parse(line)?;
    let data: Vec<TensorData> = operands.iter().map(|it| it.data.clone()).collect();
    let expected = eval_named(&name, &attrs, &data).map_err(|it| format!("reference: {it}"))?;
    let Inferred { mut symbols, args, results } = infer(ops, &name, &operands, &attrs, mode)?;
    for (ty, expected) in results.iter().zip(&expected) {
        // Sizes that only data decide have no value yet.
        for (dim, extent) in
            ty.as_tensor().and_then(TensorType::dims).unwrap_or_default().iter().zip(expected.dims())
        {
            if symbols.shapes.as_sym(*dim).is_some() && symbols.shapes.eval(*dim, &symbols.env).is_none() {
                symbols.bind(*dim, *extent as i64)?;
            }
        }
        if !compare_type(&symbols, ty, expected)? {
            // The shape is not known in this mode; in the others it must be.
            return match mode {
                Mode::SymbolicElements => Ok(()),
                _ => Err("the shape of the result is not inferred".into()),
            };
        }
    }
    // Constant operands are given as such in one of the modes, so both ways are covered.
    let constants: Vec<_> = data.iter().map(|it| (mode == Mode::Constant).then(|| it.clone())).collect();
    let operation = Operation {
        op: ops.get(&name),
        attrs: &attrs,
        args: &args,
        results: &results,
        constants: &constants,
    };
    let lowering =
        table.legalize(ops, &mut symbols.shapes, operation).map_err(|it| format!("legalisation: {it}"))?;
    let found = evaluate(&mut symbols, lowering, &data)?;
    if found.len() != expected.len() {
        return Err(format!("{} results, expected {}", found.len(), expected.len()));
    }
    found.iter().zip(&expected).try_for_each(|(found, expected)| compare(found, expected))
}

/// What a lowering computes, step by step.
fn evaluate(
    symbols: &mut Symbols,
    lowering: Lowering,
    operands: &[TensorData],
) -> Result<Vec<TensorData>, String> {
    let mut made: Vec<TensorData> = Vec::new();
    for step in lowering.steps {
        let get = |value: Value| match value {
            Value::Operand(i) => &operands[i],
            Value::Made(i) => &made[i],
        };
        let new = match step {
            LowerStep::View { value, ty } => {
                let dims = ty.as_tensor().and_then(TensorType::dims).ok_or("a view of unknown shape")?;
                let dims = dims.iter().map(|it| symbols.eval(*it)).collect::<Result<Vec<i64>, _>>()?;
                let dims = dims.into_iter().map(|it| it as u64).collect::<Vec<_>>();
                vec![get(value).reshaped(dims).map_err(|it| it.to_string())?]
            }
            LowerStep::Kernel { kernel, args, sizes, .. } => {
                let sizes = sizes.iter().map(|it| symbols.eval(*it)).collect::<Result<Vec<_>, _>>()?;
                let inputs: Vec<_> = args.iter().map(|it| get(*it).clone()).collect();
                let found = match kernel.program() {
                    Some(program) => {
                        verify(program).map_err(|it| it.to_string())?;
                        eval_program(&text_cycle(program)?, &sizes, &inputs)
                    }
                    // A host without functions: no operator that ships calls one.
                    None => eval_kernel(&Host::new(), &kernel, &sizes, &inputs),
                };
                found.map_err(|it| format!("kernel: {it}"))?
            }
            LowerStep::MatchCast { value, ty } => {
                let data = get(value).clone();
                let ty = ty.as_tensor().ok_or("a cast to no tensor")?;
                let dims =
                    ty.dims().into_iter().flatten().copied().zip(data.dims().iter().map(|it| *it as i64));
                let elements = ty.elements.iter().flatten().copied().zip(data.to_i64());
                for (dim, value) in dims.chain(elements).collect::<Vec<_>>() {
                    symbols.bind(dim, value)?;
                }
                vec![data]
            }
            LowerStep::Check(it) => {
                let holds = match it.constraint {
                    Constraint::AtLeast(dim, k) => symbols.eval(dim)? >= k,
                    Constraint::AtMost(dim, k) => symbols.eval(dim)? <= k,
                    Constraint::Eq(a, b) => symbols.eval(a)? == symbols.eval(b)?,
                    Constraint::Multiple(dim, k) => symbols.eval(dim)? % k == 0,
                    Constraint::Differs(dim, k) => symbols.eval(dim)? != k,
                    Constraint::Broadcast(a, b) => {
                        let (a, b) = (symbols.eval(a)?, symbols.eval(b)?);
                        a == b || a == 1 || b == 1
                    }
                };
                if !holds {
                    return Err(format!("check: {}", it.message));
                }
                continue;
            }
        };
        made.extend(new);
    }
    let result = |value: &Value| match value {
        Value::Operand(i) => operands[*i].clone(),
        Value::Made(i) => made[*i].clone(),
    };
    Ok(lowering.results.iter().map(result).collect())
}

/// The program that its text reads back as.
fn text_cycle(program: &TensorProgram) -> Result<TensorProgram, String> {
    let text = print_program(program).text;
    let again = parse_program(&text).map_err(|it| format!("{text}\n{it}"))?;
    let second = print_program(&again).text;
    if second == text { Ok(again) } else { Err(format!("the text changes:\n{text}\n{second}")) }
}

/// Whether the type is precise; an error when it is wrong.
fn compare_type(symbols: &Symbols, ty: &Type, data: &TensorData) -> Result<bool, String> {
    let ty = ty.as_tensor().ok_or("the result is no tensor")?;
    if ty.dtype != data.dtype() {
        return Err(format!("inferred {}, got {}", ty.dtype, data.dtype()));
    }
    if ty.shape.rank().is_some_and(|it| it != data.dims().len()) {
        return Err(format!("inferred rank {:?}, got {:?}", ty.shape.rank(), data.dims()));
    }
    let Some(dims) = ty.dims() else { return Ok(false) };
    for (dim, extent) in dims.iter().zip(data.dims()) {
        if symbols.eval(*dim)? != *extent as i64 {
            return Err(format!("inferred {}, got {:?}", symbols.shapes.display(*dim), data.dims()));
        }
    }
    for (element, value) in ty.elements.iter().flatten().zip(data.to_i64()) {
        if symbols.eval(*element)? != value {
            return Err(format!("inferred element {}, got {value}", symbols.shapes.display(*element)));
        }
    }
    Ok(true)
}

fn compare(found: &TensorData, expected: &TensorData) -> Result<(), String> {
    if found.dtype() != expected.dtype() || found.dims() != expected.dims() {
        return Err(format!("result {}{:?}", found.dtype(), found.dims()));
    }
    let tolerance = match found.dtype() {
        DType::F16 | DType::BF16 => 2e-2,
        DType::F32 => 2e-5,
        DType::F64 => 1e-9,
        _ => 0.0,
    };
    for (i, (a, b)) in found.to_f64().into_iter().zip(expected.to_f64()).enumerate() {
        let close = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * (1.0 + b.abs());
        if !close {
            return Err(format!("element {i} is {a}, expected {b}"));
        }
    }
    Ok(())
}
