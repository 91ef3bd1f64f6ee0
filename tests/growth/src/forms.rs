//! The forms, each a model of any size.

use crate::nodes::{floats, int, integers, model, named, node, subgraph, value};
use orogen_onnx::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, data_type};

/// A form that models of any number of nodes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Functions of one operand, one after the other: all fuse.
    Chain,
    /// Additions of constants, one after the other.
    Constants,
    /// No shape comes twice, no kernel is like another.
    Shapes,
    /// The same with a dimension that is known at run time alone.
    DynamicShapes,
    /// Rows that are normalised one after the other: kernels that do not fuse for ever.
    Rows,
    /// One concatenation of all.
    Concat,
    /// One sum of all.
    Sum,
    /// A binary tree whose leaves are alive together.
    Tree,
    /// As many inputs as nodes.
    Inputs,
    /// As many outputs as nodes.
    Outputs,
    /// Branches one after the other.
    Ifs,
    /// Branches inside branches, eight deep.
    NestedIfs,
    /// Branches one after the other that return values of different ranks, of which one fits what follows.
    RankIfs,
    /// Loops inside loops, four deep.
    NestedLoops,
}

/// Levels of nested branches: both sides of each hold one nest less.
const IF_DEPTH: usize = 8;
/// Levels of nested loops.
const LOOP_DEPTH: usize = 4;

/// A model under construction.
#[derive(Default)]
struct Builder {
    graph: GraphProto,
    last: usize,
}

impl Builder {
    /// The input `x: f32[8, 64]`, or with another first dimension.
    fn new(rows: &str) -> Self {
        let mut builder = Builder::default();
        builder.graph.name = "g".to_owned();
        builder.graph.input.push(value("x", data_type::FLOAT, &[rows, "64"]));
        builder
    }

    fn emit(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: Vec<orogen_onnx::proto::AttributeProto>,
    ) -> String {
        self.last += 1;
        let name = format!("v{}", self.last);
        self.graph.node.push(node(op, inputs, &name, attributes));
        name
    }

    fn constant(&mut self, tensor: TensorProto) -> String {
        let name = tensor.name.clone();
        self.graph.initializer.push(tensor);
        name
    }

    fn input(&mut self, input: ValueInfoProto) -> String {
        let name = input.name.clone();
        self.graph.input.push(input);
        name
    }

    fn finish(mut self, output: &str) -> ModelProto {
        self.graph.output.push(named(output));
        model(self.graph)
    }
}

/// A function that is not the one before.
fn function(i: usize) -> &'static str {
    ["Relu", "Tanh", "Abs", "Sigmoid"][i % 4]
}

impl Form {
    /// All forms.
    pub const ALL: [Form; 14] = [
        Form::Chain,
        Form::Constants,
        Form::Shapes,
        Form::DynamicShapes,
        Form::Rows,
        Form::Concat,
        Form::Sum,
        Form::Tree,
        Form::Inputs,
        Form::Outputs,
        Form::Ifs,
        Form::NestedIfs,
        Form::RankIfs,
        Form::NestedLoops,
    ];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Form::Chain => "chain",
            Form::Constants => "constants",
            Form::Shapes => "shapes",
            Form::DynamicShapes => "dynamic-shapes",
            Form::Rows => "rows",
            Form::Concat => "concat",
            Form::Sum => "sum",
            Form::Tree => "tree",
            Form::Inputs => "inputs",
            Form::Outputs => "outputs",
            Form::Ifs => "ifs",
            Form::NestedIfs => "nested-ifs",
            Form::RankIfs => "rank-ifs",
            Form::NestedLoops => "nested-loops",
        }
    }

    /// The form of that name.
    pub fn from_name(name: &str) -> Option<Form> {
        Form::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Whether the legacy path can hold it: static and without control flow.
    pub fn is_static(self) -> bool {
        !matches!(self, Form::DynamicShapes | Form::Ifs | Form::NestedIfs | Form::RankIfs | Form::NestedLoops)
    }

    /// A model of about `n` nodes.
    pub(crate) fn proto(self, n: usize) -> ModelProto {
        match self {
            Form::Chain => chain(n),
            Form::Constants => constants(n),
            Form::Shapes => shapes(n, "8"),
            Form::DynamicShapes => shapes(n, "n"),
            Form::Rows => rows(n),
            Form::Concat => joined(n, "Concat"),
            Form::Sum => joined(n, "Sum"),
            Form::Tree => tree(n),
            Form::Inputs => inputs(n),
            Form::Outputs => outputs(n),
            Form::Ifs => ifs(n),
            Form::NestedIfs => nested_ifs(n),
            Form::RankIfs => rank_ifs(n),
            Form::NestedLoops => nested_loops(n),
        }
    }
}

