use super::*;
use orogen_ir::flow::{Block, BlockKind, Output, Parameter, Region, Scope, Value as FlowValue, ValueDef};
use orogen_ir::types::{Attrs, Effects, TensorType};

/// Builds one function by hand.
struct Builder {
    function: Function,
    ops: OpRegistry,
}

impl Builder {
    fn new() -> Self {
        let mut regions = la_arena::Arena::new();
        let body = regions.alloc(Region::default());
        let function = Function {
            params: Vec::new(),
            outputs: Vec::new(),
            effects: Effects::PURE,
            private: false,
            body,
            values: la_arena::Arena::new(),
            bindings: la_arena::Arena::new(),
            blocks: la_arena::Arena::new(),
            regions,
        };
        Builder { function, ops: OpRegistry::standard() }
    }

    fn value(&mut self, ty: Type, def: ValueDef) -> ValueId {
        self.function.values.alloc(FlowValue { ty, def, scope: Scope::Region, name: None })
    }

    fn param(&mut self, name: &str, ty: Type) -> ValueId {
        let value = self.value(ty, ValueDef::Param(self.function.params.len() as u32));
        self.function.params.push(Parameter { name: name.into(), value });
        value
    }

    fn region(&mut self, params: &[Type]) -> (RegionId, Vec<ValueId>) {
        let id = self.function.regions.alloc(Region::default());
        let values: Vec<ValueId> = params
            .iter()
            .enumerate()
            .map(|(i, ty)| self.value(ty.clone(), ValueDef::RegionParam(id, i as u32)))
            .collect();
        self.function.regions[id].params = values.clone();
        (id, values)
    }

    fn bind(&mut self, region: RegionId, rhs: Rhs, types: &[Type]) -> Vec<ValueId> {
        let id =
            self.function.bindings.alloc(Binding { results: Default::default(), rhs, source: String::new() });
        let results: Vec<ValueId> = types
            .iter()
            .enumerate()
            .map(|(i, ty)| self.value(ty.clone(), ValueDef::Result(id, i as u32)))
            .collect();
        self.function.bindings[id].results = results.iter().copied().collect();
        let block = self.function.blocks.alloc(Block { kind: BlockKind::Effect, order: vec![id] });
        self.function.regions[region].blocks.push(block);
        results
    }

    fn op(&mut self, region: RegionId, name: &str, args: &[ValueId], ty: Type) -> ValueId {
        let op = self.ops.get(name);
        self.bind(region, Rhs::Op { op, attrs: Attrs::none(), args: args.into() }, &[ty])[0]
    }

    fn finish(mut self, shapes: ShapeCx, results: &[ValueId]) -> (OpRegistry, Module) {
        let body = self.function.body;
        self.function.regions[body].results = results.to_vec();
        self.function.outputs = results.iter().map(|_| Output { name: "y".into() }).collect();
        let mut module = Module { name: "m".into(), shapes, ..Module::default() };
        module.definitions.insert("main".into(), Definition::Function(self.function));
        (self.ops, module)
    }
}

fn f32s(values: &[f32]) -> Value {
    Value::Tensor(TensorData::from_slice(DType::F32, &[values.len() as u64], values))
}

fn run(built: &(OpRegistry, Module), args: &[Value]) -> Result<Vec<Value>, EvalError> {
    eval_function(&built.0, &built.1, "main", args)
}

#[test]
fn parameters_bind_symbols_and_checks_use_them() {
    let mut shapes = ShapeCx::new();
    let (n, m) = (shapes.sym("n"), shapes.sym("m"));
    let mut b = Builder::new();
    let (x, y) = (b.param("x", Type::tensor(DType::F32, [n])), b.param("y", Type::tensor(DType::F32, [m])));
    let body = b.function.body;
    b.bind(body, Rhs::Check { constraint: Constraint::Eq(n, m), message: "same length".into() }, &[]);
    let sum = b.op(body, "add", &[x, y], Type::tensor(DType::F32, [n]));
    let pair = b.bind(
        body,
        Rhs::Tuple([sum, x].into_iter().collect()),
        &[Type::Tuple(vec![Type::tensor(DType::F32, [n]), Type::tensor(DType::F32, [n])])],
    )[0];
    let first = b.bind(body, Rhs::Get { tuple: pair, index: 0 }, &[Type::tensor(DType::F32, [n])])[0];
    let built = b.finish(shapes, &[first]);
    assert_eq!(run(&built, &[f32s(&[1.0, 2.0]), f32s(&[3.0, 4.0])]).unwrap(), [f32s(&[4.0, 6.0])]);
    let error = run(&built, &[f32s(&[1.0, 2.0]), f32s(&[3.0])]).unwrap_err();
    assert_eq!(error.kind, EvalErrorKind::CheckFailed);
    assert!(run(&built, &[f32s(&[1.0])]).is_err());
}

