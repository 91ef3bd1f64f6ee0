//! [`HostFunction`]: what compiled models call by name, and the registry of such functions.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use orogen_abi::host::{ACCESS_ATTRIBUTE, ACCESS_OBJECT, ACCESS_READ, ACCESS_RETURN};
use orogen_abi::{Any, SafeCall};

use crate::error::RuntimeError;
use crate::function::PackedFunc;
use crate::tensor::{Tensor, TensorView, TensorViewMut};
use crate::value::Value;

/// Arguments of one call by a compiled model. The tensors are views of the model's own memory: nothing is copied.
#[derive(Debug, Default)]
pub struct HostCall<'a> {
    /// What the function reads, in order.
    pub inputs: Vec<TensorView<'a>>,
    /// What it writes, in order: results that it must fill, and tensors that it may change.
    pub outputs: Vec<TensorViewMut<'a>>,
    /// Objects that it reads, in order.
    pub objects: Vec<Value>,
    /// Attributes, in order of their names.
    pub attributes: Vec<Value>,
    /// Objects that it makes, in order: the function puts them here.
    pub made: Vec<Value>,
}

type InPlace = dyn Fn(&mut HostCall<'_>) -> Result<(), RuntimeError> + Send + Sync;

/// A function that compiled models call by name; cloning shares it.
///
/// ```
/// use orogen_runtime::{HostFunction, register_extern};
///
/// register_extern("example.twice", HostFunction::in_place(|call| {
///     let x = call.inputs[0].as_slice::<f32>()?;
///     let y = call.outputs[0].as_mut_slice::<f32>()?;
///     y.iter_mut().zip(x).for_each(|(y, x)| *y = 2.0 * x);
///     Ok(())
/// }));
/// # Ok::<(), orogen_runtime::RuntimeError>(())
/// ```
#[derive(Clone)]
pub struct HostFunction {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    InPlace(Arc<InPlace>),
    Values(PackedFunc),
    Raw(PackedFunc),
}

impl HostFunction {
    /// A function that writes its results where the model wants them. One that it does not ask for in writing is
    /// unwritten, which is an error of the call.
    pub fn in_place(
        body: impl Fn(&mut HostCall<'_>) -> Result<(), RuntimeError> + Send + Sync + 'static,
    ) -> Self {
        HostFunction { kind: Kind::InPlace(Arc::new(body)) }
    }

    /// A C function in destination-passing style: views of what it reads and what it writes, then attributes (see
    /// [`orogen_abi::ExternSlot`]).
    ///
    /// # Safety
    /// As [`PackedFunc::from_raw`]; and it writes only what it is to write, within its bounds.
    pub unsafe fn from_raw(
        name: &str,
        function: SafeCall,
        handle: *mut c_void,
        owner: Arc<dyn std::any::Any + Send + Sync>,
    ) -> Self {
        // SAFETY: by contract.
        HostFunction { kind: Kind::Raw(unsafe { PackedFunc::from_raw(name, function, handle, owner) }) }
    }

    /// Calls with the arguments of a compiled model. The result is the objects that the function makes; without any, the
    /// number of results known to be written, or what a function without results returns.
    ///
    /// # Safety
    /// Arguments are as [`orogen_abi::HostTable::call_extern`] describes them.
    pub(crate) unsafe fn call(&self, access: &str, args: &[Any]) -> Result<Any, RuntimeError> {
        if let Kind::Raw(function) = &self.kind {
            return function.call_packed(args);
        }
        // SAFETY: by contract.
        let (mut call, changed) = unsafe { arguments(access, args) }?;
        match &self.kind {
            Kind::InPlace(body) => body(&mut call)?,
            Kind::Values(function) => {
                let result = function.call(&values(access, &call)?)?;
                let objects = access.chars().filter(|it| *it == ACCESS_RETURN).count();
                if call.outputs.is_empty() && objects <= 1 {
                    return Ok(result.into_any());
                }
                call.made = store(&mut call.outputs, objects, result)?;
            }
            Kind::Raw(_) => {}
        }
        if access.contains(ACCESS_RETURN) {
            let only = if call.made.len() == 1 { call.made.pop() } else { None };
            return Ok(only.unwrap_or(Value::Array(call.made)).into_any());
        }
        // Those that are changed hold a value in any case.
        let filled = call.outputs.iter().zip(changed).filter(|(_, changed)| !changed);
        let written = filled.take_while(|(output, _)| output.is_written()).count();
        Ok(Any::int(i64::try_from(written).unwrap_or(i64::MAX)))
    }
}

/// A function of values: it gets what it reads as tensors of its own and objects, then attributes, and returns its results,
/// objects behind tensors, which are checked and copied to where the model wants them.
impl From<PackedFunc> for HostFunction {
    fn from(function: PackedFunc) -> Self {
        HostFunction { kind: Kind::Values(function) }
    }
}

impl fmt::Debug for HostFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::InPlace(_) => "HostFunction(in place)",
            Kind::Values(_) => "HostFunction(values)",
            Kind::Raw(_) => "HostFunction(raw)",
        })
    }
}