fn chain(n: usize) -> ModelProto {
    let mut b = Builder::new("8");
    let y = (0..n).fold("x".to_owned(), |at, i| b.emit(function(i), &[&at], Vec::new()));
    b.finish(&y)
}

fn constants(n: usize) -> ModelProto {
    let mut b = Builder::new("8");
    let mut at = "x".to_owned();
    for i in 0..n {
        let c = b.constant(floats(&format!("c{i}"), &[64], vec![(i % 7) as f32; 64]));
        at = b.emit("Add", &[&at, &c], Vec::new());
    }
    b.finish(&at)
}

fn shapes(n: usize, rows: &str) -> ModelProto {
    let mut b = Builder::new(rows);
    let pads = b.constant(integers("pads", &[4], vec![0, 0, 0, 1]));
    let mut at = "x".to_owned();
    for _ in 0..n / 2 {
        let wider = b.emit("Pad", &[&at, &pads], Vec::new());
        at = b.emit("Softmax", &[&wider], vec![int("axis", -1)]);
    }
    b.finish(&at)
}

fn rows(n: usize) -> ModelProto {
    let mut b = Builder::new("8");
    let y = (0..n).fold("x".to_owned(), |at, _| b.emit("Softmax", &[&at], vec![int("axis", -1)]));
    b.finish(&y)
}

fn joined(n: usize, op: &str) -> ModelProto {
    let mut b = Builder::new("8");
    let parts: Vec<String> = (0..n - 1).map(|i| b.emit(function(i), &["x"], Vec::new())).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let attributes = if op == "Concat" { vec![int("axis", 0)] } else { Vec::new() };
    let y = b.emit(op, &parts, attributes);
    b.finish(&y)
}

fn tree(n: usize) -> ModelProto {
    let mut b = Builder::new("8");
    let mut level: Vec<String> = Vec::new();
    for i in 0..n / 3 {
        let c = b.constant(floats(&format!("c{i}"), &[64], vec![i as f32 / 7.0; 64]));
        let sum = b.emit("Add", &["x", &c], Vec::new());
        level.push(b.emit("Softmax", &[&sum], vec![int("axis", -1)]));
    }
    while level.len() > 1 {
        let pairs = level.chunks(2);
        level = pairs
            .map(|pair| match pair {
                [left, right] => b.emit("Add", &[left, right], Vec::new()),
                _ => pair[0].clone(),
            })
            .collect();
    }
    b.finish(&level[0])
}

fn inputs(n: usize) -> ModelProto {
    let mut b = Builder::new("8");
    let mut at = "x".to_owned();
    for i in 0..n {
        let other = b.input(value(&format!("x{i}"), data_type::FLOAT, &["8", "64"]));
        at = b.emit("Add", &[&at, &other], Vec::new());
    }
    b.finish(&at)
}

fn outputs(n: usize) -> ModelProto {
    let mut b = Builder::new("8");
    let mut at = "x".to_owned();
    for i in 0..n {
        at = b.emit(function(i), &[&at], Vec::new());
        b.graph.output.push(named(&at));
    }
    model(b.graph)
}

/// A graph without inputs that computes one value.
fn branch(nodes: Vec<NodeProto>, output: &str) -> GraphProto {
    GraphProto { name: "b".to_owned(), node: nodes, output: vec![named(output)], ..GraphProto::default() }
}

