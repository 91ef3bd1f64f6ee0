//! The loop structure of a kernel.
//!
//! Consecutive stages that share leading axes run inside one loop over them, so that what one stage makes is used
//! while it is in the cache, and a local buffer needs room for one iteration only.

use indexmap::IndexMap;
use orogen_ir::loops::{Axis, BufferId, BufferRole, Stage, Stmt, TensorProgram};
use orogen_ir::shape::{Dim, ShapeCx};

use super::compactions::compaction;
use super::contraction::matrix_product;
use super::convolution::convolution;
use super::forms::ParamForm;
use super::kinds::KINDS;
use super::parts::{Part, stages_of};
use super::routine::Routines;
use super::scans::scan;
use super::selector::{Match, Selector};
use super::stages::{changes_checked, count, own_dims, settled, shared_axes, shared_depth};
use super::strips::scatter;
use super::tree::{Call, Node, Parallel};
use super::unpacking::unpacking;
use super::way::Way;

/// The most stages that share scalar loops: whether one more fits is asked of all of them. What is made and used
/// further apart than that is no longer in the nearest cache anyway.
const MAX_GROUP: usize = 16;

/// How a kernel runs.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// The parts in order.
    pub(crate) parts: Vec<Part>,
    /// For each local buffer in memory, which of its dimensions are stored; the others hold one iteration at a time.
    pub(crate) kept: IndexMap<BufferId, Vec<bool>>,
    /// Where all dimensions live: the program's context and what was added.
    pub(crate) shapes: ShapeCx,
    /// How routines want the parameters, by place.
    pub(crate) forms: Vec<ParamForm>,
    /// Routines that are called.
    pub(crate) routines: Routines,
    /// What was chosen, a line for each part.
    pub(crate) strategy: Vec<String>,
}

/// Chooses the loop structure of a program and the routines that it calls. `constant` says which parameters are
/// always constants.
pub(crate) fn schedule(program: &TensorProgram, way: Way, constant: &[bool]) -> Schedule {
    // A constant has one form. Where its loads want different ones, it stays as it is, and all is chosen again.
    let mut constant = constant.to_vec();
    loop {
        match attempt(program, way, &constant) {
            Ok(schedule) => return schedule,
            Err(disputed) => constant[disputed] = false,
        }
    }
}

/// A schedule, or the place of a constant that cannot have a form of its own.
fn attempt(program: &TensorProgram, way: Way, constant: &[bool]) -> Result<Schedule, usize> {
    let Way { isa, divide, without, .. } = way;
    let mut kept = IndexMap::new();
    for (id, buffer) in program.buffers.iter() {
        if buffer.role == BufferRole::Local {
            kept.insert(id, vec![true; buffer.dims.len()]);
        }
    }
    let mut selector = Selector::new(program, isa, constant);
    selector.ranged = divide;
    selector.tile = way.tile.unwrap_or(selector.tile);
    selector.blocking = way.blocking.unwrap_or(selector.blocking);
    let mut chooser = Chooser { kept, strategy: Vec::new(), without };
    let mut parts = chooser.statements(&mut selector, &program.body);
    if !divide {
        parts.iter_mut().for_each(|it| it.parallel = Parallel::No);
    }
    if let Some(disputed) = selector.disputed() {
        return Err(disputed);
    }
    let Chooser { mut kept, strategy, .. } = chooser;
    // What lives inside routines needs no memory of its own.
    let nodes = parts.iter().flat_map(|it| &it.body);
    kept.retain(|buffer, _| nodes.clone().any(|node| node.touches(program, *buffer)));
    let packed: Vec<bool> = program.params.iter().map(|it| selector.is_packed(*it)).collect();
    let Selector { shapes, mut forms, routines, .. } = selector;
    for (form, _) in
        forms.iter_mut().zip(packed).filter(|(form, packed)| *packed && **form == ParamForm::Plain)
    {
        *form = ParamForm::Packed;
    }
    Ok(Schedule { parts, kept, shapes, forms, routines, strategy })
}

/// The loop that a part is, if its iterations may run at the same time.
fn parallel_loop(node: &Node) -> Parallel {
    match node {
        Node::Loop { independent: true, extent, .. } => Parallel::Loop(*extent),
        Node::Some { body, .. } | Node::Checked { body, .. } if let [only] = &body[..] => parallel_loop(only),
        _ => Parallel::No,
    }
}

