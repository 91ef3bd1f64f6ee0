//! Composition in place, for elementwise stages.

use super::compose::{Composed, Junction, Origin, short_name};
use super::copy::{Copier, Target};
use super::inline::{axis_of_dimension, fills};
use super::{BufferRole, Expr, ExprId, Index, Stage, Stmt, TensorProgram};
use crate::shape::Dim;
use indexmap::IndexMap;

/// [`compose`](super::compose) for a producer of one elementwise stage and a consumer of another one that reads each
/// of its elements once: the producer's stage goes on with what the consumer computes. The time depends on the
/// consumer alone; what is no longer used stays in the producer's arenas.
///
/// # Errors
/// The producer, not to be told from what it was once it is [compacted](super::compact), where the two do not meet
/// like that.
pub fn extend(
    producer: TensorProgram,
    producer_sizes: &[Dim],
    consumer: (&TensorProgram, &[Dim]),
    junction: &Junction,
) -> Result<Composed, Box<TensorProgram>> {
    let Some(meeting) = meeting(&producer, consumer.0, junction) else {
        return Err(Box::new(producer));
    };
    let known = producer.sizes.len();
    let params = producer.params.clone();
    let mut target = Target::around(producer);
    let mut sizes = producer_sizes.to_vec();
    match meeting.join(&mut target, &mut sizes, consumer, junction) {
        Some(params) => Ok(Composed { program: target.program, sizes, params }),
        None => {
            let mut program = target.program;
            program.sizes.truncate(known);
            program.params = params;
            Err(Box::new(program))
        }
    }
}

/// Where the stages meet.
struct Meeting {
    /// The load of the consumer that reads what the producer stores.
    load: ExprId,
    /// For each axis of the consumer's stage, the axis of the producer's that runs along the same dimension.
    axes: Vec<usize>,
    made: Stage,
    /// The parameters that the link joins.
    link: (usize, usize),
}

fn meeting(producer: &TensorProgram, consumer: &TensorProgram, junction: &Junction) -> Option<Meeting> {
    let ([Stmt::Stage(made)], [Stmt::Stage(used)]) = (&producer.body[..], &consumer.body[..]) else {
        return None;
    };
    let ([link], []) = (&junction.links[..], &junction.kept[..]) else { return None };
    // Inputs, and one output; nothing is both.
    let one_output =
        |it: &TensorProgram| it.outputs().count() == 1 && it.inputs().count() + 1 == it.params.len();
    if made.combine.is_some()
        || used.combine.is_some()
        || !one_output(producer)
        || !one_output(consumer)
        || producer.params[link.0] != made.buffer
        || !fills(producer, made)
    {
        return None;
    }
    let read = consumer.params[link.1];
    let roots = std::iter::once(used.value).chain(used.at.iter().filter_map(Index::value));
    let is_read = |id: &ExprId| matches!(&consumer.exprs[*id], Expr::Load { buffer, .. } if *buffer == read);
    let loads: Vec<ExprId> = consumer.postorder(roots).into_iter().filter(is_read).collect();
    let [load] = loads[..] else { return None };
    let Expr::Load { at, otherwise: None, .. } = &consumer.exprs[load] else { return None };
    // Both sides name the dimensions by axes, each once.
    let dimensions = axis_of_dimension(producer, made)?;
    if dimensions.len() != used.axes.len() {
        return None;
    }
    let along = |axis: &super::Axis| {
        let dimension = at
            .iter()
            .position(|it| it.dim().is_some_and(|dim| consumer.shapes.as_sym(dim) == Some(axis.var)))?;
        dimensions.iter().position(|it| *it == dimension)
    };
    let axes: Vec<usize> = used.axes.iter().map(along).collect::<Option<_>>()?;
    Some(Meeting { load, axes, made: made.clone(), link: *link })
}

impl Meeting {
    /// Continues the stage of the producer, which is in `target`; returns where the parameters come from.
    fn join(
        &self,
        target: &mut Target,
        sizes: &mut Vec<Dim>,
        consumer: (&TensorProgram, &[Dim]),
        junction: &Junction,
    ) -> Option<Vec<Origin>> {
        let (program, made) = (consumer.0, &self.made);
        let [Stmt::Stage(used)] = &program.body[..] else { return None };
        let mut copier = Copier::new(program);
        copier.unify_sizes(target, consumer.1, sizes);
        for (axis, i) in used.axes.iter().zip(&self.axes) {
            let own = &made.axes[*i];
            if copier.dim(target, axis.extent).ok()? != own.extent {
                return None;
            }
            let var = target.program.shapes.sym_dim(own.var);
            copier.stand_in(axis.var, var);
        }
        let inputs = target.program.params.len() - 1;
        let mut params = target.program.params.clone();
        let mut origins: Vec<Origin> = (0..params.len()).map(Origin::Producer).collect();
        params.remove(self.link.0);
        origins.remove(self.link.0);
        let mut output = None;
        for (i, id) in program.params.iter().enumerate() {
            let buffer = copier.described(target, *id).ok()?;
            let shared = junction.shared.iter().find(|it| it.1 == i).map(|it| target.program.params[it.0]);
            let joined = if i == self.link.1 { Some(made.buffer) } else { shared };
            let new = match joined {
                Some(existing) => {
                    let have = &target.program.buffers[existing];
                    if have.dtype != buffer.dtype || have.dims != buffer.dims {
                        return None;
                    }
                    existing
                }
                None => {
                    let is_output = buffer.role == BufferRole::Output;
                    let new = target.add(buffer);
                    if is_output {
                        output = Some((new, Origin::Consumer(i)));
                    } else {
                        params.push(new);
                        origins.push(Origin::Consumer(i));
                    }
                    new
                }
            };
            copier.place(*id, new);
        }
        debug_assert!(params.len() >= inputs, "the producer's inputs stay");
        let (buffer, origin) = output?;
        params.push(buffer);
        origins.push(origin);
        copier.exprs(target, used, &IndexMap::from([(self.load, made.value)])).ok()?;
        let at = copier.indices(target, &used.at).ok()?;
        let value = copier.copy_of(used.value);
        let axes = self.axes.iter().map(|i| made.axes[*i]).collect();
        let stage = Stage { axes, reduce: made.reduce.clone(), combine: None, buffer, at, value };
        let whole = &mut target.program;
        whole.buffers[made.buffer].role = BufferRole::Local;
        whole.body = vec![Stmt::Stage(stage)];
        whole.params = params;
        whole.name = short_name(format!("{}_{}", whole.name, program.name));
        Some(origins)
    }
}
