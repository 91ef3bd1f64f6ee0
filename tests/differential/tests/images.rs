//! Operators that read images between their elements, columns of images, and losses: generated code on both paths
//! against the reference of what they are made of.

mod protos;
mod single;

use anyhow::Result;
use orogen_ir::types::{DType, TensorData};
use protos::ints;
use single::{attribute, check_node, check_outputs, constant, given, integers, numbers, text};

const FLOATS: [DType; 4] = [DType::F32, DType::F64, DType::F16, DType::BF16];

/// Numbers between −1.4 and 1.4.
fn places(dtype: DType, dims: &[u64]) -> TensorData {
    let count = dims.iter().product::<u64>();
    TensorData::from_f64(dtype, dims, (0..count).map(|i| ((i * 29 + 5) % 57) as f64 / 20.0 - 1.4))
}

fn allowed(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1e-12,
        DType::F32 => 1e-5,
        DType::F16 => 2e-3,
        _ => 2e-2,
    }
}

#[test]
fn grids_of_every_mode() -> Result<()> {
    for mode in ["linear", "nearest", "cubic"] {
        for padding in ["zeros", "border", "reflection"] {
            for corners in [0, 1] {
                let attributes = vec![
                    text("mode", mode),
                    text("padding_mode", padding),
                    attribute("align_corners", corners),
                ];
                let operands =
                    [given(numbers(DType::F32, &[2, 3, 4, 5])), given(places(DType::F32, &[2, 3, 2, 2]))];
                check_node("GridSample", attributes, &operands, 1e-5)?;
            }
        }
    }
    for dtype in FLOATS {
        let operands = [given(numbers(dtype, &[1, 2, 3, 4, 2])), given(places(dtype, &[1, 3, 2, 2, 3]))];
        check_node("GridSample", vec![text("padding_mode", "border")], &operands, allowed(dtype))?;
    }
    // Channels that are read as rows.
    for (dtype, mode) in FLOATS.into_iter().zip(["linear", "cubic", "nearest", "linear"]) {
        for padding in ["zeros", "border"] {
            let attributes = vec![text("mode", mode), text("padding_mode", padding)];
            let operands = [given(numbers(dtype, &[2, 9, 4, 5])), given(places(dtype, &[2, 3, 2, 2]))];
            check_node("GridSample", attributes, &operands, allowed(dtype))?;
        }
    }
    // Integers, between which lie numbers that are cut off.
    for (dtype, mode) in
        [(DType::I8, "linear"), (DType::U8, "cubic"), (DType::I64, "linear"), (DType::U16, "linear")]
    {
        let operands = [given(numbers(dtype, &[2, 9, 4, 5])), given(places(DType::F32, &[2, 3, 2, 2]))];
        check_node("GridSample", vec![text("mode", mode)], &operands, 1.0)?;
    }
    let flat = [given(numbers(DType::I32, &[1, 1, 1, 1])), given(places(DType::F32, &[1, 4, 1, 2]))];
    let attributes =
        vec![text("mode", "nearest"), text("padding_mode", "reflection"), attribute("align_corners", 1)];
    check_node("GridSample", attributes, &flat, 0.0)?;
    let empty = [given(numbers(DType::F32, &[1, 2, 3, 3])), given(places(DType::F32, &[1, 0, 4, 2]))];
    check_node("GridSample", Vec::new(), &empty, 0.0)
}

#[test]
fn regions_and_offsets() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let regions = TensorData::from_f64(dtype, &[2, 4], [0.5, 1.0, 5.0, 4.5, -3.0, 0.0, 9.0, 2.0]);
        for mode in ["avg", "max"] {
            for (channels, points) in [(2, 0), (2, 2), (9, 0), (9, 2), (8, 5)] {
                let attributes = vec![
                    text("mode", mode),
                    attribute("sampling_ratio", points),
                    attribute("output_height", 2),
                    attribute("output_width", 3),
                ];
                let operands = [
                    given(numbers(dtype, &[2, channels, 6, 5])),
                    constant(regions.clone()),
                    constant(integers(&[1, 0])),
                ];
                check_node("RoiAlign", attributes, &operands, allowed(dtype))?;
            }
        }
        let operands = [
            given(numbers(dtype, &[1, 4, 4, 5])),
            given(numbers(dtype, &[2, 2, 2, 2])),
            given(places(dtype, &[1, 16, 3, 4])),
            given(numbers(dtype, &[2])),
            given(places(dtype, &[1, 8, 3, 4])),
        ];
        let attributes = vec![attribute("group", 2), attribute("offset_group", 2)];
        check_node("DeformConv", attributes, &operands, allowed(dtype))?;
        // Channels that are read as rows.
        let operands = [
            given(numbers(dtype, &[2, 8, 4, 5])),
            given(numbers(dtype, &[3, 8, 2, 2])),
            given(places(dtype, &[2, 8, 2, 3])),
            given(numbers(dtype, &[3])),
            given(places(dtype, &[2, 4, 2, 3])),
        ];
        let attributes =
            vec![ints("strides", &[2, 1]), ints("pads", &[1, 0, 0, 0]), ints("dilations", &[1, 2])];
        check_node("DeformConv", attributes, &operands, allowed(dtype))?;
        let line = [
            given(numbers(dtype, &[1, 9, 7])),
            given(numbers(dtype, &[2, 9, 3])),
            given(places(dtype, &[1, 3, 5])),
        ];
        check_node("DeformConv", Vec::new(), &line, allowed(dtype))?;
        let theta = [given(places(dtype, &[2, 3, 4])), constant(integers(&[2, 1, 2, 3, 4]))];
        check_node("AffineGrid", Vec::new(), &theta, allowed(dtype))?;
    }
    Ok(())
}