/// Parts that compute `stages`, guarded where all of them may be without a point.
fn some(program: &TensorProgram, stages: &[&Stage], body: Vec<Node>) -> Vec<Node> {
    let certain = |stage: &&Stage| {
        let turns = |extent: Dim| program.shapes.bounds(extent).lo.is_some_and(|lo| lo >= 1);
        program.buffers[stage.buffer].role != BufferRole::Local
            && stage.axes.iter().all(|it| turns(it.extent))
    };
    if stages.iter().any(certain) {
        return body;
    }
    let space = |stage: &&Stage| (stage.buffer, stage.axes.iter().map(|it| it.extent).collect());
    vec![Node::Some { spaces: stages.iter().map(space).collect(), body }]
}

/// A loop over nodes, in order. Where all of them check indices that the loop does not change before they store, all is
/// checked before the loop.
fn repeated(program: &TensorProgram, axis: &Axis, body: &[Stmt], nodes: Vec<Node>) -> Node {
    let steps = |body: Vec<Node>| {
        let (extent, vars) = (axis.extent, vec![axis.var]);
        Node::Loop { extent, vars, body, independent: false }
    };
    let guarded = nodes.iter().all(|it| matches!(it, Node::Guarded { .. }));
    if !guarded || nodes.is_empty() || !settled(program, &stages_of(body)) {
        return steps(nodes);
    }
    let (mut checks, mut bodies) = (Vec::new(), Vec::new());
    for node in nodes {
        if let Node::Guarded { checks: own, body } = node {
            checks.extend(own);
            bodies.extend(body);
        }
    }
    Node::Guarded { checks: vec![steps(checks)], body: vec![steps(bodies)] }
}

struct Chooser {
    kept: IndexMap<BufferId, Vec<bool>>,
    strategy: Vec<String>,
    /// A kind of routine that is not tried.
    without: Option<usize>,
}

impl Chooser {
    /// A routine for the first stages of a run.
    ///
    /// Constants of elements narrower than a byte are read by products, by what makes bytes of them, and by scalar code.
    fn choose(&self, s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
        let first = *run.first()?;
        let packed_after = run[1..].iter().position(|it| !s.packed_in(it).is_empty());
        let run = packed_after.map_or(run, |it| &run[..=it]);
        if !s.packed_in(first).is_empty() {
            if let Some(found) = unpacking(s, run) {
                return Some(found);
            }
            let found = convolution(s, run).or_else(|| matrix_product(s, run))?;
            s.claim_bytes(first)?;
            return Some(found);
        }
        let tried = KINDS.iter().enumerate().filter(|(kind, _)| Some(*kind) != self.without);
        { tried }.find_map(|(_, (_, find))| find(s, run))
    }

    /// What a routine computes, as a part.
    fn part(&mut self, s: &Selector<'_>, found: Match, body: impl FnOnce(Node) -> Vec<Node>) -> Part {
        note(&found.node, &mut self.strategy);
        let parallel = match found.units {
            Some(units) => Parallel::Range { units, begin: s.begin, end: s.end },
            None => parallel_loop(&found.node),
        };
        Part { body: body(found.node), parallel, statements: found.stages, rate: found.rate }
    }

