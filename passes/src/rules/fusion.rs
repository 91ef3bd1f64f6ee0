//! Which kernels to merge, decided from what their loops are, and the merging itself. Both drivers use it.

use super::kernels::KernelTable;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::choices::Choices;
use orogen_ir::loops::analysis::{
    FusionKind, flat_stages, fusion_kind, is_matrix_product, is_scattered, load_counts, moves_elements,
    reads_at_own_index, row_form,
};
use orogen_ir::loops::{
    BufferRole, Composed, Index, Junction, Origin, TensorProgram, compact, compose, extend, into_products,
    join,
};
use orogen_ir::shape::Dim;
use orogen_ir::types::Effects;
use std::hash::Hash;

/// Programs with more stages than this are not grown further.
const MAX_STAGES: usize = 12;
/// Programs with more parameters than this are not grown further.
const MAX_PARAMS: usize = 16;
/// Programs with more expressions than this are not grown further. Beside computing so much for an element, storing
/// it and loading it again costs nothing that can be measured, and kernels that repeat are compiled once. Merging
/// looks at whole programs, so with this bound it is linear in the number of calls.
const MAX_EXPRESSIONS: usize = 256;

/// Merges a producer into its only consumer, when that saves memory traffic and code generation keeps the form:
///
/// * elementwise and injective producers go into the loads of any consumer but a contraction, and those that widen
///   elements into the loads of its epilogue,
/// * transpositions and slices go into the factors of a matrix product, which packs or reads either order,
/// * elementwise consumers become the epilogue of a contraction or reduction,
/// * elementwise producers and consumers join a row program over the same rows,
/// * what makes weights wide from constants goes into the products of a recurrence, which read them in each step.
///
/// A producer that takes single elements from places in data goes into nothing: the consumer would compute point by
/// point for its sake, and gather again wherever it reads an element twice. One that takes rows goes where they stay rows:
/// into no transposition that would take them apart.
pub fn merge(
    producer: (&TensorProgram, &[Dim]),
    consumer: (&TensorProgram, &[Dim]),
    junction: &Junction,
) -> Option<Composed> {
    let known = [Summary::of(producer.0), Summary::of(consumer.0)];
    Some(merge_known(producer, consumer, junction, known)?.0)
}

/// What merging asks of a program, so that nobody looks at the whole of it again.
#[derive(Clone, Copy, Debug)]
struct Summary {
    kind: FusionKind,
    /// Expressions that its stages use.
    expressions: usize,
}

impl Summary {
    fn of(program: &TensorProgram) -> Self {
        Summary { kind: fusion_kind(program), expressions: expressions(program) }
    }
}

/// Expressions that the stages of a program use.
fn expressions(program: &TensorProgram) -> usize {
    let stages = flat_stages(program).unwrap_or_default();
    let roots = stages.into_iter().flat_map(|it| it.at.iter().filter_map(Index::value).chain([it.value]));
    program.postorder(roots).len()
}

/// Weights that a program makes wide from constants, and products in loops that read them.
fn merge_weights(
    producer: (&TensorProgram, &[Dim]),
    consumer: (&TensorProgram, &[Dim]),
    junction: &Junction,
    known: [Summary; 2],
) -> Option<(Composed, Summary)> {
    // What links them is a parameter of both, and will be none.
    let params = (producer.0.params.len() + consumer.0.params.len()).saturating_sub(2);
    if known[1].kind != FusionKind::Opaque
        || !junction.kept.is_empty()
        || params > MAX_PARAMS
        || producer.0.updated() + consumer.0.updated() > 0
        || known[0].expressions + known[1].expressions > MAX_EXPRESSIONS
    {
        return None;
    }
    let mut composed = join(producer, consumer, junction)?;
    into_products(&mut composed.program, producer.0.body.len())?;
    let known = Summary::of(&composed.program);
    Some((composed, known))
}

