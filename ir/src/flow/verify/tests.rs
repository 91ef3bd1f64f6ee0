//! One violation or more for each law, found where it is.

use crate::diag::Place;
use crate::flow::{
    Binding, BlockKind, Definition, Function, Module, Rhs, Scope, ValueDef, difference, same_structure, text,
};
use crate::ops::OpRegistry;
use crate::shape::Constraint;
use crate::types::Effects;

const GOOD: &str = "module @m {
  sym k, n
  extern @log = \"log\" !io {
    size n
    in %x: f32[n]
  }
  kernel @copy {
    size n
    in %a: f32[n]
    out %b: f32[n]
    for i < n { %b[i] = %a[i] }
  }
  fn @main(%x: Tensor<f32, [n]>, %c: Tensor<bool, []>) -> (y: Tensor<f32, [n]>) !io !abort {
    dataflow {
      %0 = exp(%x) : Tensor<f32, [n]>
      %1 = call @copy(%0) [n] : Tensor<f32, [n]>
      %2 = match_cast(%1) : Tensor<f32, [k]>
      check n >= 2, \"two\"
      yield %1
    }
    effect {
      call @log(%1) [n]
      %3 = if %c {
        return %x
      } else {
        return %1
      } : Tensor<f32, [n]>
      %4 = while (%3) cond (%5: Tensor<f32, [n]>) {
        return %c
      } body (%6: Tensor<f32, [n]>) {
        return %6
      } : Tensor<f32, [n]>
    }
    return %4
  }
}
";

fn good() -> Module {
    text::parse(GOOD, &OpRegistry::standard()).unwrap_or_else(|it| panic!("{it}"))
}

fn main_of(module: &mut Module) -> &mut Function {
    match &mut module.definitions["main"] {
        Definition::Function(it) => it,
        _ => panic!("`main` is a function"),
    }
}

