//! The whole of code generation for one module of plans.

use std::borrow::Cow;

use indexmap::{IndexMap, IndexSet};
use orogen_abi::DLDataType;
use orogen_abi::signature::{Dim as SignatureDim, Function, Outside, Parameter, Signature, digest};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::kernel::Kernel as PlanKernel;
use orogen_ir::loops::TensorProgram;
use orogen_ir::plan::{
    BufferRef, CallPlan, InputKind, ObjectId, OutputKind, PlanInput, PlanModule, for_each_kernel,
};
use orogen_ir::shape::{Dim, ShapeCx};
use orogen_ir::text::type_text;
use orogen_ir::types::{Bytes, ConstId, ConstPool, DType, Dims, Effects, Source};
use rayon::prelude::*;

use crate::clif::entry::{ConstantSymbols, EntryInput, Strings, door, entry, plain_constants, slot_symbol};
use crate::clif::kernel::{Kernel, KernelPhase, kernel};
use crate::clif::support::dlpack;
use crate::clif::unit::{Target, Unit};
use crate::library::{Blob, Compiled, KernelInfo, Metadata, PhaseInfo};
use crate::options::CodegenOptions;
use crate::select::forms::ParamForm;
use crate::select::routine::Routines;
use crate::select::way::Way;
use crate::tied::{is_whole, ties};