/// [`merge`] for programs of which this is known.
fn merge_known(
    producer: (&TensorProgram, &[Dim]),
    consumer: (&TensorProgram, &[Dim]),
    junction: &Junction,
    known: [Summary; 2],
) -> Option<(Composed, Summary)> {
    let sum = |count: fn(&TensorProgram) -> usize| count(producer.0) + count(consumer.0);
    // Half of the expressions of a program may be what earlier merges left behind.
    if !junction.kept.is_empty()
        || sum(|it| it.params.len()) > MAX_PARAMS
        || sum(|it| it.exprs.len()) > 2 * MAX_EXPRESSIONS
    {
        return None;
    }
    // What is updated keeps its memory.
    if producer.0.updated() + consumer.0.updated() > 0 {
        return None;
    }
    // Of the expressions of both, merging drops one load for each stage that goes away. A call asks again whenever it
    // has grown, so what is too large is refused before anything is built.
    let dropped = sum(|it| it.body.len());
    if known[0].expressions + known[1].expressions > MAX_EXPRESSIONS + dropped {
        return None;
    }
    let [first, second] = known.map(|it| it.kind);
    let wanted = match (first, second) {
        (
            FusionKind::Elementwise | FusionKind::Injective,
            FusionKind::Elementwise | FusionKind::Injective,
        ) => Wanted::Inlined,
        (FusionKind::Elementwise | FusionKind::Injective, FusionKind::Reduction) => Wanted::Inlined,
        (FusionKind::Elementwise, FusionKind::Row)
        | (FusionKind::Row, FusionKind::Elementwise | FusionKind::Row) => Wanted::Row,
        (FusionKind::Injective, FusionKind::Row) => Wanted::Inlined,
        // An epilogue that reads what a conversion reads moves fewer bytes.
        (FusionKind::Elementwise, FusionKind::Contraction)
            if widens(producer.0)
                && junction
                    .links
                    .iter()
                    .all(|(_, input)| reads_at_own_index(consumer.0, consumer.0.params[*input])) =>
        {
            Wanted::Inlined
        }
        (FusionKind::Injective, FusionKind::Contraction)
            if moves_elements(producer.0) && is_matrix_product(consumer.0) =>
        {
            Wanted::Factor
        }
        (FusionKind::Contraction | FusionKind::Reduction, FusionKind::Elementwise) => {
            let own = junction
                .links
                .iter()
                .all(|(_, input)| reads_at_own_index(consumer.0, consumer.0.params[*input]));
            if !own || !same_shape(consumer.0, junction) {
                return None;
            }
            Wanted::Epilogue(first)
        }
        _ => return None,
    };
    if first == FusionKind::Injective && is_scattered(producer.0) {
        return None;
    }
    let composed = compose(producer, consumer, junction)?;
    if first == FusionKind::Injective && !is_scattered(consumer.0) && is_scattered(&composed.program) {
        return None;
    }
    if flat_stages(&composed.program)?.len() > MAX_STAGES {
        return None;
    }
    let merged = Summary::of(&composed.program);
    if merged.expressions > MAX_EXPRESSIONS {
        return None;
    }
    let kept_form = match wanted {
        Wanted::Inlined => locals_in_use(&composed.program) == locals_in_use(consumer.0),
        Wanted::Factor => merged.kind == FusionKind::Contraction && is_matrix_product(&composed.program),
        Wanted::Row => row_form(&composed.program).is_some() && merged.kind == FusionKind::Row,
        Wanted::Epilogue(kind) => merged.kind == kind,
    };
    kept_form.then_some((composed, merged))
}

/// Merged kernels while calls are merged: they are in no table until all is done.
#[derive(Debug)]
pub struct Merging<'c, K> {
    merged: IndexMap<K, Merged>,
    choices: &'c mut Choices,
    /// Calls that stay apart by choice.
    apart: IndexSet<(K, K)>,
}

