//! Parsing of call plans. The parser checks form and names; the laws are the verifier's.

use crate::diag::{Diagnostic, Diagnostics};
use crate::kernel::{Kernel, parse_kernel, starts_kernel};
use crate::plan::{
    Arena, ArenaId, Arg, BufferRef, CallPlan, Condition, FunctionId, InputKind, KernelId, Object, ObjectId,
    OutputKind, PlanInput, PlanOutput, ResultBinding, ShapeCheck, SizeBinding, Slot, SlotId, Step,
    TensorInput, TensorOutput, View,
};
use crate::shape::{Dim, Sym};
use crate::text::{
    Cursor, Literal, SymbolPolicy, TokenKind, fits, parse_constraint, parse_dim, parse_dims, parse_dtype,
    parse_int, parse_literal, parse_source, unknown,
};
use crate::types::{ConstId, ConstPool, DType, Dims};
use std::sync::Arc;

/// Reads a text that holds one plan. Constants that the text refers to but does not hold come from `pool`, by id.
///
/// # Errors
/// Everything that could not be read, each with its place in `text`.
pub fn parse_plan(text: &str, pool: &ConstPool) -> Result<CallPlan, Diagnostics> {
    let mut cursor = Cursor::new(text);
    let result = plan(&mut cursor, pool);
    whole(cursor, result)
}

/// What was read, if the text ends there and nothing was wrong.
pub(super) fn whole<T>(mut cursor: Cursor<'_>, result: Result<T, Diagnostic>) -> Result<T, Diagnostics> {
    if result.is_ok() && !cursor.at_end() {
        let problem = cursor.expected("the end of the text");
        cursor.report(problem);
    }
    match result {
        Ok(read) => cursor.finish().into_result(read),
        Err(problem) => {
            cursor.report(problem);
            Err(cursor.finish())
        }
    }
}

/// A plan with constants and kernels of its own.
pub(super) fn plan(cursor: &mut Cursor<'_>, pool: &ConstPool) -> Result<CallPlan, Diagnostic> {
    let mut parser = Parser { plan: CallPlan::default(), pool, shared: None };
    parser.plan(cursor)?;
    Ok(parser.plan)
}

/// A plan of a module with these functions, constants and kernels.
pub(super) fn member(cursor: &mut Cursor<'_>, shared: &Shared) -> Result<CallPlan, Diagnostic> {
    let (constants, kernels) = (shared.constants.clone(), shared.kernels.clone());
    let plan = CallPlan { constants, kernels, ..CallPlan::default() };
    let pool = ConstPool::default();
    let mut parser = Parser { plan, pool: &pool, shared: Some(shared) };
    parser.plan(cursor)?;
    Ok(parser.plan)
}

/// What the functions of a module share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) constants: Arc<ConstPool>,
    pub(super) kernels: Arc<Vec<Kernel>>,
    /// Names of the functions.
    pub(super) names: Vec<String>,
}

/// Reads a constant, inline or from `pool`, and adds it to those of the plan.
pub(super) fn constant(
    cursor: &mut Cursor<'_>,
    pool: &ConstPool,
    constants: &mut ConstPool,
) -> Result<(), Diagnostic> {
    let start = cursor.span();
    let (literal, name) = parse_literal(cursor)?;
    let (id, dtype, dims) = match literal {
        Literal::Inline(data) => {
            constants.add(name, data);
            return Ok(());
        }
        Literal::Known { digest, dtype, dims } => {
            let span = cursor.span_since(&start);
            let known = pool.known_by(digest).ok_or_else(|| unknown(cursor, span.clone()))?;
            fits(cursor, span, pool.data(known), dtype, &dims)?;
            let id = constants.add(name, pool.data(known).clone());
            constants.set_digest(id, digest);
            return Ok(());
        }
        Literal::Pool { id, dtype, dims } => (id, dtype, dims),
    };
    let span = cursor.span_since(&start);
    if !pool.contains(id) {
        return Err(cursor.error_at(span, "T092", format!("the constant {id} is not at hand")));
    }
    let data = pool.data(id);
    if data.dtype() != dtype || data.dims() != &dims[..] {
        return Err(cursor.error_at(span, "T093", format!("the constant {id} has another type")));
    }
    constants.add(name, data.clone());
    Ok(())
}

pub(super) struct Parser<'a> {
    pub(super) plan: CallPlan,
    pool: &'a ConstPool,
    /// For one function of several.
    shared: Option<&'a Shared>,
}

