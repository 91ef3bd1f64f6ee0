//! The domain `ai.onnx.ml`: trees against their written semantics, node by node; what other models compute; and attributes
//! that do not fit together.

mod common;

use common::*;
use orogen_ir::graph::GraphBuilder;
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use orogen_onnx::{Model, Options, import};

const MODES: [&str; 6] = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"];

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn number(&mut self) -> f32 {
        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 0.5, -0.5, 1.0, 2.0][self.below(9) as usize]
    }
}

/// A model of one node with a matrix of f32 as its operand.
fn one(
    op: &str,
    version: i64,
    columns: i64,
    outputs: &[&str],
    attributes: Vec<AttributeProto>,
) -> ModelProto {
    let mut node = node(op, &["x"], outputs, attributes);
    node.domain = "ai.onnx.ml".into();
    let input = value("x", data_type::FLOAT, &[D::S("n"), D::N(columns)]);
    let mut model = model(18, graph(vec![input], vec![], vec![node], outputs));
    model.opset_import.push(OperatorSetIdProto { domain: "ai.onnx.ml".into(), version });
    model
}

fn matrix(columns: u64, list: &[f32]) -> TensorData {
    TensorData::from_slice(DType::F32, &[list.len() as u64 / columns, columns], list)
}

/// Nodes as the attributes of `TreeEnsembleRegressor` have them.
#[derive(Clone, Default)]
struct Nodes {
    trees: Vec<i64>,
    ids: Vec<i64>,
    features: Vec<i64>,
    values: Vec<f32>,
    modes: Vec<&'static str>,
    yes: Vec<i64>,
    no: Vec<i64>,
    missing: Vec<i64>,
    /// Tree, node, target and weight.
    leaves: Vec<(i64, i64, i64, f32)>,
}

impl Nodes {
    fn grow(&mut self, random: &mut Random, tree: i64, next: &mut i64, depth: u64, targets: u64) -> i64 {
        let (id, at) = (*next, self.ids.len());
        *next += 1;
        let leaf = depth == 0 || random.below(4) == 0;
        self.trees.push(tree);
        self.ids.push(id);
        self.features.push(if leaf { 0 } else { random.below(3) as i64 });
        self.values.push(if leaf { 0.0 } else { random.number() });
        self.modes.push(if leaf { "LEAF" } else { MODES[random.below(6) as usize] });
        self.missing.push(random.below(2) as i64);
        self.yes.push(0);
        self.no.push(0);
        if leaf {
            for target in 0..targets {
                self.leaves.push((tree, id, target as i64, random.below(16) as f32 - 8.0));
            }
        } else {
            self.yes[at] = self.grow(random, tree, next, depth - 1, targets);
            self.no[at] = self.grow(random, tree, next, depth - 1, targets);
        }
        id
    }

    fn random(random: &mut Random, trees: i64, targets: u64) -> Nodes {
        let mut nodes = Nodes::default();
        for tree in 0..trees {
            nodes.grow(random, tree, &mut 0, 5, targets);
        }
        nodes
    }

    fn attributes(&self, targets: i64, aggregate: &str) -> Vec<AttributeProto> {
        let leaf = |of: fn(&(i64, i64, i64, f32)) -> i64| self.leaves.iter().map(of).collect::<Vec<i64>>();
        vec![
            ints("nodes_treeids", &self.trees),
            ints("nodes_nodeids", &self.ids),
            ints("nodes_featureids", &self.features),
            floats("nodes_values", &self.values),
            texts("nodes_modes", &self.modes),
            ints("nodes_truenodeids", &self.yes),
            ints("nodes_falsenodeids", &self.no),
            ints("nodes_missing_value_tracks_true", &self.missing),
            ints("target_treeids", &leaf(|it| it.0)),
            ints("target_nodeids", &leaf(|it| it.1)),
            ints("target_ids", &leaf(|it| it.2)),
            floats("target_weights", &self.leaves.iter().map(|it| it.3).collect::<Vec<_>>()),
            int("n_targets", targets),
            text("aggregate_function", aggregate),
        ]
    }