#[test]
fn match_cast_binds_elements() {
    // y = reshape(x, s) where the elements of s are bound to (a, b).
    let mut shapes = ShapeCx::new();
    let (n, a, c, two) = (shapes.sym("n"), shapes.sym("a"), shapes.sym("b"), shapes.int(2));
    let mut b = Builder::new();
    let x = b.param("x", Type::tensor(DType::F32, [n]));
    let s = b.param("s", Type::tensor(DType::I64, [two]));
    let body = b.function.body;
    let known = Type::Tensor(TensorType::new(DType::I64, [two]).with_elements([a, c]));
    let cast = b.bind(body, Rhs::MatchCast { value: s, ty: known.clone() }, &[known])[0];
    let y = b.op(body, "reshape", &[x, cast], Type::tensor(DType::F32, [a, c]));
    let built = b.finish(shapes, &[y]);
    let shape = |v: &[i64]| Value::Tensor(TensorData::ints(v));
    let y = run(&built, &[f32s(&[0.0; 6]), shape(&[2, 3])]).unwrap();
    assert_eq!(y[0].as_tensor().unwrap().dims(), [2, 3]);
    assert!(run(&built, &[f32s(&[0.0; 6]), shape(&[4, 2])]).is_err());
}

#[test]
fn branches_and_loops() {
    // while sum(x) < 10 { x = x + x }; then if sum(x) < 12 { x } else { -x }
    let mut shapes = ShapeCx::new();
    let n = shapes.sym("n");
    let (tensor, scalar, flag) =
        (Type::tensor(DType::F32, [n]), Type::tensor(DType::F32, []), Type::tensor(DType::Bool, []));
    let mut b = Builder::new();
    let x = b.param("x", tensor.clone());
    let limits = [b.param("ten", scalar.clone()), b.param("twelve", scalar.clone())];
    let body = b.function.body;
    let below = |b: &mut Builder, region: RegionId, x: ValueId, limit: ValueId| {
        let op = b.ops.get("reduce_sum");
        let attrs = Attrs::none().with("axes", vec![0]);
        let sum = b.bind(
            region,
            Rhs::Op { op, attrs, args: [x].into_iter().collect() },
            std::slice::from_ref(&scalar),
        )[0];
        b.op(region, "less", &[sum, limit], flag.clone())
    };
    let (cond, params) = b.region(std::slice::from_ref(&tensor));
    let go_on = below(&mut b, cond, params[0], limits[0]);
    b.function.regions[cond].results = vec![go_on];
    let (step, params) = b.region(std::slice::from_ref(&tensor));
    let next = b.op(step, "add", &[params[0], params[0]], tensor.clone());
    b.function.regions[step].results = vec![next];
    let grown = b.bind(
        body,
        Rhs::While { init: [x].into_iter().collect(), cond, body: step },
        std::slice::from_ref(&tensor),
    )[0];
    let small = below(&mut b, body, grown, limits[1]);
    let (then_region, _) = b.region(&[]);
    b.function.regions[then_region].results = vec![grown];
    let (else_region, _) = b.region(&[]);
    let negative = b.op(else_region, "neg", &[grown], tensor.clone());
    b.function.regions[else_region].results = vec![negative];
    let y = b.bind(body, Rhs::If { cond: small, then_region, else_region }, &[tensor])[0];
    let built = b.finish(shapes, &[y]);
    let limit = |v: f32| Value::Tensor(TensorData::from_slice(DType::F32, &[], &[v]));
    let go = |x: &[f32]| run(&built, &[f32s(x), limit(10.0), limit(12.0)]);
    assert_eq!(go(&[1.0, 2.0]).unwrap(), [f32s(&[-4.0, -8.0])]);
    assert_eq!(go(&[11.0]).unwrap(), [f32s(&[11.0])]);
    assert_eq!(go(&[5.0, 0.5]).unwrap(), [f32s(&[10.0, 1.0])]);
}
