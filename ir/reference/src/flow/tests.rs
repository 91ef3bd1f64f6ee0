use super::*;
use orogen_ir::flow::text::parse;

/// The module of a function and the operators it is written with.
fn built(text: &str) -> (OpRegistry, Module) {
    let ops = OpRegistry::standard();
    let module = parse(text, &ops).unwrap_or_else(|it| panic!("{it}"));
    module.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    (ops, module)
}

fn f32s(values: &[f32]) -> Value {
    Value::Tensor(TensorData::from_slice(DType::F32, &[values.len() as u64], values))
}

fn run(built: &(OpRegistry, Module), args: &[Value]) -> Result<Vec<Value>, EvalError> {
    eval_function(&built.0, &built.1, "main", args)
}

#[test]
fn parameters_bind_symbols_and_checks_use_them() {
    let built = built(
        "module @m {
          sym n, m
          fn @main(%x: Tensor<f32, [n]>, %y: Tensor<f32, [m]>) -> (y) !abort {
            dataflow {
              check n == m, \"same length\"
              %sum = add(%x, %y)
              %pair = tuple(%sum, %x)
              %first = get(%pair, 0)
              yield %first
            }
            return %first
          }
        }",
    );
    assert_eq!(run(&built, &[f32s(&[1.0, 2.0]), f32s(&[3.0, 4.0])]).unwrap(), [f32s(&[4.0, 6.0])]);
    let error = run(&built, &[f32s(&[1.0, 2.0]), f32s(&[3.0])]).unwrap_err();
    assert_eq!(error.kind, EvalErrorKind::CheckFailed);
    assert!(run(&built, &[f32s(&[1.0])]).is_err());
}

#[test]
fn match_cast_binds_elements() {
    let built = built(
        "module @m {
          sym n, a, b
          fn @main(%x: Tensor<f32, [n]>, %s: Tensor<i64, [2]>) -> (y) !abort {
            dataflow {
              %cast = match_cast(%s) : Tensor<i64, [2], [a, b]>
              check a >= 1, \"no zeros\"
              check b >= 1, \"no zeros\"
              check n == a*b, \"as many elements\"
              %y = reshape(%x, %cast)
              yield %y
            }
            return %y
          }
        }",
    );
    let shape = |v: &[i64]| Value::Tensor(TensorData::ints(v));
    let y = run(&built, &[f32s(&[0.0; 6]), shape(&[2, 3])]).unwrap();
    assert_eq!(y[0].as_tensor().unwrap().dims(), [2, 3]);
    assert!(run(&built, &[f32s(&[0.0; 6]), shape(&[4, 2])]).is_err());
}

#[test]
fn branches_and_loops() {
    // while sum(x) < 10 { x = x + x }; then if sum(x) < 12 { x } else { -x }
    let built = built(
        "module @m {
          sym n
          fn @main(%x: Tensor<f32, [n]>, %ten: Tensor<f32, []>, %twelve: Tensor<f32, []>) -> (y) {
            effect {
              %grown = while (%x) cond (%a: Tensor<f32, [n]>) {
                dataflow {
                  %s = reduce_sum(%a) {axes = [0]}
                  %on = less(%s, %ten)
                  yield %on
                }
                return %on
              } body (%b: Tensor<f32, [n]>) {
                dataflow { %c = add(%b, %b) yield %c }
                return %c
              } : Tensor<f32, [n]>
            }
            dataflow {
              %t = reduce_sum(%grown) {axes = [0]}
              %small = less(%t, %twelve)
              yield %small
            }
            effect {
              %y = if %small { return %grown } else {
                dataflow { %minus = neg(%grown) yield %minus }
                return %minus
              } : Tensor<f32, [n]>
            }
            return %y
          }
        }",
    );
    let limit = |v: f32| Value::Tensor(TensorData::from_slice(DType::F32, &[], &[v]));
    let go = |x: &[f32]| run(&built, &[f32s(x), limit(10.0), limit(12.0)]);
    assert_eq!(go(&[1.0, 2.0]).unwrap(), [f32s(&[-4.0, -8.0])]);
    assert_eq!(go(&[11.0]).unwrap(), [f32s(&[11.0])]);
    assert_eq!(go(&[5.0, 0.5]).unwrap(), [f32s(&[10.0, 1.0])]);
}

#[test]
fn r3_a_loop_without_end_is_an_answer() {
    let built = built(
        "module @m {
          fn @main(%x: Tensor<f32, [2]>, %go: Tensor<bool, []>) -> (y) {
            effect {
              %y, %still = while (%x, %go) cond (%a: Tensor<f32, [2]>, %b: Tensor<bool, []>) {
                return %b
              } body (%c: Tensor<f32, [2]>, %d: Tensor<bool, []>) {
                dataflow { %e = add(%c, %c) yield %e }
                return %e, %d
              } : Tensor<f32, [2]>, Tensor<bool, []>
            }
            return %y
          }
        }",
    );
    let flag = |go: f64| Value::Tensor(TensorData::from_f64(DType::Bool, &[], [go]));
    let run = |steps: u64, go: f64| {
        let host = Host::new().with_limit(steps);
        eval_function_with(&host, &built.0, &built.1, "main", &[f32s(&[1.0, 2.0]), flag(go)])
    };
    assert_eq!(run(1000, 0.0).unwrap(), [f32s(&[1.0, 2.0])]);
    let error = run(1000, 1.0).unwrap_err();
    assert_eq!(error.kind, EvalErrorKind::LimitReached);
    let found = orogen_ir::diag::Diagnostic::from(error);
    assert_eq!((found.code, found.help.is_some()), ("E007", true), "{found}");
    assert!(found.message.contains("1000 steps"), "{found}");
}