    /// The weights of the leaf that a row reaches in a tree.
    fn weights(&self, tree: i64, row: &[f32]) -> Vec<f32> {
        let place = |id: i64| {
            (0..self.ids.len()).find(|i| (self.trees[*i], self.ids[*i]) == (tree, id)).expect("a node")
        };
        let mut at = place(0);
        while self.modes[at] != "LEAF" {
            let (x, t) = (row[self.features[at] as usize], self.values[at]);
            let passes = match self.modes[at] {
                "BRANCH_LEQ" => x <= t,
                "BRANCH_LT" => x < t,
                "BRANCH_GTE" => x >= t,
                "BRANCH_GT" => x > t,
                "BRANCH_EQ" => x == t,
                _ => x != t,
            };
            let passes = passes || x.is_nan() && self.missing[at] == 1;
            at = place(if passes { self.yes[at] } else { self.no[at] });
        }
        let own = self.leaves.iter().filter(|it| (it.0, it.1) == (tree, self.ids[at]));
        own.map(|it| it.3).collect()
    }
}

#[test]
fn trees_of_every_mode_follow_their_semantics() {
    let mut random = Random(5);
    for (turn, aggregate) in ["SUM", "AVERAGE", "MIN", "MAX"].into_iter().cycle().take(24).enumerate() {
        let (trees, targets) = (1 + random.below(6) as i64, 1 + turn as u64 % 3);
        let nodes = Nodes::random(&mut random, trees, targets);
        let rows: Vec<f32> = (0..3 * 40).map(|_| random.number()).collect();
        let proto = one("TreeEnsembleRegressor", 3, 3, &["y"], nodes.attributes(targets as i64, aggregate));
        let found = eval(proto, &[matrix(3, &rows)]).unwrap_or_else(|it| panic!("{it}"))[0].to_f64();
        for (row, found) in rows.chunks(3).zip(found.chunks(targets as usize)) {
            let said: Vec<Vec<f32>> = (0..trees).map(|tree| nodes.weights(tree, row)).collect();
            for (target, found) in found.iter().enumerate() {
                let own = said.iter().map(|it| it[target]);
                let wanted = match aggregate {
                    "SUM" => own.sum(),
                    "AVERAGE" => own.sum::<f32>() / trees as f32,
                    "MIN" => own.fold(f32::INFINITY, f32::min),
                    _ => own.fold(f32::NEG_INFINITY, f32::max),
                };
                assert!((found - f64::from(wanted)).abs() < 1e-5, "{aggregate} {row:?}: {found} {wanted}");
            }
        }
    }
}

/// A branch with two leaves, whose nodes are changed.
fn small() -> Nodes {
    Nodes {
        trees: vec![0; 3],
        ids: vec![0, 1, 2],
        features: vec![1, 0, 0],
        values: vec![0.5, 0.0, 0.0],
        modes: vec!["BRANCH_LEQ", "LEAF", "LEAF"],
        yes: vec![1, 0, 0],
        no: vec![2, 0, 0],
        missing: vec![0; 3],
        leaves: vec![(0, 1, 0, 1.0), (0, 2, 0, 2.0)],
    }
}