/// The laws that the verifier reports, with the lines.
fn violations(module: &Module) -> Vec<(u32, &'static str)> {
    let ops = OpRegistry::standard();
    let Err(found) = module.verify(&ops) else { return Vec::new() };
    let printed = text::print(module, &ops);
    let lines: Vec<&str> = printed.lines().collect();
    found
        .iter()
        .map(|it| match &it.place {
            Some(Place::Text { line, source, .. }) => {
                assert_eq!(lines[*line as usize - 1], source, "T3");
                (*line, it.code)
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

fn after(edit: impl Fn(&mut Module)) -> Vec<(u32, &'static str)> {
    let mut module = good();
    edit(&mut module);
    violations(&module)
}

fn after_text(from: &str, to: &str) -> Vec<(u32, &'static str)> {
    let text = GOOD.replacen(from, to, 1);
    assert_ne!(text, GOOD, "{from}");
    violations(&text::parse(&text, &OpRegistry::standard()).unwrap_or_else(|it| panic!("{it}")))
}

#[test]
fn the_good_module_is_good() {
    assert_eq!(violations(&good()), []);
}

#[test]
fn f1_use_before_definition() {
    let found = after(|it| {
        let f = main_of(it);
        let block = f.regions[f.body].blocks[0];
        f.blocks[block].order.swap(0, 1);
    });
    assert_eq!(found, [(15, "F001")]);
}

#[test]
fn f2_defined_twice() {
    let found = after(|it| {
        let f = main_of(it);
        let block = f.regions[f.body].blocks[0];
        let [first, second] = [0, 1].map(|i| f.blocks[block].order[i]);
        f.bindings[second].results = f.bindings[first].results.clone();
    });
    assert!(found.contains(&(16, "F002")), "{found:?}");
}

#[test]
fn f3_local_value_used_outside() {
    assert_eq!(after_text("      yield %1\n", ""), [(21, "F003"), (25, "F003")]);
}

#[test]
fn f4_and_f5_what_a_dataflow_block_admits() {
    assert_eq!(
        after_text("    effect {", "    dataflow {"),
        [(34, "F003"), (22, "F004"), (23, "F005"), (28, "F005")]
    );
}

#[test]
fn f6_types_follow() {
    assert_eq!(after_text("exp(%x) : Tensor<f32, [n]>", "exp(%x) : Tensor<f16, [n]>")[0], (15, "F006"));
    let general = after_text("exp(%x) : Tensor<f32, [n]>", "exp(%x) : Tensor<f32>");
    assert_eq!(general, [(16, "F009")], "a more general type follows, but the kernel needs to know it");
    let unchecked = after_text(
        "%2 = match_cast(%1) : Tensor<f32, [k]>\n      check n >= 2, \"two\"",
        "%2 = match_cast(%1) : Tensor<f32, [k]>\n      %9 = add(%1, %2) : Tensor<f32, [n]>",
    );
    assert_eq!(unchecked, [], "the cast establishes k = n");
}

#[test]
fn f6_requirements_need_a_check() {
    let text = "module @m {
  sym k, n
  fn @main(%x: Tensor<f32, [n]>, %y: Tensor<f32, [k]>) -> (z: Tensor<f32, [n]>) !abort {
    dataflow {
      check n == k, \"equal\"
      %0 = add(%x, %y) : Tensor<f32, [n]>
      yield %0
    }
    return %0
  }
}
";
    let ops = OpRegistry::standard();
    assert_eq!(violations(&text::parse(text, &ops).unwrap_or_else(|it| panic!("{it}"))), []);
    let text = text.replace("      check n == k, \"equal\"\n", "");
    let text = text.replace("(z: Tensor<f32, [n]>)", "(z: Tensor<f32, [broadcast(k, n)]>)");
    let text = text.replace("%y) : Tensor<f32, [n]>", "%y) : Tensor<f32, [broadcast(k, n)]>");
    let module = text::parse(&text, &ops).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(violations(&module), [(5, "F006")]);
    let text = text.replace("    dataflow {\n", "    dataflow {\n      check k ~ n, \"broadcast\"\n");
    assert_eq!(violations(&text::parse(&text, &ops).unwrap_or_else(|it| panic!("{it}"))), []);
}

#[test]
fn f6_sizes_that_only_data_decide() {
    let text = "module @m {
  sym count, n
  fn @main(%x: Tensor<f32, [n]>) -> (z: Tensor<i64, [1, count]>) !abort {
    dataflow {
      %0 = non_zero(%x) : Tensor<i64, [1, count]>
      %1 = neg(%0) : Tensor<i64, [1, count]>
      yield %1
    }
    return %1
  }
}
";
    let ops = OpRegistry::standard();
    let found = |from: &str, to: &str| {
        assert!(text.contains(from));
        let module = text::parse(&text.replacen(from, to, 1), &ops).unwrap_or_else(|it| panic!("{it}"));
        violations(&module)
    };
    assert_eq!(found("", ""), []);
    let claim = found("non_zero(%x) : Tensor<i64, [1, count]>", "non_zero(%x) : Tensor<i64, [1, n]>");
    assert_eq!(claim[0], (5, "F006"), "how many elements are not 0 is not known");
    let again = found(
        "neg(%0) : Tensor<i64, [1, count]>\n      yield %1",
        "non_zero(%x) : Tensor<i64, [1, count]>\n      yield %1",
    );
    assert_eq!(again, [(6, "F006")], "each result has a symbol of its own");
    let late = found("      %0", "      check count >= 1, \"some\"\n      %0");
    assert_eq!(late, [(5, "F007")], "the operation binds the symbol");
    let early = found("      yield", "      check n - count >= 0, \"fewer\"\n      yield");
    assert_eq!(early, []);
}

#[test]
fn f6_nothing_is_asked_of_what_is_never_reached() {
    let text = "module @m {
  sym n
  fact n <= 1
  fn @main(%x: Tensor<f32, [n]>, %c: Tensor<bool, []>) -> (y: Tensor<f32, [n]>) !abort {
    effect {
      %0 = if %c {
        dataflow {
          check n >= 2, \"two\"
          %1 = exp(%x) : Tensor<f32, [2*n]>
          yield %1
        }
        return %x
      } else {
        return %x
      } : Tensor<f32, [n]>
    }
    dataflow {
      %2 = exp(%x) : Tensor<f32, [n]>
      %3 = exp(%2) : Tensor<f32, [n]>
      yield %3
    }
    return %3
  }
}
";
    let parse = |text: &str| text::parse(text, &OpRegistry::standard()).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(violations(&parse(text)), []);
    let reached = text.replace("n >= 2", "n >= 1");
    assert_eq!(violations(&parse(&reached)), [(9, "F006")]);
    let behind = text.replace("%2 = exp(%x) : Tensor<f32, [n]>", "%2 = exp(%x) : Tensor<f32, [2*n]>");
    assert_eq!(violations(&parse(&behind)), [(18, "F006"), (19, "F006")]);
}

#[test]
fn f7_unbound_symbols() {
    let found = after_text("%2 = match_cast(%1) : Tensor<f32, [k]>", "%2 = view(%1) : Tensor<f32, [k]>");
    assert_eq!(found, [(17, "F007")]);
    assert_eq!(after_text("check n >= 2", "check k + n >= 2"), []);
    let found = after_text("%c: Tensor<bool, []>) ->", "%c: Tensor<bool, []>, %d: Tensor<f32, [2*k]>) ->");
    assert_eq!(found, [(13, "F007")]);
}

#[test]
fn f8_nothing_belongs_to_two() {
    let found = after(|it| {
        let f = main_of(it);
        let block = f.regions[f.body].blocks[0];
        f.regions[f.body].blocks.push(block);
    });
    assert!(matches!(found[..], [(_, "F008")]), "{found:?}");
    let found = after(|it| {
        let f = main_of(it);
        let block = f.regions[f.body].blocks[0];
        let binding = f.blocks[block].order[0];
        f.blocks[block].order.push(binding);
    });
    assert!(matches!(found[..], [(_, "F008")]), "{found:?}");
}

#[test]
fn f9_kernel_calls() {
    assert_eq!(after_text("call @copy(%0) [n]", "call @copy(%0, %0) [n]"), [(16, "F009")]);
    assert_eq!(after_text("call @copy(%0) [n]", "call @copy(%0)"), [(16, "F009")]);
    assert_eq!(after_text("call @copy(%0) [n]", "call @other(%0) [n]"), [(16, "F009")]);
    assert_eq!(after_text("call @copy(%0) [n]", "call @copy(%0) [n + 1]"), [(16, "F009")]);
}

#[test]
fn f10_names() {
    let found = after(|it| main_of(it).params[1].name = "x".to_owned());
    assert_eq!(found, [(13, "F010")]);
    let found = after(|it| main_of(it).outputs.clear());
    assert_eq!(found, [(13, "F010")]);
}

#[test]
fn f11_what_regions_return() {
    assert_eq!(after_text("        return %x\n", "        return %c\n"), [(24, "F011")]);
    assert_eq!(after_text("        return %c\n", "        return %5\n"), [(29, "F011")]);
    assert_eq!(after_text("        return %6\n", "        return %6, %6\n"), [(31, "F011")]);
    assert_eq!(after_text("while (%3)", "while (%c)"), [(28, "F011")]);
    assert_eq!(after_text("if %c {", "if %x {"), [(23, "F011")]);
    let text = "      } : Tensor<f32, [n]>\n      %4";
    assert_eq!(after_text(text, "      } : Tensor<f32, [n + 1]>\n      %4")[..1], [(24, "F011")]);
}

#[test]
fn f11_sizes_that_change_from_turn_to_turn() {
    let text = "module @m {
  sym k, last, n
  fn @main(%x: Tensor<f32, [n]>, %c: Tensor<bool, []>) -> (y: Tensor<f32, [last]>) {
    effect {
      %0 = while (%x) cond (%1: Tensor<f32, [k]>) {
        return %c
      } body (%2: Tensor<f32, [k]>) {
        dataflow {
          %3 = concat(%2, %x) {axis = 0} : Tensor<f32, [k + n]>
          yield %3
        }
        return %3
      } : Tensor<f32, [last]>
    }
    return %0
  }
}
";
    let ops = OpRegistry::standard();
    let found = |from: &str, to: &str| {
        assert!(text.contains(from));
        let module = text::parse(&text.replace(from, to), &ops).unwrap_or_else(|it| panic!("{it}"));
        violations(&module)
    };
    assert_eq!(found("sym", "sym"), []);
    let kept = found("[last]", "[k]");
    assert_eq!(kept, [(5, "F011")], "what is found out about the last size does not hold in every turn");
    let claim = found("[last]", "[n]");
    assert!(claim.contains(&(5, "F011")), "{claim:?}");
    let static_size = found("[k]", "[n]");
    assert!(static_size.contains(&(12, "F011")), "{static_size:?}");
}

