use super::constants::literal_text;
use super::*;
use crate::diag::Place;
use crate::shape::{Constraint, ShapeCx};
use crate::types::{Attrs, Bytes, ConstId, ConstPool, DType, Digest, TensorData};

fn type_cycle(text: &str) {
    let mut shapes = ShapeCx::new();
    let mut cursor = Cursor::new(text);
    let ty = parse_type(&mut cursor, &mut shapes, SymbolPolicy::Create).unwrap_or_else(|it| panic!("{it}"));
    assert!(cursor.at_end(), "all of {text}");
    assert_eq!(type_text(&shapes, &ty), text);
}

#[test]
fn types_round_trip() {
    for text in [
        "Tensor<f32>",
        "Tensor<bf16, []>",
        "Tensor<f32, [n, 2*n + 1]>",
        "Tensor<f32, rank 3>",
        "Tensor<i64, [2], [n, -1]>",
        "Tensor<bool, [0], []>",
        "Tensor<f32, [floordiv(n + 1, 2), min(n, 4), \"a b\", \"min\"]>",
        "Shape",
        "Shape<[n, 3]>",
        "Shape<rank 0>",
        "Scalar<i64>",
        "Scalar<i64, -9223372036854775808>",
        "Tuple<>",
        "Tuple<Object, Sequence<Tensor<i8>>>",
        "Optional<State<Tensor<f64, [n*n]>>>",
        "Function<(Object, Shape) -> (Scalar<u8>) !abort !io>",
        "Function<() -> ()>",
    ] {
        type_cycle(text);
    }
}

