//! The loop structure of a kernel.
//!
//! Consecutive stages that share leading axes run inside one loop over them, so that what one stage makes is used
//! while it is in the cache, and a local buffer needs room for one iteration only.

use indexmap::IndexMap;
use orogen_ir::loops::{BufferId, BufferRole, Stage, Stmt, TensorProgram};
use orogen_ir::shape::{Dim, ShapeCx};

use super::columns::columns;
use super::contraction::matrix_product;
use super::convolution::{convolution, pooling};
use super::forms::ParamForm;
use super::routine::Routines;
use super::rows::rows;
use super::scans::{self, scan};
use super::selector::{Match, Selector};
use super::stages::{count, own_dims, shared_axes, shared_depth};
use super::strips::{packed, strips};
use super::tiles::tiles;
use super::tree::{Node, Parallel};
use crate::vector::Isa;

/// The most stages that share scalar loops: whether one more fits is asked of all of them. What is made and used
/// further apart than that is no longer in the nearest cache anyway.
const MAX_GROUP: usize = 16;

/// How a kernel runs.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// The parts in order.
    pub(crate) body: Vec<Node>,
    /// How it is divided.
    pub(crate) parallel: Parallel,
    /// For each local buffer in memory, which of its dimensions are stored; the others hold one iteration at a time.
    pub(crate) kept: IndexMap<BufferId, Vec<bool>>,
    /// Where all dimensions live: the program's context and what was added.
    pub(crate) shapes: ShapeCx,
    /// How routines want the parameters, by place.
    pub(crate) forms: Vec<ParamForm>,
    /// Routines that are called.
    pub(crate) routines: Routines,
    /// Bytes of workspace of each call; they never run at the same time.
    pub(crate) workspaces: Vec<Dim>,
    /// What was chosen, a line for each part.
    pub(crate) strategy: Vec<String>,
}

/// Chooses the loop structure of a program and the routines that it calls. `constant` says which parameters are
/// always constants.
pub(crate) fn schedule(program: &TensorProgram, isa: Isa, constant: &[bool]) -> Schedule {
    // A constant has one form. Where its loads want different ones, it stays as it is, and all is chosen again.
    let mut constant = constant.to_vec();
    loop {
        match attempt(program, isa, &constant) {
            Ok(schedule) => return schedule,
            Err(disputed) => constant[disputed] = false,
        }
    }
}