#[test]
fn f12_declared_effects() {
    assert_eq!(after_text(" !io !abort {", " !abort {"), [(13, "F012")]);
    assert_eq!(after(|it| main_of(it).effects = Effects::IO | Effects::ABORT | Effects::WRITE), []);
}

#[test]
fn dead_code_goes_and_checks_stay() {
    let ops = OpRegistry::standard();
    let mut module = good();
    let f = main_of(&mut module);
    let block = f.regions[f.body].blocks[0];
    let value = f.params[0].value;
    let n = f.values[value].ty.as_tensor().and_then(|it| it.dims().map(|it| it[0])).expect("a dimension");
    let rhs = Rhs::Op { op: ops.get("exp"), attrs: Default::default(), args: [value].as_slice().into() };
    let dead = f.bindings.alloc(Binding { results: Default::default(), rhs, source: Default::default() });
    let ty = f.values[value].ty.clone();
    let def = ValueDef::Result(dead, 0);
    let result = f.values.alloc(crate::flow::Value { ty, def, scope: Scope::BlockLocal, name: None });
    f.bindings[dead].results.push(result);
    f.blocks[block].order.push(dead);
    assert_eq!(violations(&module), []);
    assert_eq!(module.remove_dead_code(&ops), 1);
    assert!(same_structure(&module, &good()));
    let before = module.clone();
    module.compact();
    assert_eq!(difference(&module, &before), None);
    let f = main_of(&mut module);
    assert_eq!(f.bindings.len(), f.live_bindings().len());
    assert!(module.shapes.facts().all(|it| *it != Constraint::AtLeast(n, 7)));
}

