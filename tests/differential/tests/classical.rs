//! Classical models, the domain `ai.onnx.ml`: the reference against generated code, on both paths.

mod protos;
mod single;

use anyhow::Result;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::AttributeProto;
use orogen_onnx::proto::attribute::floats;
use protos::{int, ints, texts};
use single::{check_outputs, given, numbers, text};

/// Small whole numbers of both signs.
fn list(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + 11) % 7) as f32 - 3.0).collect()
}

/// Trees of every mode: `columns` features, leaves at several depths with a weight for each target.
fn trees(count: i64, depth: u32, columns: i64, targets: i64) -> Vec<AttributeProto> {
    const MODES: [&str; 6] =
        ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"];
    let nodes = (1i64 << (depth + 1)) - 1;
    let (mut tree_ids, mut ids, mut features, mut values) = (vec![], vec![], vec![], vec![]);
    let (mut modes, mut yes, mut no, mut missing) = (vec![], vec![], vec![], vec![]);
    let mut leaves: [Vec<i64>; 3] = Default::default();
    let mut weights = vec![];
    for tree in 0..count {
        let mut there = vec![true];
        for node in 0..nodes {
            let number = tree * 31 + node * 7;
            let is_there = there[node as usize];
            let leaf = 2 * node + 2 >= nodes || (node > 0 && number % 5 == 0);
            there.resize((2 * node + 3) as usize, false);
            if !is_there {
                continue;
            }
            if !leaf {
                (there[(2 * node + 1) as usize], there[(2 * node + 2) as usize]) = (true, true);
            }
            tree_ids.push(tree);
            ids.push(node);
            features.push(number % columns);
            values.push((number % 7) as f32 - 3.0);
            modes.push(if leaf { "LEAF" } else { MODES[(number % 6) as usize] });
            yes.push(if leaf { 0 } else { 2 * node + 1 });
            no.push(if leaf { 0 } else { 2 * node + 2 });
            missing.push(number % 2);
            for target in 0..if leaf { targets } else { 0 } {
                leaves.iter_mut().zip([tree, node, target]).for_each(|(list, it)| list.push(it));
                weights.push(((number + target) % 16) as f32 / 4.0 - 2.0);
            }
        }
    }
    vec![
        ints("nodes_treeids", &tree_ids),
        ints("nodes_nodeids", &ids),
        ints("nodes_featureids", &features),
        floats("nodes_values", &values),
        texts("nodes_modes", &modes),
        ints("nodes_truenodeids", &yes),
        ints("nodes_falsenodeids", &no),
        ints("nodes_missing_value_tracks_true", &missing),
        ints("target_treeids", &leaves[0]),
        ints("target_nodeids", &leaves[1]),
        ints("target_ids", &leaves[2]),
        floats("target_weights", &weights),
        int("n_targets", targets),
    ]
}

/// Numbers of which some are none.
fn mixed(dtype: DType, rows: u64, columns: u64) -> TensorData {
    let value = |i: u64| match ((i * 2_654_435_761) >> 5) % 11 {
        0 if dtype.is_float() => f64::NAN,
        1 => -0.0,
        it => it as f64 - 6.0,
    };
    TensorData::from_f64(dtype, &[rows, columns], (0..rows * columns).map(value))
}

#[test]
fn trees_of_every_size() -> Result<()> {
    for dtype in [DType::F32, DType::F64, DType::I64] {
        for (rows, count, depth, targets) in
            [(1, 9, 4, 1), (5, 3, 3, 2), (8, 8, 1, 1), (19, 17, 5, 7), (600, 11, 6, 1)]
        {
            for aggregate in ["SUM", "MIN", "MAX"] {
                let mut attributes = trees(count, depth, 3, targets);
                attributes.push(text("aggregate_function", aggregate));
                let x = [given(mixed(dtype, rows, 3))];
                check_outputs("ai.onnx.ml::TreeEnsembleRegressor", &["y"], attributes, &x, 0.0)?;
            }
        }
    }
    Ok(())
}

#[test]
fn linear_models_and_vectors() -> Result<()> {
    let x = || [given(numbers(DType::F32, &[9, 4]))];
    let linear = |transform: &str, classes: usize| {
        let labels: Vec<i64> = (0..classes.max(2) as i64).map(|it| it * 10).collect();
        vec![
            floats("coefficients", &list(4 * classes)),
            floats("intercepts", &list(classes)),
            ints("classlabels_ints", &labels),
            text("post_transform", transform),
        ]
    };
    for transform in ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"] {
        for classes in [1, 2, 5] {
            let outputs = &["label", "scores"];
            check_outputs("ai.onnx.ml::LinearClassifier", outputs, linear(transform, classes), &x(), 1e-5)?;
        }
    }
    for kernel in ["LINEAR", "POLY", "RBF", "SIGMOID"] {
        let kernel = [text("kernel_type", kernel), floats("kernel_params", &[0.25, 0.5, 2.0])];
        let mut attributes = vec![
            floats("support_vectors", &list(4 * 6)),
            floats("coefficients", &list(6)),
            floats("rho", &[0.5]),
            int("n_supports", 6),
        ];
        attributes.extend(kernel.iter().cloned());
        check_outputs("ai.onnx.ml::SVMRegressor", &["y"], attributes, &x(), 1e-5)?;
        let mut attributes = vec![
            floats("support_vectors", &list(4 * 6)),
            floats("coefficients", &list(12)),
            floats("rho", &[0.5, -0.25, 0.125]),
            ints("vectors_per_class", &[3, 1, 2]),
            ints("classlabels_ints", &[5, 6, 7]),
        ];
        attributes.extend(kernel);
        check_outputs("ai.onnx.ml::SVMClassifier", &["label", "scores"], attributes, &x(), 1e-5)?;
    }
    Ok(())
}

#[test]
fn features() -> Result<()> {
    for dtype in [DType::F32, DType::F64, DType::I64, DType::I32] {
        let x = || [given(numbers(dtype, &[9, 4]))];
        for norm in ["MAX", "L1", "L2"] {
            check_outputs("ai.onnx.ml::Normalizer", &["y"], vec![text("norm", norm)], &x(), 1e-6)?;
        }
        let attributes = vec![floats("offset", &list(4)), floats("scale", &[0.5])];
        check_outputs("ai.onnx.ml::Scaler", &["y"], attributes, &x(), 0.0)?;
        check_outputs("ai.onnx.ml::Binarizer", &["y"], vec![], &x(), 0.0)?;
        let categories = vec![ints("cats_int64s", &[-1, 0, 2])];
        check_outputs("ai.onnx.ml::OneHotEncoder", &["y"], categories, &x(), 0.0)?;
        let attributes = vec![floats("imputed_value_floats", &list(4)), ints("imputed_value_int64s", &[7])];
        check_outputs("ai.onnx.ml::Imputer", &["y"], attributes, &x(), 0.0)?;
        let both = [given(numbers(dtype, &[9, 4])), given(numbers(DType::F32, &[9, 2]))];
        let sizes = vec![ints("inputdimensions", &[3, 5])];
        check_outputs("ai.onnx.ml::FeatureVectorizer", &["y"], sizes, &both, 0.0)?;
    }
    Ok(())
}