/// What is wrong, what it does to the nodes, and what the message says.
type Fault = (fn(&mut Nodes), &'static str);

#[test]
fn nodes_that_do_not_fit_together_are_named() {
    let x = matrix(2, &[0.0, 0.0]);
    let refused = |nodes: &Nodes, text: &str| {
        let error = eval(
            one("TreeEnsembleRegressor", 3, 2, &["y"], nodes.attributes(1, "SUM")),
            std::slice::from_ref(&x),
        )
        .expect_err(text);
        assert!(error.contains(text), "`{text}` is not in: {error}");
    };
    let faults: [Fault; 13] = [
        (|it| it.yes[0] = 0, "no root leads to node 0"),
        (|it| it.yes[0] = 7, "tree 0 has no node 7"),
        (|it| it.features[0] = 2, "feature 2 of 2"),
        (|it| it.features[0] = -1, "-1 is no feature"),
        (|it| it.ids[2] = 1, "node 1 of tree 0 is there twice"),
        (|it| it.modes[0] = "BRANCH_NEAR", "the mode `BRANCH_NEAR`"),
        (|it| it.leaves[0].2 = 1, "target 1 of 1"),
        (|it| it.leaves[0].1 = 9, "tree 0 has no node 9"),
        (|it| it.values.truncate(2), "`nodes_values` has 2 entries, not 3"),
        (|it| it.modes.truncate(1), "`nodes_modes` has 1 entries, not 3"),
        (|it| it.missing.truncate(2), "`nodes_missing_value_tracks_true` has 2 entries, not 3"),
        (|it| it.no.truncate(0), "`nodes_falsenodeids` has 0 entries, not 3"),
        (|it| *it = Nodes::default(), "there are no trees"),
    ];
    for (fault, text) in faults {
        let mut nodes = small();
        fault(&mut nodes);
        refused(&nodes, text);
    }
    // A node that leads back to one before, behind a root.
    let mut nodes = small();
    nodes.modes = vec!["BRANCH_LEQ"; 3];
    (nodes.yes, nodes.no) = (vec![1, 2, 1], vec![2, 1, 2]);
    refused(&nodes, "leads back to itself");
}

/// `y = f(x)` of a tree without leaves of its own: both ways lead to one leaf or to others.
fn by_place(modes: &[u8], splits: &[f32], ways: [&[i64]; 4], members: &[f32]) -> ModelProto {
    let tensor = |data: TensorProto| tensor_attr(&data.name.clone(), data);
    let modes = TensorProto {
        name: "nodes_modes".into(),
        dims: vec![modes.len() as i64],
        data_type: data_type::UINT8,
        raw_data: Some(modes.to_vec().into()),
        ..TensorProto::default()
    };
    let count = splits.len() as i64;
    let mut attributes = vec![
        ints("tree_roots", &[0]),
        tensor(modes),
        tensor(f32_tensor("nodes_splits", &[count], splits)),
        ints("nodes_featureids", &vec![0; splits.len()]),
        ints("nodes_truenodeids", ways[0]),
        ints("nodes_trueleafs", ways[1]),
        ints("nodes_falsenodeids", ways[2]),
        ints("nodes_falseleafs", ways[3]),
        ints("leaf_targetids", &[0, 0, 0]),
        tensor(f32_tensor("leaf_weights", &[3], &[1.0, 10.0, 100.0])),
    ];
    if !members.is_empty() {
        attributes.push(tensor(f32_tensor("membership_values", &[members.len() as i64], members)));
    }
    one("TreeEnsemble", 5, 1, &["y"], attributes)
}

#[test]
fn sets_of_members_are_found_whatever_lies_between() {
    let next = f32::from_bits(3.0f32.to_bits() + 1);
    let members = [-2.0, 3.0, next, f32::INFINITY, f32::NAN, 7.0, f32::NAN];
    // One of the first set: leaf 0; else one of the second: leaf 1, else 2.
    let proto = by_place(&[6, 6], &[0.0, 0.0], [&[0, 1], &[1, 1], &[1, 2], &[0, 1]], &members);
    let rows = [-2.0, -1.9, 3.0, next, 3.1, 7.0, f32::INFINITY, f32::NAN, f32::NEG_INFINITY];
    let found = eval(proto, &[matrix(1, &rows)]).unwrap()[0].to_f64();
    assert_eq!(found, [1.0, 100.0, 1.0, 1.0, 100.0, 10.0, 1.0, 100.0, 100.0]);
}

/// As LightGBM writes categories: a chain of tests whose hits lead to one node.
#[test]
fn several_nodes_lead_to_one() {
    let ways: [&[i64]; 4] = [&[2, 2, 0], &[0, 0, 1], &[1, 1, 2], &[0, 1, 1]];
    let found = eval(by_place(&[4, 4, 0], &[3.0, 5.0, 4.0], ways, &[]), &[matrix(1, &[3.0, 5.0, 4.0])]);
    assert_eq!(found.unwrap()[0].to_f64(), [1.0, 100.0, 10.0]);
}

#[test]
fn places_that_are_not_there_are_named() {
    let x = matrix(1, &[0.0]);
    let refused = |proto: ModelProto, text: &str| {
        let error = eval(proto, std::slice::from_ref(&x)).expect_err(text);
        assert!(error.contains(text), "`{text}` is not in: {error}");
    };
    let leaf: &[i64] = &[1];
    refused(by_place(&[0], &[0.0], [&[3], leaf, &[1], leaf], &[]), "leaf 3 of 3");
    refused(by_place(&[0], &[0.0], [&[-1], leaf, &[1], leaf], &[]), "-1 is no node");
    refused(by_place(&[0], &[0.0], [&[0], &[0], &[1], leaf], &[]), "node 0 leads back to itself");
    refused(by_place(&[0], &[0.0], [&[5], &[0], &[1], leaf], &[]), "node 5, which is not there");
    refused(by_place(&[9], &[0.0], [&[0], leaf, &[1], leaf], &[]), "the mode 9");
    refused(by_place(&[6], &[0.0], [&[0], leaf, &[1], leaf], &[]), "too few sets");
    refused(by_place(&[0, 0], &[0.0], [&[0], leaf, &[1], leaf], &[]), "`nodes_modes` has 2 entries, not 1");
}

/// Exporters of decision paths repeat the weight of a leaf for each class.
#[test]
fn of_several_weights_for_the_only_target_the_first_counts() {
    let mut nodes = small();
    let again: Vec<_> = nodes.leaves.iter().map(|it| (it.0, it.1, it.2, it.3 + 1.0)).collect();
    let x = matrix(2, &[0.0, 0.0, 0.0, 1.0, 5.0, -5.0]);
    let run = |nodes: &Nodes, targets| {
        let proto = one("TreeEnsembleRegressor", 3, 2, &["y"], nodes.attributes(targets, "SUM"));
        eval(proto, std::slice::from_ref(&x)).unwrap()[0].to_f64()
    };
    let (before, of_two) = (run(&nodes, 1), run(&nodes, 2));
    nodes.leaves.extend(again);
    assert_eq!(run(&nodes, 1), before);
    // With several targets they add up, here to twice the weight and one.
    let twice = of_two.chunks(2).flat_map(|it| [2.0 * it[0] + 1.0, it[1]]).collect::<Vec<f64>>();
    assert_eq!(run(&nodes, 2), twice);
}

#[test]
fn a_single_score_is_that_of_the_second_class() {
    let mut attributes = small().attributes(1, "SUM");
    attributes.retain(|it| !["n_targets", "aggregate_function"].contains(&it.name.as_str()));
    for attribute in &mut attributes {
        attribute.name = attribute.name.replace("target_", "class_");
    }
    let weights = attributes.iter().position(|it| it.name == "class_weights").expect("weights");
    attributes.push(texts("classlabels_strings", &["no", "yes"]));
    for (list, words, scores) in [
        ([0.25, 0.75], ["no", "yes"], [0.75, 0.25, 0.25, 0.75]),
        ([-1.0, 2.0], ["no", "yes"], [1.0, -1.0, -2.0, 2.0]),
    ] {
        attributes[weights] = floats("class_weights", &list);
        let proto = one("TreeEnsembleClassifier", 3, 2, &["label", "scores"], attributes.clone());
        let found = eval(proto, &[matrix(2, &[0.0, 0.0, 0.0, 1.0])]).unwrap();
        assert_eq!([found[0].text(0), found[0].text(1)], words);
        assert_eq!(found[1].to_f64(), scores);
    }
}

/// Which attributes of which operators, and what is said of them.
#[test]
fn lists_of_the_wrong_length_are_named() {
    let cases: Vec<(&str, Vec<AttributeProto>, &str)> = vec![
        (
            "Scaler",
            vec![floats("offset", &[1.0; 3]), floats("scale", &[1.0])],
            "`offset` has 3 numbers, for 2 columns",
        ),
        ("Scaler", vec![floats("offset", &[1.0])], "`scale` has no numbers"),
        ("Imputer", vec![], "`imputed_value_floats` has no numbers"),
        ("Normalizer", vec![text("norm", "L3")], "`norm` is no `L3`"),
        ("OneHotEncoder", vec![], "no categories"),
        ("FeatureVectorizer", vec![ints("inputdimensions", &[1, 2])], "a size for each operand"),
        ("LinearRegressor", vec![floats("coefficients", &[1.0; 3]), int("targets", 2)], "are no 2 rows"),
        ("LinearRegressor", vec![floats("coefficients", &[1.0; 3])], "3"),
        ("LinearRegressor", vec![int("targets", -1)], "are no 0 rows"),
        ("LinearRegressor", vec![text("post_transform", "ODD")], "`post_transform` is no `ODD`"),
        ("SVMRegressor", vec![floats("coefficients", &[1.0; 2])], "`rho` has no number"),
        (
            "SVMRegressor",
            vec![floats("rho", &[0.0]), int("n_supports", 3), floats("support_vectors", &[1.0; 4])],
            "4 numbers are no 3 vectors",
        ),
        ("SVMRegressor", vec![text("kernel_type", "ODD")], "`kernel_type` is no `ODD`"),
        ("SVMRegressor", vec![floats("kernel_params", &[1.0])], "`kernel_params` must have 3"),
    ];
    for (op, attributes, text) in cases {
        let error = eval(one(op, 1, 2, &["y"], attributes), &[matrix(2, &[0.0, 0.0])]).expect_err(op);
        assert!(error.contains(text), "{op}: `{text}` is not in: {error}");
    }
    // How many columns there are may be known only at run time.
    let offsets = vec![floats("offset", &[1.0; 3]), floats("scale", &[1.0])];
    for (op, attributes) in
        [("Scaler", offsets), ("Imputer", vec![floats("imputed_value_floats", &[1.0; 3])])]
    {
        let mut open = one(op, 1, 2, &["y"], attributes);
        open.graph.as_mut().expect("a graph").input =
            vec![value("x", data_type::FLOAT, &[D::S("n"), D::S("c")])];
        for columns in [1, 2] {
            let error = eval(open.clone(), &[matrix(columns, &[0.0, 0.0])]).expect_err(op);
            assert!(error.contains("how many columns operand 0 has"), "{op}: {error}");
        }
        assert_eq!(eval(open, &[matrix(3, &[0.0; 3])]).expect(op)[0].dims(), [1, 3]);
    }
    let labels = || ints("classlabels_ints", &[1, 2, 3]);
    let cases: Vec<(&str, Vec<AttributeProto>, &str)> = vec![
        ("LinearClassifier", vec![floats("coefficients", &[1.0; 6])], "neither `classlabels_strings` nor"),
        ("LinearClassifier", vec![floats("coefficients", &[1.0; 5]), labels()], "are no 3 rows"),
        ("SVMClassifier", vec![labels(), ints("vectors_per_class", &[1, 1])], "2 numbers for 3 labels"),
        (
            "SVMClassifier",
            vec![labels(), ints("vectors_per_class", &[1, -1, 1])],
            "`vectors_per_class` has a -1",
        ),
        ("SVMClassifier", vec![labels(), ints("vectors_per_class", &[1, 1, 1])], "for 2 rows of 3"),
        (
            "SVMClassifier",
            vec![labels(), ints("vectors_per_class", &[1, 1, 1]), floats("coefficients", &[1.0; 6])],
            "`rho` has 0 numbers for 3 pairs",
        ),
    ];
    for (op, attributes, text) in cases {
        let proto = one(op, 1, 2, &["label", "scores"], attributes);
        let error = eval(proto, &[matrix(2, &[0.0, 0.0])]).expect_err(op);
        assert!(error.contains(text), "{op}: `{text}` is not in: {error}");
    }
}

#[test]
fn the_static_graph_holds_trees_too() {
    let ops = OpRegistry::standard();
    let proto = one("TreeEnsembleRegressor", 3, 2, &["y"], small().attributes(1, "SUM"));
    let model = Model::from_proto(proto).unwrap();
    let mut sink = GraphBuilder::new(&ops, "test");
    import(&model, &Options::default().with_dim("n", 2), &mut sink).unwrap();
    let graph = sink.finish().unwrap();
    let x = matrix(2, &[0.0, 0.0, 0.0, f32::NAN]);
    assert_eq!(orogen_reference::eval_graph(&ops, &graph, &[x]).unwrap()[0].to_f64(), [1.0, 2.0]);
}