#[test]
fn the_editor_emits_types_and_replaces_uses() {
    let ops = OpRegistry::standard();
    let mut module = good();
    module
        .edit(&ops, |editor| {
            let block = editor.blocks()[0];
            let first = editor.order(block)[0];
            let (x, old) = (editor.binding(first).rhs.operands()[0], editor.binding(first).results[0]);
            editor.before(first);
            let rhs = Rhs::Call { callee: "log".into(), args: Default::default(), sizes: Default::default() };
            let refused = editor.emit(rhs).expect_err("an effect cannot be emitted");
            assert_eq!(refused.code, "B027");
            let uses = editor.uses(old);
            let new = editor.op(ops.get("relu"), Default::default(), &[x])?[0];
            editor.replace(old, new);
            assert_eq!((editor.uses(old), editor.uses(new)), (0, uses));
            editor.remove(first);
            assert_eq!(editor.block_of(first), None);
            Ok::<(), crate::diag::Diagnostic>(())
        })
        .expect("edited");
    assert_eq!(violations(&module), []);
    assert!(text::print(&module, &ops).contains("%0 = relu(%x) : Tensor<f32, [n]>"));
    let f = main_of(&mut module);
    assert_eq!(f.blocks[f.regions[f.body].blocks[0]].kind, BlockKind::Dataflow);
}

#[test]
fn f13_what_a_body_binds_is_its_own() {
    let module = |first: &str, second: &str| {
        let function = |name: &str, k: &str| {
            format!(
                "fn @{name}(%x: Tensor<f32, [n]>) -> (y: Tensor<i64, [1, {k}]>) {{
                   dataflow {{
                     %y = non_zero(%x) : Tensor<i64, [1, {k}]>
                     yield %y
                   }}
                   return %y
                 }}"
            )
        };
        let text =
            format!("module @m {{ sym n, k, j\n {}\n {} }}", function("f", first), function("g", second));
        let ops = OpRegistry::standard();
        text::parse(&text, &ops).expect("text").verify(&ops)
    };
    module("k", "j").expect("each has its own");
    let found = module("k", "k").expect_err("shared");
    assert_eq!(found.0[0].code, "F013");
    assert!(found.to_string().contains("mentioned in two, `@f` and `@g`"), "{found}");
}

#[test]
fn f14_defaults_of_parameters() {
    const HEADER: &str = "  fn @main(%x: Tensor<f32, [n]>, %c: Tensor<bool, []>)";
    let with = |params: &str| {
        let text = GOOD.replace(HEADER, &format!("  fn @main({params})"));
        let module = text::parse(&text, &OpRegistry::standard()).unwrap_or_else(|it| panic!("{it}"));
        let printed = text::print(&module, &OpRegistry::standard());
        assert!(printed.contains(params), "{printed}");
        let mut compact = module.clone();
        compact.compact();
        assert!(same_structure(&module, &compact), "defaults are kept");
        violations(&module)
    };
    assert_eq!(with("%x: Tensor<f32, [n]>, %c: Tensor<bool, []> = bool[] [true]"), []);
    assert_eq!(with("%x: Tensor<f32, [n]> = \"w\" f32[2] [1, 2], %c: Tensor<bool, []> = bool[] [true]"), []);
    let law = |found: Vec<(u32, &'static str)>| assert_eq!(found, [(13, "F014")]);
    law(with("%x: Tensor<f32, [n]> = f32[2] [1, 2], %c: Tensor<bool, []>"));
    law(with("%x: Tensor<f32, [n]>, %c: Tensor<bool, []> = bool[1] [true]"));
    law(with("%x: Tensor<f32, [n]>, %c: Tensor<bool, []> = i8[] [1]"));
    let text = GOOD.replace("%c: Tensor<bool, []>)", "%c: Tensor<bool, []> = bool[] [true])");
    let read = |text: &str| text::parse(text, &OpRegistry::standard()).unwrap_or_else(|it| panic!("{it}"));
    let other = text.replacen("bool[] [true]", "bool[] [false]", 1);
    assert!(difference(&read(&text), &read(&other)).is_some_and(|it| it.contains("default")));
    assert!(difference(&read(&text), &good()).is_some_and(|it| it.contains("default")));
}
