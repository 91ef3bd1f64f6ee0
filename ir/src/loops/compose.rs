//! Merging tensor programs, the mechanism of fusion.
//!
//! [`join`] puts the stages of a producer before those of a consumer, makes the buffers between them local, and
//! [`compose`] then substitutes elementwise producers into the loads that read them. Whether a composition pays is
//! for the caller to decide, from [`super::analysis`]. What was substituted stays in the arenas, as whatever no stage
//! uses; [`compact`](super::compact) drops it once, after the last composition.

use super::copy::{Copier, Target};
use super::inline::inline;
use super::{BufferId, BufferRole, TensorProgram};
use crate::shape::Dim;
use indexmap::IndexMap;

/// Where a parameter of a composed program comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Parameter `i` of the producer.
    Producer(usize),
    /// Parameter `i` of the consumer.
    Consumer(usize),
}

/// How two programs meet. Indices count [`TensorProgram::params`].
#[derive(Clone, Debug, Default)]
pub struct Junction {
    /// `(producer output, consumer input)`: the consumer reads what the producer writes.
    pub links: Vec<(usize, usize)>,
    /// `(producer input, consumer input)`: both read the same buffer.
    pub shared: Vec<(usize, usize)>,
    /// `(producer input, later producer input)`: both read the same buffer.
    pub same: Vec<(usize, usize)>,
    /// Producer outputs that something else reads too, so they stay outputs.
    pub kept: Vec<usize>,
}

/// A composed program.
#[derive(Clone, Debug)]
pub struct Composed {
    /// The program.
    pub program: TensorProgram,
    /// Values of its size parameters, in the caller's dimensions.
    pub sizes: Vec<Dim>,
    /// Where each of its parameters comes from.
    pub params: Vec<Origin>,
}

/// The program that runs `producer`, then `consumer`. `*_sizes` are the caller's values of the size parameters;
/// parameters with the same value become one. `None` when linked buffers differ in type or shape, or when an
/// index expression overflows.
///
/// The time is linear in what the stages of both use: buffers and expressions that earlier compositions left behind
/// are not copied.
pub fn compose(
    producer: (&TensorProgram, &[Dim]),
    consumer: (&TensorProgram, &[Dim]),
    junction: &Junction,
) -> Option<Composed> {
    let mut composed = join(producer, consumer, junction)?;
    inline(&mut composed.program);
    Some(composed)
}

/// The same with every stage of the producer, then every stage of the consumer.
pub fn join(
    producer: (&TensorProgram, &[Dim]),
    consumer: (&TensorProgram, &[Dim]),
    junction: &Junction,
) -> Option<Composed> {
    let mut target = Target::new(short_name(format!("{}_{}", producer.0.name, consumer.0.name)));
    let mut sizes: Vec<Dim> = Vec::new();
    let mut first = Copier::new(producer.0);
    first.unify_sizes(&mut target, producer.1, &mut sizes);
    let linked = |i| junction.links.iter().any(|(output, _)| *output == i) && !junction.kept.contains(&i);
    for (i, id) in producer.0.params.iter().enumerate() {
        let mut buffer = first.described(&mut target, *id).ok()?;
        if let Some((before, _)) = junction.same.iter().find(|(_, it)| *it == i) {
            let existing = first.buffers[&producer.0.params[*before]];
            let have = &target.program.buffers[existing];
            if have.dtype == buffer.dtype && have.dims == buffer.dims {
                first.buffers.insert(*id, existing);
                continue;
            }
        }
        if linked(i) {
            buffer.role = BufferRole::Local;
        }
        let new = target.add(buffer);
        first.buffers.insert(*id, new);
    }
    let mut second = Copier::new(consumer.0);
    second.unify_sizes(&mut target, consumer.1, &mut sizes);
    for (i, id) in consumer.0.params.iter().enumerate() {
        let buffer = second.described(&mut target, *id).ok()?;
        let other = |pairs: &[(usize, usize)]| pairs.iter().find(|(_, it)| *it == i).map(|(it, _)| *it);
        let new = match other(&junction.links).or_else(|| other(&junction.shared)) {
            Some(param) => {
                let existing = first.buffers[&producer.0.params[param]];
                let have = &target.program.buffers[existing];
                if have.dtype != buffer.dtype || have.dims != buffer.dims {
                    return None;
                }
                existing
            }
            None => target.add(buffer),
        };
        second.buffers.insert(*id, new);
    }
    let mut body = first.stmts(&mut target, &producer.0.body).ok()?;
    body.extend(second.stmts(&mut target, &consumer.0.body).ok()?);
    let mut by_buffer: IndexMap<BufferId, Origin> = IndexMap::new();
    let made = producer.0.params.iter().enumerate().map(|(i, id)| (first.buffers[id], Origin::Producer(i)));
    let used = consumer.0.params.iter().enumerate().map(|(i, id)| (second.buffers[id], Origin::Consumer(i)));
    for (buffer, origin) in made.chain(used) {
        by_buffer.entry(buffer).or_insert(origin);
    }
    let mut program = target.program;
    program.body = body;
    let mut params = Vec::new();
    for role in BufferRole::PARAMS {
        for (buffer, origin) in by_buffer.iter().filter(|(it, _)| program.buffers[**it].role == role) {
            program.params.push(*buffer);
            params.push(*origin);
        }
    }
    Some(Composed { program, sizes, params })
}

/// Names of long chains say how they begin.
pub(super) fn short_name(mut name: String) -> String {
    const LONGEST: usize = 48;
    if name.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|it| name.is_char_boundary(*it)).unwrap_or(0);
        name.truncate(end);
    }
    name
}