/// A merged program and what is known of it.
#[derive(Debug)]
struct Merged {
    program: TensorProgram,
    known: Summary,
    aborts: bool,
}

/// A call of a kernel, on values of either IR.
#[derive(Clone, Copy, Debug)]
pub struct KernelCall<'a, K, V> {
    /// The call.
    pub id: K,
    /// The name of its kernel.
    pub kernel: &'a str,
    /// Its sizes.
    pub sizes: &'a [Dim],
    /// What it reads.
    pub args: &'a [V],
    /// Whether all that it reads is constant.
    pub constant: bool,
}

impl<'c, K: Copy + Hash + Eq> Merging<'c, K> {
    /// Nothing is merged yet. Not to merge is legal too.
    pub fn new(choices: &'c mut Choices) -> Self {
        Merging { merged: IndexMap::new(), choices, apart: IndexSet::new() }
    }

    /// Whether a call can still absorb another one: of a tensor program that is not too large.
    pub fn may_grow(&self, table: &impl KernelTable, id: K, kernel: &str) -> bool {
        self.program(table, id, kernel).is_some_and(|it| it.params.len() < MAX_PARAMS)
    }

    /// Whether a call may abort.
    pub fn aborts(&self, table: &impl KernelTable, id: K, kernel: &str) -> bool {
        match self.merged.get(&id) {
            Some(merged) => merged.aborts,
            None => self.program(table, id, kernel).is_some_and(|it| it.effects().contains(Effects::ABORT)),
        }
    }

    fn program<'a>(&'a self, table: &'a impl KernelTable, id: K, kernel: &str) -> Option<&'a TensorProgram> {
        match self.merged.get(&id) {
            Some(merged) => Some(&merged.program),
            None => table.kernel(kernel)?.program(),
        }
    }

    fn known(&self, table: &impl KernelTable, id: K, kernel: &str) -> Option<Summary> {
        match self.merged.get(&id) {
            Some(merged) => Some(merged.known),
            None => self.program(table, id, kernel).map(Summary::of),
        }
    }

    /// Merges the call that makes `value` into one that reads it, if that pays; returns the sizes of the merged
    /// call and what it reads.
    pub fn absorb<V: Copy + PartialEq>(
        &mut self,
        table: &impl KernelTable,
        producer: KernelCall<'_, K, V>,
        consumer: KernelCall<'_, K, V>,
        value: V,
    ) -> Option<(Vec<Dim>, Vec<V>)> {
        let pair = (producer.id, consumer.id);
        let what = || format!("`{}` is not merged into `{}`", producer.kernel, consumer.kernel);
        if self.apart.contains(&pair) || self.choices.differs(what) {
            self.apart.insert(pair);
            return None;
        }
        let mut junction = Junction::default();
        for (i, arg) in consumer.args.iter().enumerate() {
            if *arg == value {
                junction.links.push((producer.args.len(), i));
            } else if let Some(same) = producer.args.iter().position(|it| it == arg) {
                junction.shared.push((same, i));
            }
        }
        for (i, arg) in producer.args.iter().enumerate() {
            if let Some(same) = producer.args[..i].iter().position(|it| it == arg) {
                junction.same.push((same, i));
            }
        }
        let aborts = self.aborts(table, producer.id, producer.kernel)
            || self.aborts(table, consumer.id, consumer.kernel);
        let known = [
            self.known(table, producer.id, producer.kernel)?,
            self.known(table, consumer.id, consumer.kernel)?,
        ];
        let (composed, known) =
            self.extended(table, &producer, &consumer, &junction, known).or_else(|| {
                let first = self.program(table, producer.id, producer.kernel)?;
                let second = self.program(table, consumer.id, consumer.kernel)?;
                let (first, second) = ((first, producer.sizes), (second, consumer.sizes));
                let weights =
                    || producer.constant.then(|| merge_weights(first, second, &junction, known)).flatten();
                merge_known(first, second, &junction, known).or_else(weights)
            })?;
        self.merged.swap_remove(&producer.id);
        self.merged.insert(consumer.id, Merged { program: composed.program, known, aborts });
        let args = composed.params.iter().filter_map(|origin| match origin {
            Origin::Producer(i) => producer.args.get(*i).copied(),
            Origin::Consumer(i) => consumer.args.get(*i).copied(),
        });
        Some((composed.sizes, args.collect()))
    }