/// What an operator costs is taken before it is done: no memory for it either.
#[test]
fn r3_what_is_too_large_is_not_begun() {
    let built = built(
        "module @m {
          fn @main(%x: Tensor<f32, [1]>) -> (y) {
            dataflow {
              %s = const i64[3] [100000, 100000, 10]
              %y = expand(%x, %s)
              yield %y
            }
            return %y
          }
        }",
    );
    let host = Host::new().with_limit(1 << 20);
    let error = eval_function_with(&host, &built.0, &built.1, "main", &[f32s(&[1.0])]).unwrap_err();
    assert_eq!(error.kind, EvalErrorKind::LimitReached);
}

#[test]
fn sequences_hold_what_is_put_into_them() {
    let built = built(
        "module @m {
          sym n, k
          fn @main(%s: Sequence<Tensor<f32, rank 1>>, %x: Tensor<f32, [n]>, %i: Tensor<i64, []>) -> (y, s, count) !abort {
            dataflow {
              %more = sequence_insert(%s, %x, %i)
              %less = sequence_erase(%more)
              %count = sequence_length(%less)
              %item = sequence_at(%more, %i) : Tensor<f32, [k]>
              %y = add(%item, %item)
              yield %y, %less, %count
            }
            return %y, %less, %count
          }
        }",
    );
    let int = |it: i64| Value::Tensor(TensorData::from_slice(DType::I64, &[], &[it]));
    let of = |items: &[&[f32]]| Value::Sequence(items.iter().map(|it| f32s(it)).collect());
    let call = |s: Value, i: i64| run(&built, &[s, f32s(&[1.0, 2.0]), int(i)]);
    assert_eq!(
        call(of(&[&[5.0], &[6.0]]), 1).unwrap(),
        [f32s(&[2.0, 4.0]), of(&[&[5.0], &[1.0, 2.0]]), int(2)]
    );
    // Before the last item; the item at −1 of what results is another one.
    assert_eq!(call(of(&[&[5.0], &[6.0]]), -1).unwrap(), [f32s(&[12.0]), of(&[&[5.0], &[1.0, 2.0]]), int(2)]);
    assert_eq!(call(of(&[]), 0).unwrap(), [f32s(&[2.0, 4.0]), of(&[]), int(0)]);
    for i in [1, -1] {
        assert_eq!(call(of(&[]), i).unwrap_err().kind, EvalErrorKind::OutOfRange, "{i}");
    }
    let rank_2 = Value::Tensor(TensorData::from_slice(DType::F32, &[1, 1], &[1.0_f32]));
    assert!(call(Value::Sequence(vec![rank_2]), 0).is_err(), "the type of items");
}

#[test]
fn optionals_hold_a_value_or_nothing() {
    let built = built(
        "module @m {
          sym k
          fn @main(%o: Optional<Tensor<f32, rank 1>>) -> (has, y) !abort {
            dataflow {
              %has = optional_has(%o)
              %y = optional_get(%o) : Tensor<f32, [k]>
              yield %has, %y
            }
            return %has, %y
          }
        }",
    );
    let yes = Value::Tensor(TensorData::from_f64(DType::Bool, &[], [1.0]));
    assert_eq!(run(&built, &[f32s(&[3.0])]).unwrap(), [yes, f32s(&[3.0])]);
    assert_eq!(run(&built, &[Value::None]).unwrap_err().kind, EvalErrorKind::CheckFailed);
    assert!(run(&built, &[Value::Sequence(vec![])]).is_err(), "not what it may hold");
}

#[test]
fn loops_and_branches_carry_sequences() {
    let built = built(
        "module @m {
          sym n, k
          fn @main(%count: Tensor<i64, []>, %x: Tensor<f32, [n]>, %c: Tensor<bool, []>) -> (y, s) !abort {
            dataflow {
              %zero = const i64[] [0]
              %one = const i64[] [1]
              %none = sequence_empty() {dtype = f32}
              yield %zero, %one, %none
            }
            effect {
            %turns, %s = while (%zero, %none) cond (%i: Tensor<i64, []>, %t: Sequence<Tensor<f32, [n]>>) {
                dataflow {
                  %go = less(%i, %count)
                  yield %go
                }
                return %go
              } body (%j: Tensor<i64, []>, %u: Sequence<Tensor<f32, [n]>>) {
                dataflow {
                  %next = add(%j, %one)
                  %more = sequence_insert(%u, %x)
                  yield %next, %more
                }
                return %next, %more
              } : Tensor<i64, []>, Sequence<Tensor<f32, [n]>>
            %r = if %c {
              dataflow {
                %less = sequence_erase(%s)
                yield %less
              }
              return %less
            } else {
              return %s
            } : Sequence<Tensor<f32, [n]>>
            }
            dataflow {
              %y = sequence_at(%r, %zero)
              yield %y
            }
            return %y, %r
          }
        }",
    );
    let int = |it: i64| Value::Tensor(TensorData::from_slice(DType::I64, &[], &[it]));
    let truth = |it: f64| Value::Tensor(TensorData::from_f64(DType::Bool, &[], [it]));
    let x = f32s(&[1.0, 2.0]);
    let found = run(&built, &[int(3), x.clone(), truth(1.0)]).unwrap();
    assert_eq!(found, [x.clone(), Value::Sequence(vec![x.clone(), x.clone()])]);
    let empty = run(&built, &[int(0), x.clone(), truth(0.0)]).unwrap_err();
    assert_eq!(empty.kind, EvalErrorKind::OutOfRange);
    assert_eq!(run(&built, &[int(0), x, truth(1.0)]).unwrap_err().kind, EvalErrorKind::OutOfRange);
}