#[test]
fn bad_types_are_errors_with_places() {
    let cases = [
        ("Tensr<f32>", "T052", 1, 5),
        ("Tensor<f33>", "T010", 8, 3),
        ("Tensor<f32, [n, 1 + ]>", "T010", 21, 1),
        ("Tensor<i64, [2], [n]>", "T053", 18, 3),
        ("Tensor<f32, [2], [n, n]>", "T054", 18, 6),
        ("Tensor<f32, [9223372036854775808]>", "T020", 14, 19),
        ("Tensor<f32, [4 * 9223372036854775807]>", "T043", 14, 23),
        ("Tensor<f32, [floordiv(n, 0)]>", "T043", 14, 14),
        ("Tensor<f32, [mod(n)]>", "T042", 14, 6),
        ("Tensor<f32, [foo(n)]>", "T041", 14, 3),
        ("Tensor<f32, rank 256>", "T051", 18, 3),
        ("Tensor<f32", "T010", 11, 1),
        ("", "T010", 1, 1),
    ];
    for (text, code, column, length) in cases {
        let mut shapes = ShapeCx::new();
        let mut cursor = Cursor::new(text);
        let error = parse_type(&mut cursor, &mut shapes, SymbolPolicy::Create).expect_err(text);
        assert_eq!(error.code, code, "{error}");
        match error.place.as_ref().expect("a place") {
            Place::Text { line: 1, column: c, length: l, source } => {
                assert_eq!((*c, *l, source.as_str()), (column, length, text), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
    let mut cursor = Cursor::new("Tensor<f32, [n]>");
    let error = parse_type(&mut cursor, &mut ShapeCx::new(), SymbolPolicy::Declared).expect_err("undeclared");
    assert_eq!(error.code, "T040");
}

#[test]
fn deep_nesting_is_an_error() {
    let text = "Tuple<".repeat(100_000);
    let error = parse_type(&mut Cursor::new(&text), &mut ShapeCx::new(), SymbolPolicy::Create);
    assert_eq!(error.expect_err("too deep").code, "T011");
    let text = format!("Shape<[{}", "(".repeat(100_000));
    let error = parse_type(&mut Cursor::new(&text), &mut ShapeCx::new(), SymbolPolicy::Create);
    assert_eq!(error.expect_err("too deep").code, "T011");
}

#[test]
fn facts_round_trip() {
    for text in ["n >= 1", "n <= 4096", "b*s == h*t", "8 | n", "-8 | n + 1"] {
        let mut shapes = ShapeCx::new();
        let fact = parse_constraint(&mut Cursor::new(text), &mut shapes, SymbolPolicy::Create)
            .unwrap_or_else(|it| panic!("{it}"));
        assert_eq!(constraint_text(&shapes, &fact), text);
    }
    let mut shapes = ShapeCx::new();
    let fact = parse_constraint(&mut Cursor::new("mod(n, 8) == 0"), &mut shapes, SymbolPolicy::Create);
    assert!(matches!(fact, Ok(Constraint::Eq(..))), "{fact:?}");
    let fact = parse_constraint(&mut Cursor::new("0 | n"), &mut shapes, SymbolPolicy::Create);
    assert_eq!(fact.expect_err("zero divides nothing").code, "T044");
}

#[test]
fn attributes_round_trip() {
    let attrs = Attrs::none()
        .with("axis", -1)
        .with("keep", true)
        .with("to", DType::BF16)
        .with("mode", "a \"b\"\\\n\u{7}é")
        .with("pads", vec![0_i64, i64::MIN, i64::MAX])
        .with("none", Vec::<i64>::new())
        .with("nothing", Vec::<f64>::new())
        .with("scales", vec![1.0, -0.0, 1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN])
        .with("odd", f64::from_bits(0xfff8_0000_0000_0123))
        .with("eps", 1e-5)
        .with("big", 1e16)
        .with("a b", 1);
    let text = attrs_text(&attrs);
    let mut cursor = Cursor::new(&text);
    let read = parse_attrs(&mut cursor).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(read, attrs);
    assert!(cursor.at_end() && !cursor.has_errors());
    assert_eq!(attrs_text(&read), text);

    let mut cursor = Cursor::new("{a = 1, a = 2}");
    assert_eq!(parse_attrs(&mut cursor).expect_err("twice").code, "T030");
}

#[test]
fn numbers_in_hexadecimal() {
    let read = |text: &str| parse_float(&mut Cursor::new(text));
    assert_eq!(read("0x1.8p3"), Ok(12.0));
    assert_eq!(read("0x1p-1074"), Ok(5e-324));
    assert_eq!(read("0x1.fffffffffffffp1023"), Ok(f64::MAX));
    assert_eq!(read("0x10"), Ok(16.0));
    assert!(read("0x1.ffffffffffffff1p0").is_err(), "more digits than a double holds");
    assert_eq!(parse_int(&mut Cursor::new("-0x8000000000000000")), Ok(i64::MIN));
    for text in ["1e", "1.2.3", "0xg", "12ab"] {
        assert!(read(text).is_err(), "{text}");
    }
}

fn literal_cycle(data: &TensorData) {
    let text = literal_text(ConstId(3), "w", data, None);
    let mut cursor = Cursor::new(&text);
    let (read, name) = parse_literal(&mut cursor).unwrap_or_else(|it| panic!("{it}"));
    assert!(cursor.at_end(), "{text}");
    assert_eq!(name, "w");
    match read {
        Literal::Inline(read) => assert_eq!(&read, data, "{text}"),
        Literal::Pool { id, dtype, dims } => {
            assert_eq!((id, dtype, &dims[..]), (ConstId(3), data.dtype(), data.dims()));
        }
        Literal::Known { .. } => panic!("no digest is known: {text}"),
    }
}

#[test]
fn constants_known_by_a_digest_mean_the_same_in_every_pool() {
    let large = TensorData::from_f64(DType::F32, &[65], (0..65).map(f64::from));
    let digest = Digest([7; 32]);
    let mut pool = ConstPool::default();
    pool.add("other", TensorData::ints(&[1]));
    let id = pool.add("w", large.clone());
    pool.set_digest(id, digest);
    let text = constant_text(&pool, id);
    assert_eq!(text, format!("\"w\" f32[65] sha256 \"{}\"", "07".repeat(32)));
    // A constant with its elements in the text needs no other name.
    pool.set_digest(ConstId(0), digest);
    assert_eq!(constant_text(&pool, ConstId(0)), "\"other\" i64[1] [1]");

    let mut beside = ConstPool::default();
    let unnamed = beside.add("", large);
    beside.set_digest(unnamed, digest);
    let mut constants = InlineConstants::of(&beside);
    let mut read =
        |text: &str| constants.read(&mut Cursor::new(text), &mut beside).map(|id| (id, beside.clone()));
    let (first, pool) = read(&text).expect("it is beside the text");
    assert_eq!((constant_text(&pool, first), pool.name(first)), (text.clone(), "w"));
    assert_eq!(read(&text).expect("read again").0, first);
    let (nameless, pool) = read(text.strip_prefix("\"w\" ").expect("a name")).expect("it is there");
    assert_eq!((pool.len(), nameless), (2, unnamed));
    let code = |it: Result<(ConstId, ConstPool), crate::diag::Diagnostic>| it.expect_err("refused").code;
    assert_eq!(code(read(&text.replace("07", "08"))), "T117");
    assert_eq!(code(read(&text.replace("[65]", "[5, 13]"))), "T118");
    assert_eq!(code(read(&text.replace("07", "7"))), "T065");
}

#[test]
fn constants_round_trip_bit_by_bit() {
    // Bytes that look random reach every kind of float: subnormal, infinite, NaN with payload.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    for dtype in DType::ALL {
        for round in 0..if dtype == DType::Str { 0 } else { 200 } {
            let count = round % 7;
            let mut bytes: Vec<u8> = (0..count * dtype.size()).map(|_| random()).collect();
            if round % 3 == 0 {
                for last in bytes.iter_mut().skip(dtype.size() - 1).step_by(dtype.size()) {
                    *last = if random() % 2 == 0 { 0x7f } else { 0xff };
                }
            }
            if dtype.width() < 8 {
                // Bits that do not count are not written.
                let mask = (1 << dtype.width()) - 1;
                let canonical =
                    |it: &u8| if dtype.is_float() { it & mask } else { dtype.wrap((*it).into()) as u8 };
                bytes = bytes.iter().map(canonical).collect();
            }
            let data = TensorData::from_unpacked(dtype, vec![count as u64], Bytes::from(bytes))
                .expect("right length");
            literal_cycle(&data);
        }
        literal_cycle(&TensorData::from_f64(dtype, &[], [1.0]));
        literal_cycle(&TensorData::from_f64(dtype, &[2, 0, 3], []));
        literal_cycle(&TensorData::from_f64(dtype, &[65], [1.0; 65]));
        literal_cycle(&TensorData::from_f64(dtype, &[5, 13], (0..65).map(|it| f64::from(it % 2))));
    }
    let data = TensorData::from_slice(DType::F32, &[3], &[0.1_f32, 16_777_216.0, f32::MIN_POSITIVE]);
    assert_eq!(literal_text(ConstId(0), "", &data, None), "f32[3] [0.1, 16777216, 1.1754944e-38]");
    let parts = TensorData::from_slice(DType::F64, &[2, 2], &[0.5, -0.0, f64::NAN, 3.0]);
    let complex = TensorData::new(DType::C128, vec![2], parts.bytes().clone()).expect("two parts each");
    assert_eq!(literal_text(ConstId(0), "", &complex, None), "c128[2] [(0.5, -0), (nan, 3)]");
    assert_eq!(complex.parts(), parts);
    let strings = TensorData::strings(&[2, 2], ["", "a\n", "ü\"", "a\n"]).expect("four");
    assert_eq!(
        literal_text(ConstId(0), "", &strings, None),
        "string[2, 2] [\"\", \"a\\n\", \"ü\\\"\", \"a\\n\"]"
    );
    literal_cycle(&strings);
    let large = TensorData::from_f64(DType::F32, &[65], (0..65).map(f64::from));
    assert_eq!(literal_text(ConstId(7), "w", &large, None), "#7 \"w\" : f32[65]");
}

#[test]
fn bad_constants() {
    for (text, code) in [
        ("f32[2] [1]", "T062"),
        ("u8[1] [256]", "T063"),
        ("i8[1] [-129]", "T063"),
        ("bool[1] [-1]", "T063"),
        ("f32[1] [1.2.3]", "T064"),
        ("f16[1] [nan(0x10000)]", "T064"),
        ("c64[1] [(1, nan(0x100000000))]", "T064"),
        ("c64[1] [1]", "T010"),
        ("string[2] [\"a\"]", "T062"),
        ("string[1] [1]", "T010"),
        ("string[4294967296] splat \"\"", "T061"),
        ("c64[1] [(1, 2, 3)]", "T010"),
        ("c128[1] splat (1, 2", "T010"),
        ("f32[4294967296, 4294967296] []", "T060"),
        ("f32[4294967296] splat 0", "T061"),
        ("f32[-1] []", "T050"),
    ] {
        assert_eq!(parse_literal(&mut Cursor::new(text)).expect_err(text).code, code);
    }
}

#[test]
fn lexer_reports_and_goes_on() {
    let cursor = Cursor::new("a $ \"open\n%% b \"\\q\"");
    let found = cursor.clone().finish();
    let codes: Vec<_> = found.iter().map(|it| it.code).collect();
    assert_eq!(codes, ["T001", "T004", "T002", "T002", "T003"]);
    let kinds: Vec<_> = (0..5).map(|i| cursor.peek_nth(i).clone()).collect();
    assert!(
        matches!(&kinds[..], [TokenKind::Ident(_), TokenKind::Str(_), TokenKind::Ident(_), ..]),
        "{kinds:?}"
    );
}

#[test]
fn recovery_stops_at_the_next_line_of_the_same_nesting() {
    let mut cursor = Cursor::new("bad ( 1\n2 ) {\n 3 }\ngood }");
    cursor.recover();
    assert!(cursor.at_word("good"));
    cursor.recover_since(0);
    assert!(cursor.at_word("good"), "the next statement is not skipped");
    cursor.recover();
    assert!(cursor.at_punct("}"));
}

#[test]
fn places_count_characters() {
    let text = "é \"日本\" x\r\nnext";
    let lines = LineIndex::new(text);
    let at = text.find('x').expect("it is there");
    assert_eq!(
        lines.place(at..text.len()),
        Place::Text { line: 1, column: 8, length: 1, source: "é \"日本\" x".to_owned() }
    );
    assert!(matches!(lines.place(text.len()..text.len()), Place::Text { line: 2, column: 5, length: 1, .. }));
}

#[test]
fn names_are_unique() {
    let mut names = NameAllocator::new();
    let list = [Some("x"), None, Some("x"), Some("a b"), Some("y.1")].map(|it| names.allocate(it));
    assert_eq!(list, ["x", "0", "1", "2", "y.1"]);
}
