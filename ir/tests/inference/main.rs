//! Inference of every operator, as text.
//!
//! A case is one line of a `.ops` file: `given fact, …: op(types) {attributes} => types requires fact, …`, or
//! `=> error[CODE]: message`. A type is `f32[n, 3]`, with known elements `i64[2] = [n, 3]`, of known rank
//! `f32 rank 2`, or of unknown shape `f32 ?`; other types stand as in programs.
//!
//! `BLESS=1 cargo test -p orogen-ir --test inference` rewrites what stands after `=>`; read the difference.

use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::{InferCx, OpDef, OpRegistry};
use orogen_ir::scalar::ScalarFn;
use orogen_ir::shape::ShapeCx;
use orogen_ir::text::{
    Cursor, SymbolPolicy, TokenKind, constraint_text, dims_text, parse_attrs, parse_constraint, parse_dims,
    parse_dtype, parse_int, parse_type, type_text,
};
use orogen_ir::types::{DType, ShapeInfo, TensorType, Type};
use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inference");
    let entries = std::fs::read_dir(folder).expect("the folder of this test");
    let mut files: Vec<PathBuf> = entries
        .map(|it| it.expect("a readable entry").path())
        .filter(|it| it.extension().is_some_and(|it| it == "ops"))
        .collect();
    files.sort();
    files
}