#[test]
fn elements_in_other_places() -> Result<()> {
    for dtype in [DType::F32, DType::I64, DType::U8] {
        let columns =
            [given(numbers(dtype, &[2, 12, 25])), constant(integers(&[4, 5])), constant(integers(&[2, 3]))];
        check_node("Col2Im", vec![ints("pads", &[0, 1, 2, 1])], &columns, 0.0)?;
        // Blocks that leave gaps, that are further apart than their elements, and of one axis and three.
        let apart =
            [given(numbers(dtype, &[1, 12, 4])), constant(integers(&[7, 8])), constant(integers(&[3, 2]))];
        let slides = vec![ints("strides", &[4, 3]), ints("dilations", &[1, 2]), ints("pads", &[1, 0, 0, 0])];
        check_node("Col2Im", slides, &apart, 0.0)?;
        let line = [given(numbers(dtype, &[2, 6, 4])), constant(integers(&[9])), constant(integers(&[3]))];
        check_node("Col2Im", vec![ints("strides", &[2])], &line, 0.0)?;
        let deep = [
            given(numbers(dtype, &[1, 16, 12])),
            constant(integers(&[3, 4, 3])),
            constant(integers(&[2, 2, 2])),
        ];
        check_node("Col2Im", Vec::new(), &deep, 0.0)?;
        let cropped = [given(numbers(dtype, &[5, 3, 2])), constant(integers(&[2, 6]))];
        check_node("CenterCropPad", vec![ints("axes", &[0, 1])], &cropped, 0.0)?;
        let turned = [given(numbers(dtype, &[4, 3, 2])), given(integers(&[1, 4, 0]))];
        check_node("ReverseSequence", Vec::new(), &turned, 0.0)?;
    }
    Ok(())
}

#[test]
fn losses_of_every_reduction() -> Result<()> {
    for dtype in FLOATS {
        for reduction in ["none", "sum", "mean"] {
            for ignored in [false, true] {
                let mut attributes = vec![text("reduction", reduction)];
                attributes.extend(ignored.then(|| attribute("ignore_index", 2)));
                let targets = TensorData::from_slice(DType::I64, &[2, 3], &[0_i64, 2, 1, 1, 3, 2]);
                let scores = numbers(dtype, &[2, 4, 3]);
                let weights = TensorData::from_f64(dtype, &[4], [1.0, 0.5, 2.0, 3.0]);
                let operands = [given(scores.clone()), given(targets.clone()), given(weights)];
                check_node("NegativeLogLikelihoodLoss", attributes.clone(), &operands, allowed(dtype))?;
                let outputs = &["loss", "probabilities"];
                check_outputs(
                    "SoftmaxCrossEntropyLoss",
                    outputs,
                    attributes,
                    &[given(scores), given(targets)],
                    allowed(dtype),
                )?;
            }
        }
    }
    Ok(())
}