/// Compiles a module of plans that keeps its laws.
///
/// # Errors
/// Targets that are not supported, and sizes that cannot be represented.
pub fn compile(
    module: &PlanModule,
    metadata: &Metadata,
    options: &CodegenOptions,
) -> Result<Compiled, Diagnostics> {
    let isa = options.isa(true)?;
    let target = Target::of(&*isa);
    let constant = module.constant_params();
    let sources = sources(module);
    let names = operand_names(module);
    let vector = options.vector_isa();
    let divide = options.threads != 1;
    let mut options = options.clone();
    let choices = &mut options.choices;
    let ways: Vec<Way> =
        module.kernels().iter().map(|it| Way::choose(it.name(), vector, divide, choices)).collect();
    let options = &options;
    let program_kernel = |i: usize, program: &TensorProgram| {
        let name = kernel_symbol(i, &module.kernels()[i], &sources[i]);
        let told = named(program, &names[i]);
        let made = kernel(target, &name, &told, ways[i], &constant[i]).map(|mut it| {
            ways[i].mark(vector, &mut it.routines);
            Some(it)
        });
        made.map_err(|overflow| {
            Diagnostic::error("C002", overflow.to_string()).at(format!("kernel `{}`", program.name))
        })
    };
    let built: Vec<Result<Option<Kernel>, Diagnostic>> = module
        .kernels()
        .par_iter()
        .enumerate()
        .map(|(i, called)| {
            let name = kernel_symbol(i, called, &sources[i]);
            match called {
                PlanKernel::Program(program) => program_kernel(i, program),
                PlanKernel::Routine(routine) => {
                    // What may lie outside of the library may be anything when it runs.
                    let inside: Vec<bool> =
                        constant[i].iter().map(|it| *it && options.separate.is_none()).collect();
                    crate::routines::build(target, ways[i].isa, &name, routine, &inside).map(|mut it| {
                        ways[i].mark(vector, &mut it.routines);
                        Some(it)
                    })
                }
                PlanKernel::Extern(_) => Ok(None),
            }
        })
        .collect();
    let mut diagnostics = Diagnostics::new();
    let mut kernels = Vec::new();
    for result in built {
        match result {
            Ok(kernel) => kernels.push(kernel),
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    let mut kernels = diagnostics.into_result(kernels)?;
    let mut tied = IndexMap::new();
    for tie in ties(module, &kernels) {
        let mut readers = Vec::new();
        for (i, param, program) in &tie.readers {
            readers.extend(program_kernel(*i, program)?.map(|it| (*i, *param, it)));
        }
        if readers.iter().any(|(_, param, it)| !is_whole(&it.forms[*param])) {
            continue;
        }
        for (i, param, mut reader) in readers {
            reader.forms[param] = ParamForm::Panels(tie.panels);
            kernels[i] = Some(reader);
        }
        tied.insert(
            (tie.weights, ParamForm::Panels(tie.of_weights)),
            (tie.table, ParamForm::Panels(tie.panels)),
        );
    }

    let mut constants =
        Constants { forms: forms(module, &kernels), tied, used: IndexSet::new(), outside: IndexSet::new() };
    module.functions.iter().for_each(|it| constants.collect(it));
    let mut blobs = module.constants().map_or_else(Vec::new, |it| constants.blobs(it));
    let outside = match module.constants() {
        Some(pool) => {
            options.separate.map_or_else(Vec::new, |least| constants.separate(pool, &mut blobs, least))
        }
        None => Vec::new(),
    };
    let parameters = outside.iter().map(|it| it.0.clone()).collect();
    let symbols = Functions::of(module);
    let texts = Strings::of(module);
    let stand_ins: IndexSet<usize> =
        module.functions.iter().filter_map(|it| Some(it.at_defaults?.0 as usize)).collect();
    let entries: Vec<Vec<Unit>> = module
        .functions
        .par_iter()
        .zip(&symbols.names)
        .enumerate()
        .map(|(i, (plan, name))| {
            let (kernels, functions, stands_in) = (&kernels, &symbols.names[..], stand_ins.contains(&i));
            let (constants, strings) = (&constants, &texts[i]);
            entry(target, EntryInput { plan, name, stands_in, functions, kernels, constants, strings })
        })
        .collect();
    let infos = kernels.iter().zip(module.kernels()).zip(&sources);
    let infos = infos.map(|((code, called), source)| info(code.as_ref(), called, source)).collect();
    let main = module.entry().map(|it| exported_symbol(&it.name)).unwrap_or_default();
    let mut routines = Routines::default();
    let mut units = Vec::new();
    for kernel in kernels.into_iter().flatten() {
        let renamed = routines.merge(kernel.routines);
        units.extend(kernel.phases.into_iter().map(|it| it.unit.renamed(&renamed)));
    }
    units.extend(entries.into_iter().flatten());
    units.extend(symbols.doors(target, module));
    Ok(Compiled {
        options: options.clone(),
        units,
        routines,
        blobs,
        outside,
        signature: Signature { parameters, functions: module.exported().map(signature).collect() }
            .to_string(),
        meta: metadata.json.clone(),
        instructions: options.instructions()?.join(" "),
        entry: main,
        slots: module.kernels().iter().filter_map(slot).collect(),
        kernels: infos,
    })
}

/// Most characters of each part of the symbol of a kernel.
const SYMBOL_PART: usize = 40;

/// What profilers and debuggers show of a kernel: its place in the plan, what it does, and the first of what it comes from.
fn kernel_symbol(i: usize, kernel: &PlanKernel, source: &Source) -> String {
    let name = symbol_part(kernel.name());
    let name: String = name.chars().take(SYMBOL_PART).collect();
    let source = source.names().next().unwrap_or_default();
    // The name of the construct, where the text quotes it.
    let source = symbol_part(source.split('`').nth(1).unwrap_or(source));
    // Names are paths from the whole to its parts: the end tells most.
    let source = &source[source.len().saturating_sub(SYMBOL_PART)..];
    let source = source.trim_matches('_');
    let dot = if source.is_empty() { "" } else { "." };
    format!("orogen.kernel{i}.{name}{dot}{source}")
}

/// Letters and digits of ASCII, all others as underscores.
fn symbol_part(text: &str) -> String {
    text.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '_' }).collect()
}

/// For each kernel, where its calls come from.
fn sources(module: &PlanModule) -> Vec<Source> {
    let mut sources = vec![Source::default(); module.kernels().len()];
    for plan in &module.functions {
        for_each_kernel(&plan.steps, &mut |kernel, _, source| sources[kernel as usize].add(source));
    }
    sources
}

