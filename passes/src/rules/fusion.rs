//! Which kernels to merge, decided from what their loops are, and the merging itself. Both drivers use it.

use orogen_ir::loops::analysis::{
    FusionKind, flat_stages, fusion_kind, load_counts, reads_at_own_index, row_form,
};
use orogen_ir::loops::{BufferRole, Composed, Junction, Origin, TensorProgram, compose};
use orogen_ir::shape::Dim;

/// Programs with more stages than this are not grown further.
const MAX_STAGES: usize = 12;
/// Programs with more parameters than this are not grown further.
const MAX_PARAMS: usize = 16;

/// Merges a producer into its only consumer, when that saves memory traffic and code generation keeps the form:
///
/// * elementwise and injective producers go into the loads of any consumer but a contraction,
/// * elementwise consumers become the epilogue of a contraction or reduction,
/// * elementwise producers and consumers join a row program over the same rows.
pub fn merge(
    producer: (&TensorProgram, &[Dim]),
    consumer: (&TensorProgram, &[Dim]),
    junction: &Junction,
) -> Option<Composed> {
    let (first, second) = (fusion_kind(producer.0), fusion_kind(consumer.0));
    if producer.0.params.len() + consumer.0.params.len() > MAX_PARAMS || !junction.kept.is_empty() {
        return None;
    }
    let wanted = match (first, second) {
        (
            FusionKind::Elementwise | FusionKind::Injective,
            FusionKind::Elementwise | FusionKind::Injective,
        ) => Wanted::Inlined,
        (FusionKind::Elementwise | FusionKind::Injective, FusionKind::Reduction) => Wanted::Inlined,
        (FusionKind::Elementwise, FusionKind::Row)
        | (FusionKind::Row, FusionKind::Elementwise | FusionKind::Row) => Wanted::Row,
        (FusionKind::Injective, FusionKind::Row) => Wanted::Inlined,
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
    let composed = compose(producer, consumer, junction)?;
    let stages = flat_stages(&composed.program)?.len();
    let kept_form = match wanted {
        Wanted::Inlined => locals_in_use(&composed.program) == locals_in_use(consumer.0),
        Wanted::Row => {
            row_form(&composed.program).is_some() && fusion_kind(&composed.program) == FusionKind::Row
        }
        Wanted::Epilogue(kind) => fusion_kind(&composed.program) == kind,
    };
    (kept_form && stages <= MAX_STAGES).then_some(composed)
}

/// A call of a kernel, on values of either IR.
#[derive(Clone, Copy, Debug)]
pub struct KernelCall<'a, V> {
    /// The kernel.
    pub program: &'a TensorProgram,
    /// Its sizes.
    pub sizes: &'a [Dim],
    /// What it reads.
    pub args: &'a [V],
}

/// Merges the call that makes `value` into one that reads it, if [`merge`] does; also returns what both read together.
pub fn absorb<V: Copy + PartialEq>(
    producer: KernelCall<'_, V>,
    consumer: KernelCall<'_, V>,
    value: V,
) -> Option<(Composed, Vec<V>)> {
    let mut junction = Junction::default();
    for (i, arg) in consumer.args.iter().enumerate() {
        if *arg == value {
            junction.links.push((producer.args.len(), i));
        } else if let Some(same) = producer.args.iter().position(|it| it == arg) {
            junction.shared.push((same, i));
        }
    }
    let composed = merge((producer.program, producer.sizes), (consumer.program, consumer.sizes), &junction)?;
    let args = composed
        .params
        .iter()
        .filter_map(|origin| match origin {
            Origin::Producer(i) => producer.args.get(*i).copied(),
            Origin::Consumer(i) => consumer.args.get(*i).copied(),
        })
        .collect();
    Some((composed, args))
}

/// What the merged program must be for the merge to pay.
enum Wanted {
    /// The producer's stage is gone.
    Inlined,
    /// A row program.
    Row,
    /// The same kind as the producer.
    Epilogue(FusionKind),
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