    fn statements(&mut self, s: &mut Selector<'_>, body: &[Stmt]) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut run: Vec<&Stage> = Vec::new();
        let mut rest = body;
        while let Some((statement, after)) = rest.split_first() {
            let is_plain = s.program.params.iter().all(|it| !s.is_packed(*it));
            if let Some(found) = scan(s, rest).filter(|_| is_plain) {
                parts.extend(self.run(s, &std::mem::take(&mut run)));
                rest = &rest[found.stages..];
                parts.push(self.part(s, found, |node| vec![node]));
                continue;
            }
            rest = after;
            match statement {
                Stmt::Stage(stage) => run.push(stage),
                Stmt::For { axis, body } => {
                    parts.extend(self.run(s, &std::mem::take(&mut run)));
                    if let Some(found) = compaction(s, statement).filter(|_| is_plain) {
                        parts.push(self.part(s, found, |node| vec![node]));
                        continue;
                    }
                    // Steps wait for each other, so nothing in them is divided.
                    let ranged = std::mem::replace(&mut s.ranged, false);
                    if let Some(found) = scatter(s, statement).filter(|_| is_plain) {
                        s.ranged = ranged;
                        parts.push(self.part(s, found, |node| vec![node]));
                        continue;
                    }
                    let inside = self.statements(s, body);
                    let rate = inside.iter().map(|it| it.rate).max().unwrap_or(1);
                    let inside = inside.into_iter().flat_map(|it| it.body).collect();
                    s.ranged = ranged;
                    let steps = repeated(s.program, axis, body, inside);
                    parts.push(Part { body: vec![steps], parallel: Parallel::No, statements: 1, rate });
                }
            }
        }
        parts.extend(self.run(s, &run));
        parts
    }

    /// Consecutive stages.
    fn run(&mut self, s: &mut Selector<'_>, run: &[&Stage]) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut rest = run;
        let mut scalar: Vec<&Stage> = Vec::new();
        while let Some((first, after)) = rest.split_first() {
            if let Some(found) = self.choose(s, rest) {
                parts.extend(self.group(s.program, &std::mem::take(&mut scalar)));
                let (own, after) = rest.split_at(found.stages);
                parts.push(self.part(s, found, |node| some(s.program, own, vec![node])));
                rest = after;
                continue;
            }
            if !scalar.is_empty()
                && (scalar.len() == MAX_GROUP || shared_axes(s.program, &scalar, first) == 0)
            {
                parts.extend(self.group(s.program, &std::mem::take(&mut scalar)));
            }
            scalar.push(first);
            rest = after;
        }
        parts.extend(self.group(s.program, &scalar));
        parts
    }

    /// Scalar loops for consecutive stages that share at least their first axis.
    fn group(&mut self, program: &TensorProgram, run: &[&Stage]) -> Option<Part> {
        let first = run.first()?;
        let depth = shared_depth(program, run).unwrap_or(0);
        shrink(program, run, depth, &mut self.kept);
        let scatters = run.iter().any(|it| it.at.iter().any(|it| it.value().is_some()));
        let mut nodes: Vec<Node> =
            run.iter().map(|it| Node::Stage { stage: (*it).clone(), bound: depth }).collect();
        for level in (0..depth).rev() {
            let vars = run.iter().map(|it| it.axes[level].var).collect();
            let extent = first.axes[level].extent;
            nodes = vec![Node::Loop { extent, vars, body: nodes, independent: !scatters }];
        }
        if run.iter().any(|it| changes_checked(program, it)) && settled(program, run) {
            let checks = run.iter().map(|it| Node::Probe { stage: (*it).clone() }).collect();
            nodes = vec![Node::Guarded { checks, body: nodes }];
        }
        let stages = if run.len() == 1 { "stage" } else { "stages" };
        self.strategy.push(format!("scalar loops ({} {stages}, {depth} shared axes)", run.len()));
        let body = some(program, run, nodes);
        let parallel = match &body[..] {
            [only] => parallel_loop(only),
            _ => Parallel::No,
        };
        Some(Part { body, parallel, statements: run.len(), rate: 1 })
    }
}

/// What the routines of a part are, for reports.
fn note(node: &Node, strategy: &mut Vec<String>) {
    let mut each = |call: &Call| {
        if !call.what.is_empty() {
            strategy.push(call.what.clone());
        }
    };
    node.calls(&mut each);
}

/// Drops the dimensions of locals that only ever hold one iteration of the shared loops.
fn shrink(program: &TensorProgram, run: &[&Stage], depth: usize, kept: &mut IndexMap<BufferId, Vec<bool>>) {
    for (buffer, mask) in kept.iter_mut() {
        let inside = run.iter().map(|it| count(program, &Stmt::Stage((*it).clone()), *buffer)).sum::<usize>();
        let total = program.body.iter().map(|it| count(program, it, *buffer)).sum::<usize>();
        if inside == 0 || inside != total {
            continue;
        }
        for level in 0..depth {
            for dim in own_dims(program, run, level, *buffer) {
                mask[dim] = false;
            }
        }
    }
}