/// For each kernel, what the model calls its parameters, where all calls agree on that; else nothing.
fn operand_names(module: &PlanModule) -> Vec<Vec<String>> {
    let mut names: Vec<Option<Vec<String>>> = vec![None; module.kernels().len()];
    for plan in &module.functions {
        let name = |it: &BufferRef| match it {
            BufferRef::Input(i) => plan.inputs[*i as usize].name.clone(),
            BufferRef::Output(i) => plan.outputs[*i as usize].name.clone(),
            BufferRef::Constant(id) => module.constants().map_or("", |pool| pool.name(*id)).to_owned(),
            BufferRef::Slot(_) | BufferRef::Object(_) => String::new(),
        };
        for_each_kernel(&plan.steps, &mut |kernel, args, _| {
            let found: Vec<String> = args.iter().map(name).collect();
            match &mut names[kernel as usize] {
                Some(known) => {
                    let pairs = known.iter_mut().zip(&found).filter(|(known, found)| known != found);
                    pairs.for_each(|(known, _)| known.clear());
                }
                unknown => *unknown = Some(found),
            }
        });
    }
    names.into_iter().map(Option::unwrap_or_default).collect()
}

/// A program whose buffers have the names that errors of a call show: those of the model, or none.
fn named<'p>(program: &'p TensorProgram, names: &[String]) -> Cow<'p, TensorProgram> {
    if !program.effects().contains(Effects::ABORT) {
        return Cow::Borrowed(program);
    }
    let mut program = program.clone();
    program.buffers.iter_mut().for_each(|(_, it)| it.name.clear());
    for (param, name) in program.params.clone().into_iter().zip(names) {
        program.buffers[param].name.clone_from(name);
    }
    Cow::Owned(program)
}

fn slot(kernel: &PlanKernel) -> Option<String> {
    match kernel {
        PlanKernel::Extern(external) => Some(slot_symbol(external)),
        _ => None,
    }
}

/// Symbols of the functions of a module.
///
/// A function that others may call and that is called in the module as well has two: code inside a library calls a local
/// symbol, which no other library of the process can take over.
#[derive(Debug)]
pub(crate) struct Functions {
    /// Of each function, where its code is.
    pub(crate) names: Vec<String>,
}

impl Functions {
    fn of(module: &PlanModule) -> Functions {
        let mut called = vec![false; module.functions.len()];
        module.functions.iter().for_each(|plan| plan.visit_invoked(&mut |it| called[it.0 as usize] = true));
        let name = |(i, (plan, called)): (usize, (&CallPlan, bool))| match called || plan.private {
            true => format!("orogen.function{i}"),
            false => exported_symbol(&plan.name),
        };
        Functions { names: module.functions.iter().zip(called).enumerate().map(name).collect() }
    }

    /// The exported symbols of functions whose code has a local one.
    fn doors(&self, target: Target, module: &PlanModule) -> Vec<Unit> {
        let functions = module.functions.iter().zip(&self.names).filter(|(plan, _)| !plan.private);
        let functions = functions.map(|(plan, local)| (exported_symbol(&plan.name), local));
        functions
            .filter(|(name, local)| name != *local)
            .map(|(name, local)| door(target, &name, local))
            .collect()
    }
}

fn exported_symbol(name: &str) -> String {
    [orogen_abi::symbol::FUNCTION_PREFIX, name].concat()
}

/// The forms in which each kernel reads its parameters; functions of the host read them as they are.
fn forms(module: &PlanModule, kernels: &[Option<Kernel>]) -> Vec<Vec<ParamForm>> {
    let plain = |it: &PlanKernel| vec![ParamForm::Plain; it.param_count()];
    let pairs = kernels.iter().zip(module.kernels());
    pairs.map(|(code, called)| code.as_ref().map_or_else(|| plain(called), |it| it.forms.clone())).collect()
}

