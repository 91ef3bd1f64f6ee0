//! The scalar functions: one table says everything that is known of a function of one element.
//!
//! A function is a row: its name, the types it is defined on, what it means (which the reference interpreter runs), the
//! operators that stand for it in models, and how accurate generated code is. What else needs to be known of it follows
//! from the row: its spelling in the text of tensor programs, the operator over it with inference and lowering, its
//! evaluation, and the importer of the ONNX operators that it names. Code generation adds scalar code
//! (`codegen/src/clif/math`) and, where there is any, vector code (`codegen/src/vector/math`), each in one match over all
//! functions. So a function costs three places.
//!
//! Tables are by arity: [`UnaryOp`], [`BinaryOp`], [`CompareOp`]; [`ScalarFn`] is one of any.
//!
//! ```
//! use orogen_ir::scalar::{UnaryMeaning, ScalarFn, UnaryOp};
//! use orogen_ir::types::DType;
//!
//! let erf = UnaryOp::from_name("erf").expect("a function");
//! assert!(erf.admits(DType::F32) && !erf.admits(DType::I32));
//! assert_eq!(ScalarFn::named("erf"), Some(erf.into()));
//! let UnaryMeaning::Float(erf) = erf.row().meaning else { panic!("a function of floats") };
//! assert_eq!(erf(0.0), 0.0);
//! ```
//!
//! # Laws
//! * **C1** Names of functions differ, and so do the names of the operators over them, of the registry and of ONNX.
//! * **C2** An integer is an `i64` with the value of its type; `u64` alone by its bits. A meaning on integers may leave
//!   that form, and who runs it wraps the result.
//! * **C3** Integer meanings are total: they wrap, and what has no value (a quotient by zero) is zero.

mod binary;
mod class;
mod keys;
mod unary;

pub use binary::{BinaryMeaning, BinaryOp, BinaryRow, CompareOp, CompareRow};
pub use class::Class;
pub use keys::FloatKeys;
pub use unary::{UnaryMeaning, UnaryOp, UnaryRow};

/// A function of any arity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScalarFn {
    /// Of one operand.
    Unary(UnaryOp),
    /// Of two operands of one type.
    Binary(BinaryOp),
    /// Of two operands of one type, to bool.
    Compare(CompareOp),
}

impl ScalarFn {
    /// All functions.
    pub fn all() -> impl Iterator<Item = ScalarFn> {
        let unary = UnaryOp::ALL.iter().map(|it| ScalarFn::Unary(*it));
        let binary = BinaryOp::ALL.iter().map(|it| ScalarFn::Binary(*it));
        unary.chain(binary).chain(CompareOp::ALL.iter().map(|it| ScalarFn::Compare(*it)))
    }

    /// Number of operands.
    pub fn arity(self) -> usize {
        match self {
            ScalarFn::Unary(_) => 1,
            ScalarFn::Binary(_) | ScalarFn::Compare(_) => 2,
        }
    }

    /// The operator of the registry that applies this function to each element and does nothing else.
    pub fn operator(self) -> Option<&'static str> {
        match self {
            ScalarFn::Unary(it) => Some(it.row().name),
            ScalarFn::Binary(it) => it.row().operator,
            ScalarFn::Compare(it) => it.row().operator,
        }
    }

    /// The function that an operator applies.
    pub fn named(operator: &str) -> Option<ScalarFn> {
        ScalarFn::all().find(|it| it.operator() == Some(operator))
    }

    /// Operators of ONNX, in the domain of the standard, that are this function in every version.
    pub fn onnx(self) -> &'static [&'static str] {
        match self {
            ScalarFn::Unary(it) => it.row().onnx,
            ScalarFn::Binary(it) => it.row().onnx,
            ScalarFn::Compare(it) => it.row().onnx,
        }
    }

    /// The types of operands.
    pub fn operands(self) -> Class {
        match self {
            ScalarFn::Unary(it) => it.row().meaning.operand(),
            ScalarFn::Binary(it) => it.row().meaning.operands(),
            ScalarFn::Compare(it) => it.row().operands,
        }
    }
}

impl From<UnaryOp> for ScalarFn {
    fn from(op: UnaryOp) -> Self {
        ScalarFn::Unary(op)
    }
}

impl From<BinaryOp> for ScalarFn {
    fn from(op: BinaryOp) -> Self {
        ScalarFn::Binary(op)
    }
}

impl From<CompareOp> for ScalarFn {
    fn from(op: CompareOp) -> Self {
        ScalarFn::Compare(op)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::DType;

    fn assert_distinct(names: Vec<&str>) {
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), names.len(), "{names:?}");
    }

    #[test]
    fn c1_names_differ() {
        assert_distinct(
            UnaryOp::ALL
                .iter()
                .map(|it| it.name())
                .chain(BinaryOp::ALL.iter().map(|it| it.name()))
                .chain(CompareOp::ALL.iter().map(|it| it.name()))
                .collect(),
        );
        assert_distinct(ScalarFn::all().filter_map(ScalarFn::operator).collect());
        assert_distinct(ScalarFn::all().flat_map(|it| it.onnx().iter().copied()).collect());
    }

    #[test]
    fn c3_integer_meanings_are_total() {
        let values = [i64::MIN, i64::MIN + 1, -8, -1, 0, 1, 2, 7, 63, 64, i64::MAX];
        let ints = DType::ALL.into_iter().filter(|it| it.is_int());
        for dtype in ints {
            for op in UnaryOp::ALL.iter().filter(|it| it.admits(dtype)) {
                for x in values {
                    op.row().meaning.int(x, dtype);
                }
            }
            for op in BinaryOp::ALL.iter().filter(|it| it.admits(dtype)) {
                for (a, b) in values.iter().flat_map(|a| values.map(|b| (*a, b))) {
                    op.row().meaning.int(a, b, dtype);
                }
            }
        }
        let div = BinaryOp::Div.row().meaning;
        assert_eq!((div.int(7, 0, DType::I64), div.int(i64::MIN, -1, DType::I64)), (0, i64::MIN));
    }

    #[test]
    fn every_function_is_defined_somewhere() {
        for function in ScalarFn::all() {
            assert!(DType::ALL.iter().any(|it| function.operands().admits(*it)), "{function:?}");
        }
    }
}
