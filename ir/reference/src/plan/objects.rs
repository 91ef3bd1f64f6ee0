//! Steps on objects.

use super::{Machine, kernel, missing};
use crate::error::{EvalError, EvalErrorKind, EvalResult};
use crate::kernel::eval_kernel_values;
use crate::memory::Place;
use crate::value::Value;
use orogen_ir::kernel::{Kernel, ParamTypeRef};
use orogen_ir::plan::{AxisBinding, BufferRef, ObjectId, ObjectOp};
use orogen_ir::shape::Dim;
use orogen_ir::types::{DType, TensorData, Type};

/// What is in an object place.
#[derive(Clone, Debug)]
pub(super) enum Held {
    Tensor { place: Place, dtype: DType, dims: Vec<u64> },
    Other(Value),
}

impl Machine<'_> {
    fn ty(&self, id: ObjectId) -> EvalResult<&Type> {
        Ok(&self.plan.objects.get(id.0 as usize).ok_or_else(|| missing("object place"))?.ty)
    }

    pub(super) fn object_value(&self, id: ObjectId) -> EvalResult<Value> {
        match self.objects.get(id.0 as usize).and_then(Option::as_ref).ok_or_else(|| missing("object"))? {
            Held::Tensor { place, dtype, dims } => {
                Ok(Value::Tensor(self.memory.tensor(*place, *dtype, dims)?))
            }
            Held::Other(value) => Ok(value.clone()),
        }
    }

    /// Puts a value into a place, whose type it has.
    pub(super) fn put(&mut self, id: ObjectId, value: Value, bindings: &[AxisBinding]) -> EvalResult<()> {
        let ty = self.ty(id)?.clone();
        if let (Some(tensor), Some(wanted)) =
            (value.as_tensor(), ty.as_tensor().and_then(|it| it.shape.rank()))
            && tensor.dims().len() != wanted
        {
            let message = format!("a tensor of {} dimensions is none of {wanted}", tensor.dims().len());
            return Err(EvalError::new(EvalErrorKind::CheckFailed, message));
        }
        if let Some(tensor) = value.as_tensor() {
            for it in bindings {
                let size = tensor.dims().get(it.axis as usize).ok_or_else(|| missing("dimension"))?;
                self.env.set(it.symbol, *size as i64);
            }
        }
        if value == Value::None && !matches!(ty, Type::Optional(_) | Type::Object) {
            return Err(EvalError::new(EvalErrorKind::CheckFailed, "an optional has no value"));
        }
        let held = match (&ty, value) {
            (Type::Tensor(ty), Value::Tensor(value)) => {
                let dims = self.sizes(ty.dims().unwrap_or_default())?;
                if ty.dtype != value.dtype() || dims != value.dims() {
                    let found = format!("{}{:?}", value.dtype(), value.dims());
                    return Err(EvalError::invalid(format!("{found} does not fit object {}", id.0)));
                }
                Held::Tensor { place: self.memory.hold(&value), dtype: ty.dtype, dims }
            }
            (ty, value) if value.is_of(ty) => Held::Other(value),
            _ => return Err(EvalError::invalid(format!("a value of another kind for object {}", id.0))),
        };
        self.objects[id.0 as usize] = Some(held);
        Ok(())
    }

    fn sequence(&self, id: ObjectId) -> EvalResult<Vec<Value>> {
        match self.object_value(id)? {
            Value::Sequence(items) => Ok(items),
            _ => Err(missing("sequence")),
        }
    }

    /// A function of the host that takes or makes objects.
    pub(super) fn call_with_objects(
        &mut self,
        kernel: &Kernel,
        sizes: &[i64],
        args: &[BufferRef],
    ) -> EvalResult<()> {
        let types = kernel::param_dims(kernel, sizes)?;
        let params = || kernel.params().zip(&types).zip(args);
        let mut operands = Vec::new();
        for ((param, dims), arg) in params().filter(|it| it.0.0.access.reads()) {
            operands.push(match (param.ty, arg) {
                (ParamTypeRef::Buffer(dtype, _), arg) => {
                    let place = self.place(*arg)?;
                    Value::Tensor(self.memory.tensor(place, dtype, dims)?)
                }
                (ParamTypeRef::Object(_), BufferRef::Object(id)) => self.object_value(*id)?,
                _ => return Err(missing("object")),
            });
        }
        let results = eval_kernel_values(self.host, kernel, sizes, &operands)?;
        for (((param, _), arg), value) in params().filter(|it| it.0.0.access.writes()).zip(results) {
            match (param.ty, arg, value) {
                (ParamTypeRef::Buffer(..), arg, Value::Tensor(data)) => {
                    let place = self.target(*arg)?;
                    let bytes = data.unpacked();
                    self.memory.write(place, 0, bytes.len())?.copy_from_slice(&bytes);
                }
                (ParamTypeRef::Object(_), BufferRef::Object(id), value) => self.put(*id, value, &[])?,
                _ => return Err(missing("object")),
            }
        }
        Ok(())
    }

    /// A position among `count`, from the end when it is negative.
    fn position(&self, at: Dim, count: usize) -> EvalResult<usize> {
        let (given, count) = (self.dim(at)?, count as i64);
        let at = if given < 0 { given + count } else { given };
        match usize::try_from(at) {
            Ok(at) if (at as i64) < count => Ok(at),
            _ => Err(EvalError::out_of_range(format!(
                "position {given} is out of range for a sequence of {count}"
            ))),
        }
    }

    pub(super) fn object(&mut self, op: &ObjectOp) -> EvalResult<()> {
        match op {
            ObjectOp::Tensor(to) => {
                let Type::Tensor(ty) = self.ty(*to)?.clone() else { return Err(missing("tensor place")) };
                let dims = self.sizes(ty.dims().unwrap_or_default())?;
                let bytes = TensorData::unpacked_count(ty.dtype, &dims).ok_or_else(EvalError::too_large)?;
                let place = self.memory.allocate(bytes)?;
                self.objects[to.0 as usize] = Some(Held::Tensor { place, dtype: ty.dtype, dims });
                Ok(())
            }
            ObjectOp::Sequence { to, items } => {
                let items = items.iter().map(|it| self.object_value(*it)).collect::<EvalResult<_>>()?;
                self.put(*to, Value::Sequence(items), &[])
            }
            ObjectOp::Length { symbol, of } => {
                let count = self.sequence(*of)?.len();
                self.env.set(*symbol, count as i64);
                Ok(())
            }
            ObjectOp::Item { to, of, at, bindings } => {
                let mut items = self.sequence(*of)?;
                let at = self.position(*at, items.len())?;
                self.put(*to, items.swap_remove(at), bindings)
            }
            ObjectOp::Insert { to, of, at, item } => {
                let mut items = self.sequence(*of)?;
                // One more place than elements: behind the last one.
                let at = match at {
                    Some(at) if self.dim(*at)? < 0 => self.position(*at, items.len())?,
                    Some(at) => self.position(*at, items.len() + 1)?,
                    None => items.len(),
                };
                items.insert(at, self.object_value(*item)?);
                self.put(*to, Value::Sequence(items), &[])
            }
            ObjectOp::Erase { to, of, at } => {
                let mut items = self.sequence(*of)?;
                let at = match at {
                    Some(at) => self.position(*at, items.len())?,
                    None if items.is_empty() => {
                        return Err(EvalError::out_of_range(
                            "position -1 is out of range for a sequence of 0",
                        ));
                    }
                    None => items.len() - 1,
                };
                items.remove(at);
                self.put(*to, Value::Sequence(items), &[])
            }
            ObjectOp::None { to } => self.put(*to, Value::None, &[]),
            ObjectOp::IsSome { symbol, of } => {
                let some = self.object_value(*of)? != Value::None;
                self.env.set(*symbol, i64::from(some));
                Ok(())
            }
            ObjectOp::Rank { symbol, of } => {
                let rank = match self.object_value(*of)? {
                    Value::Tensor(tensor) => tensor.dims().len(),
                    _ => {
                        return Err(EvalError::new(
                            EvalErrorKind::CheckFailed,
                            "the optional holds no tensor",
                        ));
                    }
                };
                self.env.set(*symbol, rank as i64);
                Ok(())
            }
            ObjectOp::Share { to, from, bindings } => {
                let value = self.object_value(*from)?;
                self.put(*to, value, bindings)
            }
            ObjectOp::Drop(id) => {
                self.objects[id.0 as usize] = None;
                Ok(())
            }
        }
    }
}