fn info(code: Option<&Kernel>, called: &PlanKernel, source: &Source) -> KernelInfo {
    let sources = source.names().chain(source.is_cut().then_some("…")).map(str::to_owned).collect();
    let Some(kernel) = code else {
        return KernelInfo {
            symbol: slot(called).unwrap_or_default(),
            name: called.name().to_owned(),
            sources,
            strategy: vec!["a function of the host".to_owned()],
            phases: Vec::new(),
            shared: "0".to_owned(),
        };
    };
    let show = |dim: Dim| kernel.shapes.display(dim).to_string();
    let phase = |it: &KernelPhase| PhaseInfo {
        symbol: it.unit.name.clone(),
        scratch: show(it.scratch),
        extent: show(it.extent),
    };
    KernelInfo {
        symbol: kernel.symbol().to_owned(),
        name: called.name().to_owned(),
        sources,
        strategy: kernel.strategy.clone(),
        phases: kernel.phases.iter().map(phase).collect(),
        shared: show(kernel.shared),
    }
}

/// The constants that the code reads, each in the forms that are wanted; the place of a pair is part of its symbol.
#[derive(Debug)]
struct Constants {
    /// Of each kernel, by parameter.
    forms: Vec<Vec<ParamForm>>,
    /// Constants in a form that others are in another one, byte by byte.
    tied: IndexMap<(ConstId, ParamForm), (ConstId, ParamForm)>,
    used: IndexSet<(ConstId, ParamForm)>,
    /// Symbols of those that are not in the library.
    outside: IndexSet<String>,
}

impl Constants {
    fn collect(&mut self, plan: &CallPlan) {
        let mut plain = IndexSet::new();
        plain.extend(plan.inputs.iter().filter_map(PlanInput::default_value));
        plain_constants(&plan.steps, &mut plain);
        self.used.extend(plain.into_iter().map(|it| (it, ParamForm::Plain)));
        for_each_kernel(&plan.steps, &mut |kernel, args, _| {
            for (arg, form) in args.iter().zip(&self.forms[kernel as usize]) {
                if let BufferRef::Constant(id) = arg {
                    let held = self.held(*id, form);
                    self.used.insert(held);
                }
            }
        });
    }

    /// The constant, and its form, that stands for one in a form.
    fn held(&self, id: ConstId, form: &ParamForm) -> (ConstId, ParamForm) {
        let wanted = (id, form.clone());
        self.tied.get(&wanted).cloned().unwrap_or(wanted)
    }

    fn blobs(&self, pool: &ConstPool) -> Vec<Blob> {
        let blob = |(id, form): &(ConstId, ParamForm)| {
            let data = pool.data(*id);
            Blob {
                symbol: self.symbol(*id, form),
                bytes: match form {
                    ParamForm::Plain if data.dtype() == DType::Str => data.content().into(),
                    ParamForm::Plain => data.unpacked(),
                    ParamForm::Packed => data.bytes().clone(),
                    ParamForm::Panels(panels) => panels.pack(data).into(),
                    ParamForm::Nodes(nodes) => nodes.pack(data).into(),
                },
                alignment: orogen_ir::plan::ALIGNMENT,
            }
        };
        let used: Vec<_> = self.used.iter().collect();
        used.into_par_iter().map(blob).collect()
    }

