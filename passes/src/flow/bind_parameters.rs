//! Parameters get the values that they are always called with.
//!
//! What: parameters of the function that is called from outside become constants, and leave its interface.
//! When: weights that are known after all, a temperature, a flag; what follows from them folds.
//! Laws: a value has the element type and the sizes of its parameter; a size that the type leaves open becomes that of the
//! value, everywhere. Class: bitwise.

use crate::manager::{Changed, Fact, Facts, Pass, PassCx};
use indexmap::IndexMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{Function, Module, ValueId};
use orogen_ir::shape::{Dim, ShapeCx, Sym};
use orogen_ir::types::{Source, TensorData};

/// Makes constants of parameters.
#[derive(Clone, Debug, Default)]
pub struct BindParameters {
    values: Vec<(String, Given)>,
}

#[derive(Clone, Debug)]
enum Given {
    Data(TensorData),
    /// Of the type of the parameter, which has one element.
    Number(f64),
}

impl BindParameters {
    /// With these values, by the names of parameters of the last function.
    pub fn new(values: impl IntoIterator<Item = (impl Into<String>, TensorData)>) -> Self {
        let values = values.into_iter().map(|(name, data)| (name.into(), Given::Data(data)));
        BindParameters { values: values.collect() }
    }

    /// With numbers that are written `NAME:NUMBER`, one after the other, for parameters of one element:
    /// `temperature:0.7:k:40`.
    ///
    /// # Errors
    /// `N036`: what is no such list.
    pub fn parse(parts: &[String]) -> Result<Self, Diagnostic> {
        let values = parts.chunks(2).map(|it| match it {
            [name, number] => Some((name.clone(), Given::Number(number.parse().ok()?))),
            _ => None,
        });
        let values: Option<Vec<(String, Given)>> = values.collect();
        let values = values.ok_or_else(|| {
            let message = format!("`{}` is no list of numbers", parts.join(":"));
            Diagnostic::error("N036", message).help("write NAME:NUMBER, such as `temperature:0.7:k:40`")
        })?;
        Ok(BindParameters { values })
    }
}

impl Pass<Module> for BindParameters {
    fn name(&self) -> &'static str {
        "bind-parameters"
    }

    /// A constant may be there already.
    fn facts(&self) -> Facts {
        Facts { destroys: Some(&[Fact::NoDuplicates]), ..Facts::KEEPS_ALL }
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let Some((name, function)) = module.entry() else { return Ok(Changed::No) };
        let name = name.to_owned();
        let mut values: Vec<(ValueId, TensorData)> = Vec::new();
        let mut sizes: IndexMap<Sym, i64> = IndexMap::new();
        for (i, (param, given)) in self.values.iter().enumerate() {
            if self.values[..i].iter().any(|it| it.0 == *param) {
                let message = format!("parameter `{param}` is bound twice");
                return Err(Diagnostic::error("N036", message).help("give it one value").into());
            }
            values.push(bound(function, &module.shapes, param, given, &mut sizes)?);
        }
        if values.is_empty() {
            return Ok(Changed::No);
        }
        let sizes: IndexMap<Sym, Dim> =
            sizes.into_iter().map(|(symbol, size)| (symbol, module.shapes.int(size))).collect();
        module.bind_sizes(&sizes)?;
        module.edit_function(cx.ops, &name, |editor| -> Result<(), Diagnostic> {
            match editor.bindings().first() {
                Some(first) => editor.before(*first),
                None => editor.at_end(&Source::default()),
            }
            for ((param, _), (value, data)) in self.values.iter().zip(values) {
                let constant = editor.constant(param, data);
                editor.replace(value, constant);
            }
            Ok(())
        })?;
        module.remove_dead_code(cx.ops);
        if let Some(function) = module.function(&name) {
            let given = |name: &String| self.values.iter().any(|it| it.0 == *name);
            let keep: Vec<bool> = function.params().iter().map(|it| !given(&it.name)).collect();
            module.retain_params(&IndexMap::from([(name, keep)]));
        }
        Ok(Changed::Yes)
    }
}

/// A parameter and its data, which says the sizes that the parameter leaves open.
fn bound(
    function: &Function,
    shapes: &ShapeCx,
    name: &str,
    given: &Given,
    sizes: &mut IndexMap<Sym, i64>,
) -> Result<(ValueId, TensorData), Diagnostic> {
    let wrong = |message: String| Diagnostic::error("N036", message);
    let Some(param) = function.params().iter().find(|it| it.name == name) else {
        let names: Vec<&str> = function.params().iter().map(|it| it.name.as_str()).collect();
        return Err(wrong(format!("there is no parameter `{name}` to bind"))
            .help(format!("its parameters are: {}", names.join(", "))));
    };
    let ty = function[param.value].ty.as_tensor();
    let Some((dtype, dims)) = ty.and_then(|it| Some((it.dtype, it.dims()?))) else {
        return Err(wrong(format!("parameter `{name}` is no tensor of known rank")));
    };
    let data = match given {
        Given::Data(data) => data.clone(),
        Given::Number(_) if dtype.is_only_moved() || dims.iter().any(|it| shapes.as_int(*it) != Some(1)) => {
            return Err(wrong(format!("parameter `{name}` is not one number")).help("bind it from Rust"));
        }
        Given::Number(number) => TensorData::from_f64(dtype, &vec![1; dims.len()], [*number]),
    };
    if data.dtype() != dtype || data.dims().len() != dims.len() {
        let (own, rank) = (data.dtype(), data.dims().len());
        let message =
            format!("the value of `{name}` is {own} of rank {rank}, not {dtype} of rank {}", dims.len());
        return Err(wrong(message));
    }
    for (i, (dim, size)) in dims.iter().zip(data.dims()).enumerate() {
        let size = i64::try_from(*size).unwrap_or(i64::MAX);
        let known = match (shapes.as_int(*dim), shapes.as_sym(*dim)) {
            (Some(known), _) => known,
            (None, Some(symbol)) => *sizes.entry(symbol).or_insert(size),
            (None, None) => {
                let message = format!("dimension {i} of `{name}` follows from other sizes");
                return Err(wrong(message).help("give these first: `bind-sizes`"));
            }
        };
        if known != size {
            return Err(wrong(format!("dimension {i} of the value of `{name}` is {size}, not {known}")));
        }
    }
    Ok((param.value, data))
}