/// The arguments, and for each tensor that is written whether it held a value before.
///
/// # Safety
/// As [`HostFunction::call`].
unsafe fn arguments<'a>(access: &str, args: &'a [Any]) -> Result<(HostCall<'a>, Vec<bool>), RuntimeError> {
    let mut call = HostCall::default();
    let mut changed = Vec::new();
    for (access, any) in access.chars().zip(args) {
        match access {
            // SAFETY: the arguments are well-formed and alive during the call; what is written overlaps nothing else.
            ACCESS_READ => call.inputs.push(unsafe { TensorView::of(any) }?),
            // SAFETY: as above.
            ACCESS_OBJECT => call.objects.push(unsafe { Value::from_borrowed(any) }?),
            // SAFETY: as above.
            ACCESS_ATTRIBUTE => call.attributes.push(unsafe { Value::from_borrowed(any) }?),
            access => {
                let holds_value = access == orogen_abi::host::ACCESS_UPDATE;
                changed.push(holds_value);
                // SAFETY: as above; generated code fills the memory before, so it is initialised.
                call.outputs.push(unsafe { TensorViewMut::of(any, holds_value) }?);
            }
        }
    }
    Ok((call, changed))
}

/// What the function reads, in the order of the parameters, and attributes.
fn values(access: &str, call: &HostCall<'_>) -> Result<Vec<Value>, RuntimeError> {
    let (mut inputs, mut objects, mut outputs) =
        (call.inputs.iter(), call.objects.iter(), call.outputs.iter());
    let mut list = Vec::new();
    for letter in access.chars() {
        match letter {
            ACCESS_READ => list.extend(inputs.next().map(|it| it.to_tensor().map(Value::from)).transpose()?),
            ACCESS_OBJECT => list.extend(objects.next().cloned()),
            ACCESS_ATTRIBUTE | ACCESS_RETURN => {}
            _ => {
                let held = outputs.next().filter(|it| it.holds_value());
                list.extend(held.map(|it| it.to_tensor().map(Value::from)).transpose()?);
            }
        }
    }
    list.extend(call.attributes.iter().cloned());
    Ok(list)
}

/// Copies returned tensors to their places; what remains are the objects behind them.
fn store(
    outputs: &mut [TensorViewMut<'_>],
    objects: usize,
    result: Value,
) -> Result<Vec<Value>, RuntimeError> {
    let mut results: Vec<Value> = match result {
        Value::None => Vec::new(),
        Value::Array(items) => items,
        one => vec![one],
    };
    let tensors = if objects == 0 { results.len() } else { results.len().min(outputs.len()) };
    let made = results.split_off(tensors);
    let results: Vec<Tensor> = results.into_iter().map(Value::into_tensor).collect::<Result<_, _>>()?;
    if results.len() > outputs.len() {
        return Err(RuntimeError::Kind {
            what: "what the function returns".to_owned(),
            expected: "one tensor for each result",
            got: format!("{} tensors for {} results", results.len(), outputs.len()),
        });
    }
    outputs.iter_mut().zip(&results).enumerate().try_for_each(|(i, (output, result))| {
        output.copy_from(result).map_err(|error| error.about(format!("result {i} of the function")))
    })?;
    Ok(made)
}

static EXTERNS: RwLock<BTreeMap<String, HostFunction>> = RwLock::new(BTreeMap::new());

/// Makes `function` callable from compiled models under `name`; returns the one that had the name before.
pub fn register_extern(name: &str, function: impl Into<HostFunction>) -> Option<HostFunction> {
    EXTERNS.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), function.into())
}

/// Takes the function registered under `name` away.
pub fn unregister_extern(name: &str) -> Option<HostFunction> {
    EXTERNS.write().unwrap_or_else(PoisonError::into_inner).remove(name)
}

/// The function registered under `name`.
///
/// # Errors
/// No such function.
pub fn extern_function(name: &str) -> Result<HostFunction, RuntimeError> {
    let externs = EXTERNS.read().unwrap_or_else(PoisonError::into_inner);
    externs.get(name).cloned().ok_or_else(|| RuntimeError::NoFunction {
        place: "the registry of foreign functions".to_owned(),
        name: name.to_owned(),
        available: externs.keys().cloned().collect(),
    })
}