    /// Takes out what is left out of the library: large constants, in the forms in which the code reads them.
    fn separate(&mut self, pool: &ConstPool, blobs: &mut Vec<Blob>, least: usize) -> Vec<(Outside, Bytes)> {
        let mut found = Vec::new();
        let mut names: IndexSet<String> = IndexSet::new();
        let mut inside = Vec::new();
        for (blob, (id, form)) in std::mem::take(blobs).into_iter().zip(&self.used) {
            if blob.bytes.len() < least || pool.data(*id).dtype() == DType::Str {
                inside.push(blob);
                continue;
            }
            let data = pool.data(*id);
            let known = match pool.name(*id) {
                "" => format!("constant{}", id.0),
                name => name.to_owned(),
            };
            // What shares bytes is no array of elements.
            let dtype = if data.dtype().in_a_byte() > 1 { DType::U8 } else { data.dtype() };
            let flat = vec![(blob.bytes.len() / dtype.size()) as u64];
            let (known, dims, dtype) = match form {
                ParamForm::Plain => (known, data.dims().to_vec(), data.dtype()),
                ParamForm::Packed => (format!("{known}.packed"), flat, dtype),
                ParamForm::Panels(_) => (format!("{known}.panels"), flat, dtype),
                ParamForm::Nodes(_) => (format!("{known}.nodes"), flat, dtype),
            };
            let numbered = (1..).map(|i| if i == 1 { known.clone() } else { format!("{known}.{i}") });
            let name = numbered.into_iter().find(|it| !names.contains(it)).unwrap_or_default();
            names.insert(name.clone());
            let dims = dims.iter().map(|it| SignatureDim::Fixed(it.cast_signed())).collect();
            let parameter = Parameter { dims, ..Parameter::new(name, dlpack(dtype)) };
            found.push((Outside { parameter, digest: digest(&blob.bytes) }, blob.bytes));
            self.outside.insert(blob.symbol);
        }
        *blobs = inside;
        found
    }

    fn symbol(&self, id: ConstId, form: &ParamForm) -> String {
        match form {
            ParamForm::Plain => format!("orogen.const{}", id.0),
            form => {
                let held = self.held(id, form);
                let place = self.used.get_index_of(&held);
                format!("orogen.const{}.packed{}", held.0.0, place.unwrap_or(usize::MAX))
            }
        }
    }
}

impl ConstantSymbols for Constants {
    fn kernel_argument(&self, kernel: u32, param: usize, constant: ConstId) -> String {
        self.symbol(constant, &self.forms[kernel as usize][param])
    }

    fn plain(&self, constant: ConstId) -> String {
        self.symbol(constant, &ParamForm::Plain)
    }

    fn outside(&self, symbol: &str) -> Option<usize> {
        self.outside.get_index_of(symbol)
    }

    fn any_outside(&self) -> bool {
        !self.outside.is_empty()
    }
}

/// The signature that the runtime reads.
fn signature(plan: &CallPlan) -> Function {
    let tensor = |name: &str, dtype: DType, dims: &Dims| Parameter {
        dims: dims.iter().map(|it| signature_dim(&plan.shapes, *it)).collect(),
        ..Parameter::new(name, dlpack(dtype))
    };
    let object = |name: &str, id: ObjectId| Parameter {
        object: Some(type_text(&plan.shapes, &plan.objects[id.0 as usize].ty)),
        ..Parameter::new(name, DLDataType::HANDLE)
    };
    let renewals = plan.renewals();
    let becomes = |input: usize| Some(plan.outputs[*renewals.get(&(input as u32))? as usize].name.clone());
    let inputs = plan.inputs.iter().enumerate().map(|(i, it)| match &it.kind {
        InputKind::Tensor(kind) => Parameter {
            becomes: becomes(i),
            optional: kind.default.is_some(),
            ..tensor(&it.name, kind.dtype, &kind.dims)
        },
        InputKind::Object(id) => object(&it.name, *id),
    });
    let inputs = inputs.collect();
    let outputs = plan.outputs.iter().filter(|it| it.over().is_none()).map(|it| match &it.kind {
        OutputKind::Tensor(kind) => {
            Parameter { ranked: kind.rank.is_some(), ..tensor(&it.name, kind.dtype, &kind.dims) }
        }
        OutputKind::Object(id) => object(&it.name, *id),
    });
    let outputs = outputs.collect();
    Function { name: plan.name.clone(), inputs, outputs }
}

fn signature_dim(shapes: &ShapeCx, dim: Dim) -> SignatureDim {
    match shapes.as_int(dim) {
        Some(extent) if extent >= 0 => SignatureDim::Fixed(extent),
        _ => SignatureDim::Symbolic(shapes.display(dim).to_string()),
    }
}
