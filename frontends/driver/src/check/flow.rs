//! A module of the dataflow IR as definitions, with sizes chosen for its symbols.

use crate::check::view::{Definition as Defined, How, Value, View};
use orogen_ir::flow::{Definition, Function, Module, Rhs, ValueId};
use orogen_ir::shape::{Dim, Env, ShapeCx};

/// Sizes that all symbols are tried with.
const SIZES: [i64; 6] = [4, 2, 8, 16, 1, 0];

/// `None` where no sizes are found for which all facts hold.
pub(crate) fn view(module: &Module) -> Option<View<'_>> {
    let env = sizes(&module.shapes)?;
    let mut view = View::default();
    for (number, (_, function)) in (0..).zip(module.functions()) {
        add(&mut view, module, function, number, &env);
    }
    Some(view)
}

/// Sizes for all symbols.
fn sizes(shapes: &ShapeCx) -> Option<Env> {
    SIZES.into_iter().find_map(|size| {
        let mut env = Env::new();
        shapes.symbols().for_each(|it| env.set(it, size));
        shapes.facts().all(|it| shapes.holds(it, &env) == Some(true)).then_some(env)
    })
}

fn add<'m>(view: &mut View<'m>, module: &'m Module, function: &'m Function, number: u32, env: &Env) {
    let value = |id: ValueId| -> Value { (number, id.into_raw().into_u32(), 0) };
    let size = |dim: Dim| module.shapes.eval(dim, env);
    let mut define = |id: ValueId, result: usize, how: How<'m>, source: String| {
        let Some(tensor) = function[id].ty.as_tensor() else { return };
        let dims = tensor.dims().and_then(|it| it.iter().map(|it| u64::try_from(size(*it)?).ok()).collect());
        let Some(dims) = dims else { return };
        view.definitions.insert(value(id), Defined { how, result, dtype: tensor.dtype, dims, source });
    };
    function.params().iter().for_each(|it| define(it.value, 0, How::Given, it.name.clone()));
    let mut readers = Vec::new();
    for id in function.live_bindings() {
        let binding = &function[id];
        let all = |list: &[ValueId]| list.iter().map(|it| value(*it)).collect::<Vec<_>>();
        let how = match &binding.rhs {
            Rhs::Constant(constant) => How::Constant(module.constants.data(*constant)),
            Rhs::Op { op, attrs, args } => How::Op { op: *op, attrs, args: all(args) },
            Rhs::Call { callee, args, sizes } => match module.definitions().get(callee) {
                Some(Definition::Kernel(kernel)) => match sizes.iter().map(|it| size(*it)).collect() {
                    Some(sizes) => How::Kernel { kernel, sizes, args: all(args) },
                    None => How::Given,
                },
                _ => How::Given,
            },
            Rhs::View { value: of, .. } | Rhs::MatchCast { value: of, .. } => How::View(value(*of)),
            _ => How::Given,
        };
        if matches!(how, How::Given) {
            readers.push(((number, id.into_raw().into_u32(), "operands"), all(binding.rhs.operands_slice())));
        }
        for (result, it) in binding.results.iter().enumerate() {
            define(*it, result, how.clone(), binding.source.to_string());
        }
    }
    function.visit_regions(&mut |region| {
        for param in &function[region].params {
            define(*param, 0, How::Given, String::new());
        }
        let results = function[region].results.iter().map(|it| value(*it)).collect();
        readers.push(((number, region.into_raw().into_u32(), "results"), results));
    });
    view.readers.extend(readers);
}