/// A schedule, or the place of a constant that cannot have a form of its own.
fn attempt(program: &TensorProgram, isa: Isa, constant: &[bool]) -> Result<Schedule, usize> {
    let mut kept = IndexMap::new();
    for (id, buffer) in program.buffers.iter() {
        if buffer.role == BufferRole::Local {
            kept.insert(id, vec![true; buffer.dims.len()]);
        }
    }
    let mut selector = Selector::new(program, isa, constant);
    let mut chooser = Chooser { kept, strategy: Vec::new(), workspaces: Vec::new() };
    let whole: Option<Vec<&Stage>> = program
        .body
        .iter()
        .map(|it| match it {
            Stmt::Stage(stage) => Some(stage),
            Stmt::For { .. } => None,
        })
        .collect();
    if let Some(run) = whole.filter(|it| !it.is_empty()) {
        selector.ranged = true;
        if let Some(found) = chooser.choose(&mut selector, &run).filter(|it| it.stages == run.len()) {
            let parallel = match (found.units, &found.node) {
                (Some(units), _) => Parallel::Range { units, begin: selector.begin, end: selector.end },
                (None, node) => parallel_loop(node),
            };
            let node = some(program, &run, vec![found.node]);
            return chooser.finish(selector, node, parallel);
        }
        let fresh = Selector::new(program, selector.isa, constant);
        selector = fresh;
        chooser.strategy.clear();
        chooser.workspaces.clear();
    }
    if program.body.len() == scans::STATEMENTS {
        selector.ranged = true;
        if let Some(found) = chooser.scan(&mut selector, &program.body) {
            let parallel = match found.units {
                Some(units) => Parallel::Range { units, begin: selector.begin, end: selector.end },
                None => parallel_loop(&found.node),
            };
            return chooser.finish(selector, vec![found.node], parallel);
        }
        selector.ranged = false;
    }
    let body = chooser.statements(&mut selector, &program.body);
    let parallel = match &body[..] {
        [only] => parallel_loop(only),
        _ => Parallel::No,
    };
    chooser.finish(selector, body, parallel)
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

struct Chooser {
    kept: IndexMap<BufferId, Vec<bool>>,
    strategy: Vec<String>,
    workspaces: Vec<Dim>,
}

impl Chooser {
    fn finish(
        mut self,
        selector: Selector<'_>,
        body: Vec<Node>,
        parallel: Parallel,
    ) -> Result<Schedule, usize> {
        if let Some(disputed) = selector.disputed() {
            return Err(disputed);
        }
        // What lives inside routines needs no memory of its own.
        self.kept.retain(|buffer, _| body.iter().any(|node| node.touches(selector.program, *buffer)));
        Ok(Schedule {
            body,
            parallel,
            kept: self.kept,
            shapes: selector.shapes,
            forms: selector.forms,
            routines: selector.routines,
            workspaces: self.workspaces,
            strategy: self.strategy,
        })
    }

    /// A routine for the first stages of a run.
    fn choose(&mut self, s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
        let found = convolution(s, run)
            .or_else(|| matrix_product(s, run))
            .or_else(|| packed(s, run))
            .or_else(|| rows(s, run))
            .or_else(|| pooling(s, run))
            .or_else(|| columns(s, run))
            .or_else(|| tiles(s, run))
            .or_else(|| strips(s, run))?;
        note(&found.node, &mut self.strategy, &mut self.workspaces);
        Some(found)
    }

    /// A routine for the first statements of some that are a scan.
    fn scan(&mut self, s: &mut Selector<'_>, body: &[Stmt]) -> Option<Match> {
        let found = scan(s, body)?;
        note(&found.node, &mut self.strategy, &mut self.workspaces);
        Some(found)
    }

    fn statements(&mut self, s: &mut Selector<'_>, body: &[Stmt]) -> Vec<Node> {
        let mut nodes = Vec::new();
        let mut run: Vec<&Stage> = Vec::new();
        let mut rest = body;
        while let Some((statement, after)) = rest.split_first() {
            if let Some(found) = self.scan(s, rest) {
                nodes.extend(self.run(s, &std::mem::take(&mut run)));
                nodes.push(found.node);
                rest = &rest[found.stages..];
                continue;
            }
            rest = after;
            match statement {
                Stmt::Stage(stage) => run.push(stage),
                Stmt::For { axis, body } => {
                    nodes.extend(self.run(s, &std::mem::take(&mut run)));
                    let body = self.statements(s, body);
                    nodes.push(Node::Loop {
                        extent: axis.extent,
                        vars: vec![axis.var],
                        body,
                        independent: false,
                    });
                }
            }
        }
        nodes.extend(self.run(s, &run));
        nodes
    }

    /// Consecutive stages.
    fn run(&mut self, s: &mut Selector<'_>, run: &[&Stage]) -> Vec<Node> {
        let mut nodes = Vec::new();
        let mut rest = run;
        let mut scalar: Vec<&Stage> = Vec::new();
        while let Some((first, after)) = rest.split_first() {
            if let Some(found) = self.choose(s, rest) {
                nodes.extend(self.group(s.program, &std::mem::take(&mut scalar)));
                nodes.extend(some(s.program, &rest[..found.stages], vec![found.node]));
                rest = &rest[found.stages..];
                continue;
            }
            if !scalar.is_empty()
                && (scalar.len() == MAX_GROUP || shared_axes(s.program, &scalar, first) == 0)
            {
                nodes.extend(self.group(s.program, &std::mem::take(&mut scalar)));
            }
            scalar.push(first);
            rest = after;
        }
        nodes.extend(self.group(s.program, &scalar));
        nodes
    }

    /// Scalar loops for consecutive stages that share at least their first axis.
    fn group(&mut self, program: &TensorProgram, run: &[&Stage]) -> Vec<Node> {
        let Some(first) = run.first() else { return Vec::new() };
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
        let stages = if run.len() == 1 { "stage" } else { "stages" };
        self.strategy.push(format!("scalar loops ({} {stages}, {depth} shared axes)", run.len()));
        some(program, run, nodes)
    }
}

fn note(node: &Node, strategy: &mut Vec<String>, workspaces: &mut Vec<Dim>) {
    match node {
        Node::Loop { body, .. } | Node::Some { body, .. } | Node::Checked { body, .. } => {
            body.iter().for_each(|it| note(it, strategy, workspaces));
        }
        Node::Stage { .. } => {}
        Node::Call(call) => {
            if !call.what.is_empty() {
                strategy.push(call.what.clone());
            }
            workspaces.push(call.workspace);
        }
    }
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