#[test]
fn sizes_and_scales() -> Result<()> {
    let none = || constant(TensorData::from_f64(DType::F32, &[0], []));
    let scales = |list: &[f64]| TensorData::from_f64(DType::F32, &[list.len() as u64], list.iter().copied());
    for mode in ["linear", "cubic", "nearest"] {
        for antialias in [0, 1] {
            if mode == "nearest" && antialias == 1 {
                continue;
            }
            let attributes =
                vec![text("mode", mode), attribute("antialias", antialias), ints("axes", &[2, 3])];
            let fixed = [given(numbers(DType::F32, &[1, 2, 5, 4])), none(), constant(scales(&[0.6, 1.5]))];
            check_node("Resize", attributes.clone(), &fixed, 1e-5)?;
            let mut attributes = attributes;
            attributes.push(text("keep_aspect_ratio_policy", "not_larger"));
            let sized =
                [given(numbers(DType::F32, &[1, 2, 5, 4])), none(), none(), constant(integers(&[7, 9]))];
            check_node("Resize", attributes, &sized, 1e-5)?;
        }
    }
    for dtype in [DType::F32, DType::U8, DType::F16, DType::F64] {
        let attributes = vec![
            text("mode", "linear"),
            text("coordinate_transformation_mode", "tf_crop_and_resize"),
            ints("axes", &[2]),
        ];
        let cropped = [
            given(numbers(dtype, &[1, 2, 5, 4])),
            constant(scales(&[0.3, 1.4])),
            none(),
            constant(integers(&[6])),
        ];
        check_node("Resize", attributes, &cropped, allowed(dtype))?;
    }
    Ok(())
}

/// Sizes that twice, four times, half and three halves of the elements make, of which neighbours in a row are found by their
/// phases, and others, of which they are found in tables.
#[test]
fn blends_along_each_axis() -> Result<()> {
    let none = || constant(TensorData::from_f64(DType::F32, &[0], []));
    let modes = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"];
    let sizes = [[6, 10], [12, 20], [3, 40], [7, 15], [1, 2], [5, 13]];
    for (i, (mode, size)) in modes.iter().flat_map(|it| sizes.iter().map(move |size| (it, size))).enumerate()
    {
        let dtype = FLOATS[(i + i / 6) % 4];
        let coordinates = text("coordinate_transformation_mode", mode);
        let attributes = vec![text("mode", "linear"), coordinates, ints("axes", &[2, 3])];
        let x = given(numbers(dtype, &[1, 2, 3, 10]));
        check_node("Resize", attributes, &[x, none(), none(), constant(integers(size))], allowed(dtype))?;
    }
    let volume = [
        given(numbers(DType::F32, &[1, 2, 3, 4, 5])),
        none(),
        constant(TensorData::from_f64(DType::F32, &[5], [1.0, 1.0, 2.0, 0.5, 4.0])),
    ];
    check_node("Resize", vec![text("mode", "linear")], &volume, 1e-5)?;
    let last = [
        given(numbers(DType::F32, &[1, 3, 4, 2])),
        none(),
        constant(TensorData::from_f64(DType::F32, &[4], [1.0, 2.0, 1.5, 1.0])),
    ];
    check_node("Resize", vec![text("mode", "linear")], &last, 1e-5)
}

/// Sizes whose positions are often whole numbers and halves, where an error in the last place is another element.
#[test]
fn nearest_elements_of_whole_positions() -> Result<()> {
    let none = || constant(TensorData::from_f64(DType::F32, &[0], []));
    for coordinates in ["half_pixel", "asymmetric", "align_corners", "half_pixel_symmetric"] {
        for rounding in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] {
            let attributes = vec![
                text("coordinate_transformation_mode", coordinates),
                text("nearest_mode", rounding),
                ints("axes", &[2, 3]),
            ];
            let operands =
                [given(numbers(DType::F32, &[1, 1, 10, 14])), none(), none(), constant(integers(&[14, 10]))];
            check_node("Resize", attributes, &operands, 0.0)?;
        }
    }
    Ok(())
}

/// Lengths that fall into two parts and into three, forwards and back.
#[test]
fn transforms_in_parts() -> Result<()> {
    for (length, parts) in [(128_u64, 2_u64), (180, 2), (1000, 1), (4500, 1), (131 * 4, 2)] {
        let signal = || given(places(DType::F32, &[2, length, parts]));
        check_node("DFT", vec![attribute("axis", 1)], &[signal()], 1e-6)?;
        if parts == 2 {
            check_node("DFT", vec![attribute("axis", 1), attribute("inverse", 1)], &[signal()], 1e-6)?;
        } else {
            check_node("DFT", vec![attribute("axis", 1), attribute("onesided", 1)], &[signal()], 1e-6)?;
        }
    }
    // Cut off, and continued with zeros, along an axis that is not the last but one.
    for length in [96, 256] {
        let operands = [given(places(DType::F64, &[150, 3, 2])), constant(integers(&[length]))];
        check_node("DFT", vec![attribute("axis", 0)], &operands, 1e-12)?;
    }
    Ok(())
}