fn ifs(n: usize) -> ModelProto {
    let mut b = Builder::new("8");
    let c = b.input(value("c", data_type::BOOL, &[]));
    let mut at = "x".to_owned();
    for i in 0..n / 3 {
        let sides = [("then_branch", i), ("else_branch", i + 1)].map(|(name, op)| {
            let result = format!("r{i}_{op}");
            subgraph(name, branch(vec![node(function(op), &[&at], &result, Vec::new())], &result))
        });
        at = b.emit("If", &[&c], sides.into());
    }
    b.finish(&at)
}

/// A branch on `c` whose `then` side holds another one.
fn nest(depth: usize, number: usize, at: &str) -> NodeProto {
    let name = |side: &str| format!("r{number}_{depth}{side}");
    let (yes, no) = (name("a"), name("b"));
    let inner = match depth {
        0 => node(function(number), &[at], &yes, Vec::new()),
        _ => {
            let mut inner = nest(depth - 1, number, at);
            inner.output = vec![yes.clone()];
            inner
        }
    };
    let other = node(function(depth + 1), &[at], &no, Vec::new());
    let sides = vec![
        subgraph("then_branch", branch(vec![inner], &yes)),
        subgraph("else_branch", branch(vec![other], &no)),
    ];
    node("If", &["c"], "", sides)
}

fn nested_ifs(n: usize) -> ModelProto {
    let mut b = Builder::new("8");
    b.input(value("c", data_type::BOOL, &[]));
    let mut at = "x".to_owned();
    for i in 0..n / (2 * IF_DEPTH) {
        let mut outermost = nest(IF_DEPTH - 1, i, &at);
        at = format!("w{i}");
        outermost.output = vec![at.clone()];
        b.graph.node.push(outermost);
    }
    b.finish(&at)
}

fn rank_ifs(n: usize) -> ModelProto {
    let mut b = Builder::new("8");
    let c = b.input(value("c", data_type::BOOL, &[]));
    let axes = b.constant(integers("axes", &[1], vec![0]));
    let w = b.constant(floats("w", &[64, 64], vec![0.01; 64 * 64]));
    let mut at = "x".to_owned();
    for i in 0..n / 4 {
        let (yes, no) = (format!("r{i}a"), format!("r{i}b"));
        let wider = node("Unsqueeze", &[&at, &axes], &yes, Vec::new());
        let same = node("Identity", &[&at], &no, Vec::new());
        let sides = vec![
            subgraph("then_branch", branch(vec![wider], &yes)),
            subgraph("else_branch", branch(vec![same], &no)),
        ];
        let either = b.emit("If", &[&c], sides);
        // Takes matrices alone.
        at = b.emit("Gemm", &[&either, &w], Vec::new());
    }
    b.finish(&at)
}

/// The body of a loop that holds a loop.
fn loop_body(depth: usize, number: usize) -> GraphProto {
    let name = |what: &str| format!("{what}{number}_{depth}");
    let (turn, go, carried) = (name("i"), name("g"), name("a"));
    let (next, on) = (name("n"), name("o"));
    let step = match depth {
        0 => node(function(number), &[&carried], &next, Vec::new()),
        _ => node(
            "Loop",
            &["turns", "", &carried],
            &next,
            vec![subgraph("body", loop_body(depth - 1, number))],
        ),
    };
    let keep = node("Identity", &[&go], &on, Vec::new());
    GraphProto {
        name: "l".to_owned(),
        node: vec![step, keep],
        input: vec![
            value(&turn, data_type::INT64, &[]),
            value(&go, data_type::BOOL, &[]),
            value(&carried, data_type::FLOAT, &["8", "64"]),
        ],
        output: vec![named(&on), named(&next)],
        ..GraphProto::default()
    }
}

fn nested_loops(n: usize) -> ModelProto {
    let mut b = Builder::new("8");
    b.input(value("turns", data_type::INT64, &[]));
    let mut at = "x".to_owned();
    for i in 0..n / (2 * LOOP_DEPTH) {
        let body = subgraph("body", loop_body(LOOP_DEPTH - 1, i));
        at = b.emit("Loop", &["turns", "", &at], vec![body]);
    }
    b.finish(&at)
}
