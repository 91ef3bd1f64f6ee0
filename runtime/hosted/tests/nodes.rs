//! Nodes of ONNX: what the reference interpreter, code of the legacy path and code of the dataflow path make of them.

use orogen::ir::types::TensorData as Data;
use orogen::onnx::proto::attribute::{floats, int, ints, text, texts};
use orogen::onnx::proto::{
    AttributeProto, DimensionProto, GraphProto, MapTypeProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute, data_type,
};
use orogen::prelude::*;
use orogen::reference::{Value, eval_function};
use orogen::tensors::{to_data, to_tensor};

fn tensor(name: &str, data_type: i32, list: &[i32]) -> AttributeProto {
    let tensor = TensorProto {
        dims: vec![list.len() as i64],
        data_type,
        int32_data: list.to_vec(),
        ..TensorProto::default()
    };
    attribute::tensor(name, tensor)
}

fn strings(dims: &[u64], list: &[&str]) -> Data {
    Data::strings(dims, list).expect("as many as the dimensions say")
}

fn i64s(dims: &[u64], list: &[i64]) -> Data {
    Data::from_slice(DType::I64, dims, list)
}

fn f32s(dims: &[u64], list: &[f32]) -> Data {
    Data::from_slice(DType::F32, dims, list)
}

fn flags(dims: &[u64], list: &[u8]) -> Data {
    Data::from_slice(DType::Bool, dims, list)
}

/// The number that ONNX has for a type.
fn number_of(dtype: DType) -> i32 {
    (1..32).find(|it| DType::from_onnx(*it) == Some(dtype)).expect("a type of ONNX")
}