    /// The merged program of two elementwise calls, made from the producer's where it is.
    fn extended<V>(
        &mut self,
        table: &impl KernelTable,
        producer: &KernelCall<'_, K, V>,
        consumer: &KernelCall<'_, K, V>,
        junction: &Junction,
        known: [Summary; 2],
    ) -> Option<(Composed, Summary)> {
        let (first, second) = (
            self.program(table, producer.id, producer.kernel)?,
            self.program(table, consumer.id, consumer.kernel)?,
        );
        if known.map(|it| it.kind) != [FusionKind::Elementwise; 2]
            || first.params.len() + second.params.len() > MAX_PARAMS
            || first.exprs.len() + second.exprs.len() > MAX_EXPRESSIONS
        {
            return None;
        }
        let taken = self.merged.swap_remove(&producer.id);
        let was_merged = taken.as_ref().map(|it| it.aborts);
        let first = match taken {
            Some(taken) => taken.program,
            None => table.kernel(producer.kernel)?.program()?.clone(),
        };
        let second = self.program(table, consumer.id, consumer.kernel)?;
        match extend(first, producer.sizes, (second, consumer.sizes), junction) {
            Ok(composed) => {
                // The load between them is gone.
                let expressions = known[0].expressions + known[1].expressions - 1;
                Some((composed, Summary { kind: FusionKind::Elementwise, expressions }))
            }
            Err(program) => {
                if let Some(aborts) = was_merged {
                    self.merged.insert(producer.id, Merged { program: *program, known: known[0], aborts });
                }
                None
            }
        }
    }

    /// The merged programs, without what merging left behind.
    pub fn finish(self) -> IndexMap<K, TensorProgram> {
        let compacted = |it: TensorProgram| compact(&it).unwrap_or(it);
        self.merged.into_iter().map(|(id, it)| (id, compacted(it.program))).collect()
    }
}

/// What the merged program must be for the merge to pay.
enum Wanted {
    /// The producer's stage is gone.
    Inlined,
    /// A matrix product that reads its factors where the producer read them.
    Factor,
    /// A row program.
    Row,
    /// The same kind as the producer.
    Epilogue(FusionKind),
}

/// Whether an elementwise program writes more bytes for each element than it reads: it has an operand of its own shape,
/// and others are the same for many elements.
fn widens(program: &TensorProgram) -> bool {
    let buffers = || program.params.iter().map(|it| &program.buffers[*it]);
    let Some(output) = buffers().find(|it| it.role == BufferRole::Output) else { return false };
    let whole = buffers().filter(|it| it.role == BufferRole::Input && it.dims == output.dims);
    let read: usize = whole.map(|it| it.dtype.size()).sum();
    (1..output.dtype.size()).contains(&read)
}

/// Local buffers that some stage loads.
fn locals_in_use(program: &TensorProgram) -> usize {
    load_counts(program).keys().filter(|it| program.buffers[**it].role == BufferRole::Local).count()
}

/// Whether every linked input has the shape of the consumer's outputs, so nothing is computed twice.
fn same_shape(consumer: &TensorProgram, junction: &Junction) -> bool {
    let outputs = consumer.params.iter().filter(|it| consumer.buffers[**it].role == BufferRole::Output);
    outputs.into_iter().all(|output| {
        junction.links.iter().all(|(_, input)| {
            consumer.buffers[consumer.params[*input]].dims == consumer.buffers[*output].dims
        })
    })
}