#[test]
fn inference_gives_the_written_types() {
    let ops = OpRegistry::standard();
    let bless = std::env::var_os("BLESS").is_some();
    let mut failures = Vec::new();
    let mut cases = 0;
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let mut out = String::new();
        for (i, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                out += line;
            } else {
                cases += 1;
                let question = line.split(" => ").next().expect("the first part").trim_end();
                let answer = format!("{question} => {}", infer(&ops, question));
                if answer != line {
                    let name = file.file_name().expect("a file").to_string_lossy();
                    failures.push(format!("{name}:{}\n  written:  {line}\n  inferred: {answer}", i + 1));
                }
                out += &answer;
            }
            out.push('\n');
        }
        if bless && out != text {
            std::fs::write(&file, out).expect("a writable file");
        }
    }
    assert!(cases > 200, "only {cases} cases are found");
    assert!(bless || failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_standard_operator_is_covered() {
    let all: String =
        files().iter().map(|it| std::fs::read_to_string(it).expect("a readable file")).collect();
    let ops = OpRegistry::standard();
    let covered = |def: &OpDef| def.function.is_some() || all.contains(&format!("\n{}(", def.name));
    let missing: Vec<&str> = ops.iter().filter(|(_, def)| !covered(def)).map(|(_, def)| def.name).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

/// The types that an operator over a function takes and gives are those of the function's row.
#[test]
fn operators_over_functions_follow_their_rows() {
    let ops = OpRegistry::standard();
    for function in ScalarFn::all() {
        let Some(name) = function.operator() else { continue };
        assert!(ops.def(ops.get(name)).elementwise, "{name}");
        for dtype in DType::ALL {
            let operands = vec![format!("{dtype}[n, 3]"); function.arity()].join(", ");
            let answer = infer(&ops, &format!("{name}({operands})"));
            let result = match function {
                ScalarFn::Unary(op) => op.result(dtype),
                ScalarFn::Binary(_) => dtype,
                ScalarFn::Compare(_) => DType::Bool,
            };
            match function.operands().admits(dtype) {
                true => assert_eq!(answer, format!("{result}[n, 3]"), "{name}"),
                false => assert!(answer.starts_with("error[O013]"), "{name}({dtype}): {answer}"),
            }
        }
    }
}

#[test]
fn the_table_of_operators_lists_each_with_its_attributes() {
    let text = include_str!("../../src/ops/operators.md");
    let written: Vec<String> = text
        .lines()
        .filter(|it| it.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            format!("{} {}", cells[1].trim_matches('`'), cells[3])
        })
        .collect();
    let ops = OpRegistry::standard();
    let mut expected: Vec<String> = ops
        .iter()
        .filter(|(_, def)| !matches!(def.function, Some(ScalarFn::Unary(_))))
        .map(|(_, def)| {
            let attrs = def.attrs.iter().map(|it| match it.required {
                true => it.name.to_owned(),
                false => format!("({})", it.name),
            });
            format!("{} {}", def.name, attrs.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let mut written = written;
    written.sort();
    expected.sort();
    assert_eq!(written, expected);
}

/// The right side of a case.
fn infer(ops: &OpRegistry, question: &str) -> String {
    let mut shapes = ShapeCx::new();
    match evaluate(ops, question, &mut shapes) {
        Ok(answer) => answer,
        Err(diagnostic) => {
            let help = diagnostic.help.map_or(String::new(), |it| format!(" (help: {it})"));
            format!("error[{}]: {}{help}", diagnostic.code, diagnostic.message)
        }
    }
}

fn evaluate(ops: &OpRegistry, question: &str, shapes: &mut ShapeCx) -> Result<String, Diagnostic> {
    let mut cursor = Cursor::new(question);
    if cursor.eat_word("given") {
        loop {
            let fact = parse_constraint(&mut cursor, shapes, SymbolPolicy::Create)?;
            shapes.assume(fact).expect("facts of a case do not contradict each other");
            if !cursor.eat_punct(",") {
                break;
            }
        }
        cursor.expect_punct(":")?;
    }
    let name = cursor.expect_ident("an operator")?;
    cursor.expect_punct("(")?;
    let args = cursor.list(")", |cursor| parse_short(cursor, shapes))?;
    let attrs = parse_attrs(&mut cursor)?;
    if !cursor.at_end() {
        return Err(cursor.expected("the end of the case"));
    }
    let op = ops.find(&name).ok_or_else(|| cursor.expected("an operator"))?;
    let mut cx = InferCx::new(shapes, &attrs, &args);
    let results = ops.infer(op, &mut cx)?;
    let requirements = cx.requirements;
    let results: Vec<String> = results.iter().map(|it| short_text(shapes, it)).collect();
    let mut answer = results.join(", ");
    if !requirements.is_empty() {
        let list: Vec<String> =
            requirements.iter().map(|it| constraint_text(shapes, &it.constraint)).collect();
        answer += &format!(" requires {}", list.join(", "));
    }
    Ok(answer)
}

fn parse_short(cursor: &mut Cursor<'_>, shapes: &mut ShapeCx) -> Result<Type, Diagnostic> {
    if cursor.eat_word("object") {
        return Ok(Type::Object);
    }
    // Other types in full.
    if let TokenKind::Ident(word) = cursor.peek()
        && word.starts_with(char::is_uppercase)
    {
        return parse_type(cursor, shapes, SymbolPolicy::Create);
    }
    let mut ty = TensorType::unknown(parse_dtype(cursor)?);
    if cursor.eat_word("rank") {
        ty.shape = ShapeInfo::Rank(parse_int(cursor)? as u8);
    } else if !cursor.eat_punct("?") {
        ty.shape = ShapeInfo::Known(parse_dims(cursor, shapes, SymbolPolicy::Create)?);
    }
    if *cursor.peek() == TokenKind::Punct("=") {
        cursor.bump();
        ty = ty.with_elements(parse_dims(cursor, shapes, SymbolPolicy::Create)?);
    }
    Ok(Type::Tensor(ty))
}

fn short_text(shapes: &ShapeCx, ty: &Type) -> String {
    let Some(ty) = ty.as_tensor() else { return type_text(shapes, ty) };
    let shape = match &ty.shape {
        ShapeInfo::Known(dims) => dims_text(shapes, dims),
        ShapeInfo::Rank(rank) => format!(" rank {rank}"),
        ShapeInfo::Unknown => " ?".to_owned(),
        ShapeInfo::Never => " never".to_owned(),
    };
    let elements = ty.elements.as_ref().map_or(String::new(), |it| format!(" = {}", dims_text(shapes, it)));
    format!("{}{shape}{elements}", ty.dtype)
}