/// A model of one node, whose operands have the types of these; `open` dimensions have names.
fn model(op: &str, attribute: Vec<AttributeProto>, operands: &[Data], results: usize, open: bool) -> Vec<u8> {
    let (domain, op) = op.split_once(':').unwrap_or(("", op));
    let dim = |i: usize, axis: usize, it: u64| match open {
        true => DimensionProto { dim_value: None, dim_param: Some(format!("n{i}_{axis}")) },
        false => DimensionProto { dim_value: Some(it as i64), dim_param: None },
    };
    let input = |(i, it): (usize, &Data)| {
        let dim = it.dims().iter().enumerate().map(|(axis, it)| dim(i, axis, *it)).collect();
        let tensor_type =
            TensorTypeProto { elem_type: number_of(it.dtype()), shape: Some(TensorShapeProto { dim }) };
        let ty = TypeProto { tensor_type: Some(tensor_type), ..TypeProto::default() };
        ValueInfoProto { name: format!("x{i}"), r#type: Some(ty) }
    };
    let result = |i: usize| ValueInfoProto { name: format!("y{i}"), r#type: None };
    let node = NodeProto {
        input: (0..operands.len()).map(|i| format!("x{i}")).collect(),
        output: (0..results).map(|i| format!("y{i}")).collect(),
        op_type: op.into(),
        domain: domain.into(),
        attribute,
        ..NodeProto::default()
    };
    let graph = GraphProto {
        name: "g".into(),
        node: vec![node],
        input: operands.iter().enumerate().map(input).collect(),
        output: (0..results).map(result).collect(),
        ..GraphProto::default()
    };
    let set = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
    let opset_import = vec![set("", 21), set("ai.onnx.ml", 4), set("com.microsoft", 1)];
    let proto =
        ModelProto { ir_version: 10, graph: Some(Box::new(graph)), opset_import, ..ModelProto::default() };
    proto.to_bytes()
}

fn compiler() -> Compiler {
    let mut builder = Compiler::builder();
    orogen_hosted::add_to(&mut builder);
    builder.build().expect("it fits")
}

fn options(opt_in: OptIn) -> CompileOptions {
    CompileOptions { opt_in, verify: true, ..CompileOptions::default() }
}

/// What compiled code makes of operands; the message of the error where there is one.
fn run(bytes: &[u8], opt_in: OptIn, operands: &[Data]) -> Result<Vec<Data>, String> {
    let compiler = compiler();
    let said = |it: Diagnostics| it.0.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>().join("\n");
    let model = compiler.decode("m.onnx", bytes.to_vec()).map_err(said)?;
    let library =
        compiler.compile(&model, &options(opt_in)).map_err(said)?.load().map_err(|it| it.to_string())?;
    let inputs: Vec<Tensor> = operands.iter().map(|it| to_tensor(it).expect("a tensor")).collect();
    let results = library.run(&inputs).map_err(|it| it.to_string())?;
    Ok(results.iter().map(|it| to_data(it).expect("data")).collect())
}

fn reference(bytes: &[u8], operands: &[Data]) -> Result<Vec<Data>, String> {
    let compiler = compiler();
    let model = compiler.decode("m.onnx", bytes.to_vec()).map_err(|it| format!("{it:?}"))?;
    let lowered = compiler.lower(&model, &options(OptIn::DataflowIr), Step::Import);
    let (lowered, _) = lowered.map_err(|it| format!("{it:?}"))?;
    let Lowered::Flow(module) = lowered else { return Err("no module".into()) };
    let name = module.entry().expect("a function").0;
    let args: Vec<Value> = operands.iter().cloned().map(Value::Tensor).collect();
    let values = eval_function(compiler.ops(), &module, name, &args).map_err(|it| it.to_string())?;
    Ok(values.iter().filter_map(|it| it.as_tensor().cloned()).collect())
}

/// All ways give these results; the legacy path where sizes do not depend on data.
fn gives(op: &str, attributes: Vec<AttributeProto>, operands: &[Data], expected: &[Data], dynamic: bool) {
    let what = format!("{op} {attributes:?} of {operands:?}");
    for open in [false, true] {
        let bytes = model(op, attributes.clone(), operands, expected.len(), open);
        assert_eq!(reference(&bytes, operands).as_deref(), Ok(expected), "reference: {what}");
        assert_eq!(run(&bytes, OptIn::DataflowIr, operands).as_deref(), Ok(expected), "flow: {what}");
        if !dynamic && !open {
            assert_eq!(run(&bytes, OptIn::Legacy, operands).as_deref(), Ok(expected), "legacy: {what}");
        }
    }
}

/// The error at compile time, or when it runs, holds this.
fn fails(op: &str, attributes: Vec<AttributeProto>, operands: &[Data], message: &str) {
    let bytes = model(op, attributes, operands, 1, false);
    let error = run(&bytes, OptIn::DataflowIr, operands).expect_err(message);
    assert!(error.contains(message), "{op}: `{message}` is not in {error}");
}

#[test]
fn strings_are_put_together_and_taken_apart() {
    let a = strings(&[2, 1], &["a", ""]);
    let b = strings(&[3], &["x", "ü", ""]);
    let all = strings(&[2, 3], &["ax", "aü", "a", "x", "ü", ""]);
    gives("StringConcat", vec![], &[a, b], &[all], false);
    gives(
        "StringConcat",
        vec![],
        &[strings(&[], &["a"]), strings(&[], &["b"])],
        &[strings(&[], &["ab"])],
        false,
    );
    let none = strings(&[0, 3], &[]);
    gives("StringConcat", vec![], &[none.clone(), strings(&[1], &["b"])], &[none], false);

    let x = strings(&[3], &["a b  c", "", " d "]);
    let parts = strings(&[3, 3], &["a", "b", "c", "", "", "", "d", "", ""]);
    gives("StringSplit", vec![], &[x], &[parts, i64s(&[3], &[3, 0, 1])], true);
    let x = strings(&[1, 2], &["a,,b", ",c"]);
    let parts = strings(&[1, 2, 2], &["a", ",b", "", "c"]);
    let attributes = vec![text("delimiter", ","), int("maxsplit", 1)];
    gives("StringSplit", attributes, &[x], &[parts, i64s(&[1, 2], &[2, 2])], true);
    let none = [strings(&[0, 0], &[]), i64s(&[0], &[])];
    gives("StringSplit", vec![], &[strings(&[0], &[])], &none, true);
}

#[test]
fn strings_are_unique() {
    let x = strings(&[6], &["b", "", "ü", "b", "a long string that lies on the heap", ""]);
    let sorted = strings(&[4], &["", "a long string that lies on the heap", "b", "ü"]);
    let results =
        [sorted, i64s(&[4], &[1, 4, 0, 2]), i64s(&[6], &[2, 0, 3, 2, 1, 0]), i64s(&[4], &[2, 1, 2, 1])];
    gives("Unique", vec![], std::slice::from_ref(&x), &results, true);
    let first = strings(&[4], &["b", "", "ü", "a long string that lies on the heap"]);
    let results =
        [first, i64s(&[4], &[0, 1, 2, 4]), i64s(&[6], &[0, 1, 2, 0, 3, 1]), i64s(&[4], &[2, 2, 1, 1])];
    gives("Unique", vec![int("sorted", 0)], &[x], &results, true);
    let rows = strings(&[3, 2], &["b", "a", "a", "z", "b", "a"]);
    gives("Unique", vec![int("axis", 0)], &[rows], &[strings(&[2, 2], &["a", "z", "b", "a"])], true);
    let none = strings(&[0], &[]);
    gives("Unique", vec![], std::slice::from_ref(&none), std::slice::from_ref(&none), true);
}

#[test]
fn strings_match_as_a_whole_and_are_normalized() {
    let x = strings(&[2, 2], &["www.google.com", "www.bbc.co.uk", "", "ü"]);
    let pattern = r"www\.[\w.-]+\.com";
    gives("RegexFullMatch", vec![text("pattern", pattern)], &[x], &[flags(&[2, 2], &[1, 0, 0, 0])], false);
    let x = strings(&[1], &["a"]);
    fails("RegexFullMatch", vec![text("pattern", "a)(b")], std::slice::from_ref(&x), "no regular expression");
    fails("RegexFullMatch", vec![text("pattern", "a")], &[f32s(&[1], &[1.0])], "must be string");

    let days = strings(&[4], &["monday", "Monday", "straße", ""]);
    let upper = strings(&[4], &["MONDAY", "MONDAY", "STRASSE", ""]);
    gives(
        "StringNormalizer",
        vec![text("case_change_action", "UPPER")],
        std::slice::from_ref(&days),
        &[upper],
        false,
    );
    let words = texts("stopwords", &["MONDAY", ""]);
    let rest = [strings(&[1], &["straße"])];
    gives("StringNormalizer", vec![words.clone()], std::slice::from_ref(&days), &rest, true);
    let exact = vec![words, int("is_case_sensitive", 1), text("case_change_action", "LOWER")];
    let rest = [strings(&[1, 3], &["monday", "monday", "straße"])];
    gives("StringNormalizer", exact, &[strings(&[1, 4], &["monday", "Monday", "straße", ""])], &rest, true);
    let all = vec![texts("stopwords", &["a"])];
    gives("StringNormalizer", all.clone(), &[strings(&[2], &["a", "A"])], &[strings(&[1], &[""])], true);
    fails("StringNormalizer", all, &[strings(&[1, 1, 1], &["a"])], "rank 3");
    fails("StringNormalizer", vec![text("case_change_action", "TITLE")], &[days], "is not known");
}

#[test]
fn tokens_are_found_or_divided() {
    let x = strings(&[2], &["ab, c;d", "ß"]);
    let common = |mark: i64, fewest: i64, more: AttributeProto| {
        vec![int("mark", mark), text("pad_value", "#"), int("mincharnum", fewest), more]
    };
    let check = |attributes: Vec<AttributeProto>, width: u64, expected: &[&str]| {
        let y = strings(&[2, width], expected);
        gives("com.microsoft:Tokenizer", attributes, std::slice::from_ref(&x), &[y], true);
    };
    check(common(0, 1, text("tokenexp", "[a-z]+")), 3, &["ab", "c", "d", "#", "#", "#"]);
    let marked = ["\u{2}", "ab", "\u{3}", "\u{2}", "\u{3}", "#"];
    check(common(1, 2, text("tokenexp", "[a-z]+")), 3, &marked);
    check(common(1, 1, text("tokenexp", "[0-9]")), 0, &[]);
    // One after the other: what the first left is divided by the second.
    check(common(0, 1, texts("separators", &[",", "[ ;]"])), 3, &["ab", "c", "d", "ß", "#", "#"]);
    check(common(0, 1, texts("separators", &["b", "ab"])), 2, &["a", ", c;d", "ß", "#"]);
    let characters = ["a", "b", ",", " ", "c", ";", "d", "ß", "#", "#", "#", "#", "#", "#"];
    check(common(0, 1, texts("separators", &[""])), 7, &characters);
    let wrong = [
        (common(0, 2, texts("separators", &[""])), "more than the one character"),
        (common(0, 1, texts("separators", &["", "a"])), "one of several separators is empty"),
        (common(0, 1, text("tokenexp", "(")), "no regular expression"),
        (vec![int("mark", 0)], "neither `tokenexp` nor `separators`"),
    ];
    for (attributes, message) in wrong {
        fails("com.microsoft:Tokenizer", attributes, std::slice::from_ref(&x), message);
    }
}

#[test]
fn a_map_becomes_a_row_of_a_vocabulary() {
    let map = |keys: Data, values: Data, key_type: i32| {
        let value = TensorTypeProto { elem_type: number_of(values.dtype()), shape: Some(Default::default()) };
        let value_type = Box::new(TypeProto { tensor_type: Some(value), ..TypeProto::default() });
        let map_type = Some(MapTypeProto { key_type, value_type: Some(value_type) });
        let ty = TypeProto { map_type, ..TypeProto::default() };
        (ValueInfoProto { name: "x0".into(), r#type: Some(ty) }, [keys, values])
    };
    let gives = |(input, parts): (ValueInfoProto, [Data; 2]), vocabulary: AttributeProto| {
        let bytes = model("ai.onnx.ml:DictVectorizer", vec![vocabulary], &[], 1, false);
        let mut proto = ModelProto::from_bytes(&bytes).expect("a model");
        let graph = proto.graph.as_mut().expect("a graph");
        graph.input = vec![input];
        graph.node[0].input = vec!["x0".into()];
        let model = compiler().decode("m.onnx", proto.to_bytes()).expect("a model");
        let library =
            compiler().compile(&model, &options(OptIn::DataflowIr)).map_err(|it| format!("{it:?}"))?;
        let library = library.load().expect("it loads");
        let parts = parts.iter().map(|it| orogen_runtime::Value::Tensor(to_tensor(it).expect("a tensor")));
        let mut args = [orogen_runtime::Value::Array(parts.collect())];
        let found =
            library.call_values("main", &mut args, Default::default()).map_err(|it| it.to_string())?;
        let Some(orogen_runtime::Value::Tensor(row)) = found.first() else { panic!("a tensor") };
        Ok::<_, String>(to_data(row).expect("data"))
    };
    let (text, whole) = (number_of(DType::Str), number_of(DType::I64));
    let words = || texts("string_vocabulary", &["c", "b", "a", "a"]);
    let held = || map(strings(&[3], &["a", "?", "c"]), f32s(&[3], &[1.0, 5.0, 3.0]), text);
    assert_eq!(gives(held(), words()), Ok(f32s(&[1, 4], &[3.0, 0.0, 1.0, 1.0])));
    let none = map(strings(&[0], &[]), i64s(&[0], &[]), text);
    assert_eq!(gives(none, words()), Ok(i64s(&[1, 4], &[0; 4])));
    let numbers = map(i64s(&[2], &[3, 9]), strings(&[2], &["x", "z"]), whole);
    assert_eq!(gives(numbers, ints("int64_vocabulary", &[1, 3])), Ok(strings(&[1, 2], &["", "x"])));
    let other = gives(held(), ints("int64_vocabulary", &[1])).expect_err("keys of another type");
    assert!(other.contains("keys are string but words are i64"), "{other}");
    let uneven = map(strings(&[1], &["a"]), f32s(&[2], &[1.0, 2.0]), text);
    assert!(gives(uneven, words()).is_err());
}

#[test]
fn grams_are_counted() {
    let pool = |mode: &str| {
        vec![
            text("mode", mode),
            int("min_gram_length", 1),
            int("max_gram_length", 2),
            int("max_skip_count", 1),
            ints("ngram_counts", &[0, 2]),
            ints("ngram_indexes", &[0, 1, 3, 2]),
        ]
    };
    let numbers = [pool("TF"), vec![ints("pool_int64s", &[3, 1, 1, 2, 2, 1])]].concat();
    let x = i64s(&[2, 5], &[1, 1, 2, 1, 2, 3, 3, 3, 0, 0]);
    let counts = f32s(&[2, 4], &[0.0, 3.0, 1.0, 3.0, 3.0, 0.0, 0.0, 0.0]);
    gives("TfIdfVectorizer", numbers.clone(), &[x], &[counts], false);
    gives(
        "TfIdfVectorizer",
        numbers.clone(),
        &[i64s(&[2], &[1, 2])],
        &[f32s(&[4], &[0.0, 1.0, 0.0, 1.0])],
        false,
    );
    let words = [pool("IDF"), vec![texts("pool_strings", &["c", "a", "a", "ü", "ü", "a"])]].concat();
    let x = strings(&[4], &["a", "a", "ü", "a"]);
    gives("TfIdfVectorizer", words, std::slice::from_ref(&x), &[f32s(&[4], &[0.0, 1.0, 1.0, 1.0])], false);
    let weights = vec![
        texts("pool_strings", &["c", "a", "a", "ü", "ü", "a"]),
        floats("weights", &[1.0, 0.5, 2.0, 4.0]),
    ];
    let words = [pool("TFIDF"), weights].concat();
    gives("TfIdfVectorizer", words, &[x], &[f32s(&[4], &[0.0, 1.5, 4.0, 4.0])], false);
    let x = i64s(&[2], &[1, 2]);
    let twice = [pool("TF"), vec![ints("pool_int64s", &[3, 1, 1, 2, 1, 2])]].concat();
    fails("TfIdfVectorizer", twice, std::slice::from_ref(&x), "twice in the pool");
    let odd = [pool("TF"), vec![ints("pool_int64s", &[3, 1, 1])]].concat();
    fails("TfIdfVectorizer", odd, &[x], "do not fit the pool");
}

#[test]
fn labels_are_found() {
    let op = "ai.onnx.ml:LabelEncoder";
    let numbered = vec![texts("keys_strings", &["b", "a", "ü", "a"]), ints("values_int64s", &[1, 2, 3, 4])];
    let x = strings(&[2, 3], &["a", "b", "", "ü", "c", "a"]);
    gives(op, numbered, &[x], &[i64s(&[2, 3], &[2, 1, -1, 3, -1, 2])], false);
    let keys = floats("keys_floats", &[7.0, f32::NAN, 0.0, 1.0]);
    let named = vec![keys, texts("values_strings", &["seven", "nan", "zero", "one"])];
    let x = f32s(&[6], &[1.0, f32::NAN, -0.0, 7.0, 8.0, -1.0]);
    let found = strings(&[6], &["one", "nan", "zero", "seven", "_Unused", "_Unused"]);
    gives(op, named, &[x], &[found], false);
    let many: Vec<i64> = (0..37).map(|i| 3 * i).collect();
    let squares: Vec<f32> = (0..37).map(|i| (i * i) as f32).collect();
    let x: Vec<i64> = (-2..115).collect();
    let square =
        |it: &i64| if (0..=108).contains(it) && it % 3 == 0 { (it / 3 * (it / 3)) as f32 } else { -0.0 };
    let expected: Vec<f32> = x.iter().map(square).collect();
    let n = [x.len() as u64];
    gives(
        op,
        vec![ints("keys_int64s", &many), floats("values_floats", &squares)],
        &[i64s(&n, &x)],
        &[f32s(&n, &expected)],
        false,
    );
    let shorts = vec![
        tensor("keys_tensor", data_type::INT16, &[5, -3]),
        tensor("values_tensor", data_type::INT8, &[1, 2]),
        tensor("default_tensor", data_type::INT8, &[9]),
    ];
    let x = Data::from_slice(DType::I16, &[3], &[5i16, -3, 0]);
    gives(op, shorts, &[x], &[Data::from_slice(DType::I8, &[3], &[1i8, 2, 9])], false);
    let odd = vec![texts("keys_strings", &["a"]), ints("values_int64s", &[1, 2])];
    fails(op, odd, &[strings(&[1], &["a"])], "1 keys for 2 values");

    let op = "ai.onnx.ml:CategoryMapper";
    let cats = vec![texts("cats_strings", &["x", "y"]), ints("cats_int64s", &[10, 20])];
    gives(op, cats.clone(), &[strings(&[2], &["y", "z"])], &[i64s(&[2], &[20, -1])], false);
    gives(op, cats, &[i64s(&[2], &[20, 3])], &[strings(&[2], &["y", "_Unused"])], false);
}

#[test]
fn numbers_become_text_and_come_back() {
    let to = |it: DType| vec![int("to", number_of(it).into())];
    let x = f32s(&[6], &[1.0, 0.1, 1e-5, -314.15927, f32::NAN, f32::NEG_INFINITY]);
    let written = strings(&[6], &["1", "0.1", "0.00001", "-314.15927", "NaN", "-INF"]);
    gives("Cast", to(DType::Str), std::slice::from_ref(&x), std::slice::from_ref(&written), false);
    let back = model("Cast", to(DType::F32), std::slice::from_ref(&written), 1, true);
    let back = run(&back, OptIn::DataflowIr, &[written]).expect("numbers");
    assert_eq!(back[0].bytes()[..16], x.bytes()[..16]);
    assert!(back[0].get_f64(4).is_nan() && back[0].get_f64(5) == f64::NEG_INFINITY);
    let x = Data::from_slice(DType::U64, &[2], &[u64::MAX, 0]);
    let written = strings(&[2], &["18446744073709551615", "0"]);
    gives("Cast", to(DType::Str), std::slice::from_ref(&x), std::slice::from_ref(&written), false);
    gives("Cast", to(DType::U64), &[written], &[x], false);
    let x = strings(&[3], &["-7", " 12 ", "+3"]);
    gives(
        "Cast",
        to(DType::I8),
        std::slice::from_ref(&x),
        &[Data::from_slice(DType::I8, &[3], &[-7i8, 12, 3])],
        false,
    );
    gives("Cast", to(DType::F16), &[x], &[Data::from_f64(DType::F16, &[3], [-7.0, 12.0, 3.0])], false);
    gives("Cast", to(DType::Str), &[flags(&[2], &[1, 0])], &[strings(&[2], &["1", "0"])], false);
    fails("Cast", to(DType::I64), &[strings(&[1], &["seven"])], "\"seven\" is no integer");
    fails("Cast", to(DType::F32), &[strings(&[1], &[""])], "is no number");
}

#[test]
fn a_library_names_what_it_calls() {
    let x = strings(&[1], &["a b"]);
    let model = compiler().decode("m.onnx", model("StringSplit", vec![], &[x], 1, true)).expect("a model");
    let artifact = compiler().compile(&model, &options(OptIn::DataflowIr)).expect("code");
    let view: String = artifact.load().expect("a library").metadata().to_owned();
    assert!(view.contains(r#""calls":["orogen.text.count_parts","orogen.text.split"]"#), "{view}");
}

#[test]
fn a_function_that_is_missing_is_named_with_the_crate_that_has_it() {
    let error =
        orogen::runtime::extern_function("orogen.text.shout").expect_err("it is not there").to_string();
    assert!(error.contains("`orogen.text.shout`") && error.contains("`orogen_hosted::register`"), "{error}");
}

#[test]
fn images_are_decoded() {
    let encoded = b"P6 2 1 255\n\xFF\x00\x80abc";
    let x = Data::from_slice(DType::U8, &[encoded.len() as u64], encoded);
    let pixels = |dims: &[u64], list: &[u8]| Data::from_slice(DType::U8, dims, list);
    gives("ImageDecoder", vec![], std::slice::from_ref(&x), &[pixels(&[1, 2, 3], b"\xFF\x00\x80abc")], true);
    let bgr = vec![text("pixel_format", "BGR")];
    gives("ImageDecoder", bgr, std::slice::from_ref(&x), &[pixels(&[1, 2, 3], b"\x80\x00\xFFcba")], true);
    let grey = vec![text("pixel_format", "Grayscale")];
    gives("ImageDecoder", grey.clone(), &[x], &[pixels(&[1, 2, 1], &[91, 98])], true);
    let broken = Data::from_slice(DType::U8, &[4], b"\xFF\xD8\xFFx");
    gives("ImageDecoder", grey, &[broken], &[pixels(&[0, 0, 1], &[])], true);
    let large = b"P6 60000 60000 255\n";
    let large = Data::from_slice(DType::U8, &[large.len() as u64], large);
    fails("ImageDecoder", vec![], std::slice::from_ref(&large), "60000 by 60000");
    fails("ImageDecoder", vec![text("pixel_format", "CMYK")], &[large], "no order of colours");
}