impl Parser<'_> {
    fn plan(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
        self.plan.private = cursor.eat_word("private");
        cursor.expect_word("plan")?;
        self.plan.name = cursor.expect_symbol()?.0;
        cursor.expect_punct("{")?;
        while !cursor.at_punct("}") && !cursor.at_end() {
            if let Err(problem) = self.item(cursor) {
                cursor.report(problem);
                cursor.recover();
            }
        }
        cursor.expect_punct("}")?;
        Ok(())
    }

    fn item(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
        let span = cursor.span();
        if self.shared.is_some() && (starts_kernel(cursor) || cursor.at_word("constant")) {
            let message = "constants and kernels belong to the module, before its plans";
            return Err(cursor.error_at(span, "T100", message));
        }
        if starts_kernel(cursor) {
            let kernel = parse_kernel(cursor)?;
            Arc::make_mut(&mut self.plan.kernels).push(kernel);
            return Ok(());
        }
        match cursor.expect_ident("a declaration")?.as_str() {
            word @ ("size" | "integer") => {
                let span = cursor.span();
                let name = cursor.expect_name("the name of a symbol")?;
                if self.plan.shapes.find_sym(&name).is_some() {
                    cursor.report(cursor.error_at(
                        span,
                        "T080",
                        format!("symbol `{name}` is declared twice"),
                    ));
                } else if word == "size" {
                    self.plan.shapes.sym(&name);
                } else {
                    self.plan.shapes.integer(&name);
                }
            }
            "assume" => {
                let start = cursor.span();
                let fact = parse_constraint(cursor, &mut self.plan.shapes, SymbolPolicy::Declared)?;
                if let Err(problem) = self.plan.shapes.assume(fact) {
                    cursor.report(cursor.error_at(cursor.span_since(&start), "T081", problem.to_string()));
                }
            }
            "in" => {
                let name = cursor.expect_name("a name")?;
                cursor.expect_punct(":")?;
                let kind = match self.starts_object(cursor) {
                    true => InputKind::Object(self.object_name(cursor)?),
                    false => {
                        let (dtype, dims) = self.tensor(cursor)?;
                        let default = match cursor.eat_punct("=") {
                            true => Some(self.default(cursor)?),
                            false => None,
                        };
                        InputKind::Tensor(TensorInput { dtype, dims, default })
                    }
                };
                self.plan.inputs.push(PlanInput { name, kind });
            }
            "out" => {
                let name = cursor.expect_name("a name")?;
                cursor.expect_punct(":")?;
                if self.starts_object(cursor) {
                    let kind = OutputKind::Object(self.object_name(cursor)?);
                    self.plan.outputs.push(PlanOutput { name, kind });
                    return Ok(());
                }
                let (dtype, dims) = self.tensor(cursor)?;
                let over = match cursor.eat_word("over") {
                    true => Some(self.input(cursor, "new state lies over an input")?),
                    false => None,
                };
                let rank = match cursor.eat_word("rank") {
                    true => Some(parse_dim(cursor, &mut self.plan.shapes, SymbolPolicy::Declared)?),
                    false => None,
                };
                let kind = OutputKind::Tensor(TensorOutput { dtype, dims, over, rank });
                self.plan.outputs.push(PlanOutput { name, kind });
            }
            "from" => {
                let symbol = self.sym(cursor)?;
                cursor.expect_punct("=")?;
                let input = self.input(cursor, "a size comes from an input")?;
                cursor.expect_punct("[")?;
                let axis = number(cursor)?;
                cursor.expect_punct("]")?;
                self.plan.bindings.push(SizeBinding { symbol, input, axis });
            }
            "defaults" => {
                let function = self.function(cursor)?;
                self.plan.at_defaults = Some(function);
            }
            "entry" => {
                cursor.expect_word("check")?;
                let check = self.check(cursor)?;
                self.plan.checks.push(check);
            }
            "constant" => {
                constant(cursor, self.pool, Arc::make_mut(&mut self.plan.constants))?;
            }
            "arena" => {
                let bytes = self.dim(cursor)?;
                let mut parts = Vec::new();
                if cursor.eat_word("of") {
                    parts.push(self.dim(cursor)?);
                    while cursor.eat_punct(",") {
                        parts.push(self.dim(cursor)?);
                    }
                }
                self.plan.arenas.push(Arena { bytes, parts });
            }
            "slot" => self.slot(cursor)?,
            "object" => self.object(cursor)?,
            "steps" => self.plan.steps = self.steps(cursor)?,
            word => {
                return Err(cursor.error_at(span, "T091", format!("`{word}` declares nothing in a plan")));
            }
        }
        Ok(())
    }

    /// `f32[n]`
    fn tensor(&mut self, cursor: &mut Cursor<'_>) -> Result<(DType, Dims), Diagnostic> {
        let dtype = parse_dtype(cursor)?;
        Ok((dtype, parse_dims(cursor, &mut self.plan.shapes, SymbolPolicy::Declared)?))
    }

    /// `%s0: f32[n] = ^0[offset]`
    fn slot(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
        let start = cursor.span();
        let expected = BufferRef::Slot(SlotId(self.plan.slots.len() as u32));
        if self.buffer_name(cursor)? != expected {
            return Err(cursor.error_at(start, "T094", "slots are declared in order: %s0, %s1, …"));
        }
        cursor.expect_punct(":")?;
        let dtype = parse_dtype(cursor)?;
        let dims = parse_dims(cursor, &mut self.plan.shapes, SymbolPolicy::Declared)?;
        cursor.expect_punct("=")?;
        let arena = self.arena(cursor)?;
        cursor.expect_punct("[")?;
        let offset = self.dim(cursor)?;
        cursor.expect_punct("]")?;
        self.plan.slots.push(Slot { dtype, dims, arena, offset });
        Ok(())
    }

    /// `%o0: f32[n]`, `%o1: Sequence<Tensor<f32>>`
    fn object(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
        let start = cursor.span();
        let expected = BufferRef::Object(ObjectId(self.plan.objects.len() as u32));
        if self.buffer_name(cursor)? != expected {
            return Err(cursor.error_at(start, "T094", "objects are declared in order: %o0, %o1, …"));
        }
        cursor.expect_punct(":")?;
        let ty = self.object_type(cursor)?;
        self.plan.objects.push(Object { ty });
        Ok(())
    }

    /// `1 @f(%in0[n, 4]) to (%o0) from m = 0[1]`
    fn invoke(&mut self, cursor: &mut Cursor<'_>) -> Result<Step, Diagnostic> {
        let function = self.function(cursor)?;
        cursor.expect_punct("(")?;
        let args = cursor.list(")", |cursor| {
            let place = self.buffer(cursor)?;
            if let BufferRef::Object(id) = place
                && !cursor.at_punct("[")
            {
                return Ok(Arg::Object(id));
            }
            let dims = parse_dims(cursor, &mut self.plan.shapes, SymbolPolicy::Declared)?;
            Ok(Arg::View(View { place, dims }))
        })?;
        cursor.expect_word("to")?;
        cursor.expect_punct("(")?;
        let results = cursor.list(")", |cursor| self.object_place(cursor))?;
        let mut bindings = Vec::new();
        let mut more = cursor.eat_word("from");
        while more {
            let symbol = self.sym(cursor)?;
            cursor.expect_punct("=")?;
            let result = number(cursor)?;
            cursor.expect_punct("[")?;
            let axis = number(cursor)?;
            cursor.expect_punct("]")?;
            bindings.push(ResultBinding { symbol, result, axis });
            more = cursor.eat_punct(",");
        }
        let source = parse_source(cursor)?;
        Ok(Step::Invoke { function, args, results, bindings, source })
    }

    /// `1 @f`
    fn function(&self, cursor: &mut Cursor<'_>) -> Result<FunctionId, Diagnostic> {
        let span = cursor.span();
        let function: u32 = number(cursor)?;
        if matches!(cursor.peek(), TokenKind::Symbol(_)) {
            let (name, span) = cursor.expect_symbol()?;
            let known = self.shared.and_then(|it| it.names.get(function as usize));
            if known.is_some_and(|it| *it != name) {
                return Err(cursor.error_at(span, "T098", format!("function {function} has another name")));
            }
        }
        if self.shared.is_none_or(|it| function as usize >= it.names.len()) {
            return Err(cursor.error_at(span, "T098", format!("there is no function {function}")));
        }
        Ok(FunctionId(function))
    }

    /// `#0`, which may be declared later.
    fn default(&mut self, cursor: &mut Cursor<'_>) -> Result<ConstId, Diagnostic> {
        let span = cursor.span();
        match self.buffer_name(cursor)? {
            BufferRef::Constant(id) => Ok(id),
            _ => Err(cursor.error_at(span, "T097", "the default of an input is a constant")),
        }
    }

    pub(super) fn dim(&mut self, cursor: &mut Cursor<'_>) -> Result<Dim, Diagnostic> {
        parse_dim(cursor, &mut self.plan.shapes, SymbolPolicy::Declared)
    }

    pub(super) fn sym(&mut self, cursor: &mut Cursor<'_>) -> Result<Sym, Diagnostic> {
        let span = cursor.span();
        let name = cursor.expect_name("a symbol")?;
        let found = self.plan.shapes.find_sym(&name);
        found.ok_or_else(|| cursor.error_at(span, "T040", format!("symbol `{name}` is not declared")))
    }

    fn arena(&mut self, cursor: &mut Cursor<'_>) -> Result<ArenaId, Diagnostic> {
        let span = cursor.span();
        let TokenKind::Block(name) = cursor.peek().clone() else {
            return Err(cursor.expected("an arena (`^0`)"));
        };
        cursor.bump();
        match name.parse::<u32>() {
            Ok(i) if (i as usize) < self.plan.arenas.len() => Ok(ArenaId(i)),
            _ => Err(cursor.error_at(span, "T095", format!("there is no arena `^{name}`"))),
        }
    }

    /// A buffer in its printed form, existing or not.
    pub(super) fn buffer_name(&mut self, cursor: &mut Cursor<'_>) -> Result<BufferRef, Diagnostic> {
        let span = cursor.span();
        let (found, text) = match cursor.peek().clone() {
            TokenKind::Const(text) => (text.parse().ok().map(|it| BufferRef::Constant(ConstId(it))), text),
            TokenKind::Value(text) => {
                let after = |prefix: &str| text.strip_prefix(prefix).and_then(|it| it.parse::<u32>().ok());
                let slot = after("s").map(|it| BufferRef::Slot(SlotId(it)));
                let parameter = after("in").map(BufferRef::Input).or(after("out").map(BufferRef::Output));
                let object = after("o").map(|it| BufferRef::Object(ObjectId(it)));
                (slot.or(parameter).or(object), text)
            }
            _ => return Err(cursor.expected("a buffer")),
        };
        cursor.bump();
        found.ok_or_else(|| cursor.error_at(span, "T096", format!("`{text}` is no buffer")))
    }

    /// A buffer that exists.
    pub(super) fn buffer(&mut self, cursor: &mut Cursor<'_>) -> Result<BufferRef, Diagnostic> {
        let span = cursor.span();
        let buffer = self.buffer_name(cursor)?;
        let exists = match buffer {
            BufferRef::Input(i) => (i as usize) < self.plan.inputs.len(),
            BufferRef::Output(i) => (i as usize) < self.plan.outputs.len(),
            BufferRef::Slot(id) => (id.0 as usize) < self.plan.slots.len(),
            BufferRef::Constant(id) => self.plan.constants.contains(id),
            BufferRef::Object(id) => (id.0 as usize) < self.plan.objects.len(),
        };
        match exists {
            true => Ok(buffer),
            false => {
                let text = super::buffer_text(buffer);
                Err(cursor.error_at(span, "T096", format!("there is no buffer `{text}`")))
            }
        }
    }

    fn input(&mut self, cursor: &mut Cursor<'_>, otherwise: &str) -> Result<u32, Diagnostic> {
        let start = cursor.span();
        match self.buffer(cursor)? {
            BufferRef::Input(input) => Ok(input),
            _ => Err(cursor.error_at(start, "T090", otherwise)),
        }
    }

    fn buffers(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<BufferRef>, Diagnostic> {
        cursor.expect_punct("(")?;
        cursor.list(")", |cursor| self.buffer(cursor))
    }

    fn check(&mut self, cursor: &mut Cursor<'_>) -> Result<ShapeCheck, Diagnostic> {
        let constraint = parse_constraint(cursor, &mut self.plan.shapes, SymbolPolicy::Declared)?;
        let message = cursor.expect_string("a message")?;
        Ok(ShapeCheck { constraint, message, source: parse_source(cursor)? })
    }

    /// `%s0`, or `n == m and k == 1`
    fn condition(&mut self, cursor: &mut Cursor<'_>) -> Result<Condition, Diagnostic> {
        if matches!(cursor.peek(), TokenKind::Value(_) | TokenKind::Const(_)) {
            return Ok(Condition::Buffer(self.buffer(cursor)?));
        }
        let mut facts = Vec::new();
        loop {
            facts.push(parse_constraint(cursor, &mut self.plan.shapes, SymbolPolicy::Declared)?);
            if !cursor.eat_word("and") {
                return Ok(Condition::Sizes(facts));
            }
        }
    }

    fn steps(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<Step>, Diagnostic> {
        cursor.expect_punct("{")?;
        let mut steps = Vec::new();
        cursor.nested(|cursor| {
            while !cursor.at_punct("}") && !cursor.at_end() {
                match self.step(cursor) {
                    Ok(step) => steps.push(step),
                    Err(problem) => {
                        cursor.report(problem);
                        cursor.recover();
                    }
                }
            }
            cursor.expect_punct("}")
        })?;
        Ok(steps)
    }

    fn step(&mut self, cursor: &mut Cursor<'_>) -> Result<Step, Diagnostic> {
        let span = cursor.span();
        Ok(match cursor.expect_ident("a step")?.as_str() {
            "alloc" if matches!(cursor.peek(), TokenKind::Block(_)) => Step::AllocArena(self.arena(cursor)?),
            "alloc" => match self.buffer(cursor)? {
                BufferRef::Output(i) => Step::AllocOutput(i),
                _ => return Err(cursor.error_at(span, "T097", "only arenas and outputs are allocated")),
            },
            "call" => {
                let span = cursor.span();
                let kernel: u32 = number(cursor)?;
                if kernel as usize >= self.plan.kernels.len() {
                    return Err(cursor.error_at(span, "T098", format!("there is no kernel {kernel}")));
                }
                if matches!(cursor.peek(), TokenKind::Symbol(_)) {
                    let (name, span) = cursor.expect_symbol()?;
                    if name != self.plan.kernels[kernel as usize].name() {
                        return Err(cursor.error_at(
                            span,
                            "T098",
                            format!("kernel {kernel} has another name"),
                        ));
                    }
                }
                let args = self.buffers(cursor)?;
                let sizes = match cursor.at_punct("[") {
                    true => parse_dims(cursor, &mut self.plan.shapes, SymbolPolicy::Declared)?.to_vec(),
                    false => Vec::new(),
                };
                let source = parse_source(cursor)?;
                Step::Kernel { kernel: KernelId(kernel), args, sizes, source }
            }
            "invoke" => self.invoke(cursor)?,
            "move" => {
                let from = self.buffer(cursor)?;
                cursor.expect_word("to")?;
                Step::Move { from, to: self.buffer(cursor)? }
            }
            "copy" => {
                let from = self.buffer(cursor)?;
                cursor.expect_word("to")?;
                let to = self.buffer(cursor)?;
                cursor.expect_punct(";")?;
                Step::Copy { from, to, bytes: self.dim(cursor)? }
            }
            "bind" => {
                let symbol = self.sym(cursor)?;
                cursor.expect_punct("=")?;
                let from = self.buffer(cursor)?;
                cursor.expect_punct("[")?;
                let element = number(cursor)?;
                cursor.expect_punct("]")?;
                cursor.expect_punct(":")?;
                let dtype = parse_dtype(cursor)?;
                Step::Bind { symbol, from, dtype, element, source: parse_source(cursor)? }
            }
            "let" => {
                let symbol = self.sym(cursor)?;
                cursor.expect_punct("=")?;
                let value = self.dim(cursor)?;
                Step::Let { symbol, value, source: parse_source(cursor)? }
            }
            "check" => Step::Check(self.check(cursor)?),
            "if" => {
                let cond = self.condition(cursor)?;
                let then_steps = self.steps(cursor)?;
                let else_steps = if cursor.eat_word("else") { self.steps(cursor)? } else { Vec::new() };
                Step::If { cond, then_steps, else_steps }
            }
            "while" => {
                let cond_steps = self.steps(cursor)?;
                let cond = self.buffer(cursor)?;
                Step::While { cond_steps, cond, body: self.steps(cursor)? }
            }
            word if Self::is_object_word(word) => self.object_step(cursor, word)?,
            word => return Err(cursor.error_at(span, "T099", format!("there is no step `{word}`"))),
        })
    }
}

/// A number that is not negative.
pub(super) fn number<T: TryFrom<i64>>(cursor: &mut Cursor<'_>) -> Result<T, Diagnostic> {
    let start = cursor.span();
    let value = parse_int(cursor)?;
    T::try_from(value)
        .map_err(|_| cursor.error_at(cursor.span_since(&start), "T020", "the number is out of range"))
}
