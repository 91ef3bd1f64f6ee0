//! What functions are given and give: dimensions and elements, whoever calls.

/// Elements, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Elements {
    Texts(Vec<String>),
    Flags(Vec<bool>),
    Bytes(Vec<u8>),
    Ints(Vec<i64>),
    Unsigned(Vec<u64>),
    Singles(Vec<f32>),
    Doubles(Vec<f64>),
}

/// A tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    pub(crate) dims: Vec<usize>,
    pub(crate) elements: Elements,
}

/// An attribute of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attribute {
    Int(i64),
    Text(String),
}

/// Operands, and attributes in the order of their names.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) inputs: Vec<Array>,
    pub(crate) attributes: Vec<Attribute>,
}

/// Results, or what is wrong with the operands.
pub(crate) type Outcome = Result<Vec<Array>, String>;

impl Array {
    pub(crate) fn new(dims: &[usize], elements: Elements) -> Self {
        Array { dims: dims.to_vec(), elements }
    }

    /// A vector of integers.
    pub(crate) fn ints(list: Vec<i64>) -> Self {
        Array { dims: vec![list.len()], elements: Elements::Ints(list) }
    }
}

impl Call {
    pub(crate) fn input(&self, i: usize) -> Result<&Array, String> {
        self.inputs.get(i).ok_or_else(|| format!("operand {i} is missing"))
    }

    pub(crate) fn texts(&self, i: usize) -> Result<&[String], String> {
        match &self.input(i)?.elements {
            Elements::Texts(list) => Ok(list),
            _ => Err(format!("operand {i} has no strings as elements")),
        }
    }

    pub(crate) fn ints(&self, i: usize) -> Result<&[i64], String> {
        match &self.input(i)?.elements {
            Elements::Ints(list) => Ok(list),
            _ => Err(format!("operand {i} has no 64-bit integers as elements")),
        }
    }

    pub(crate) fn int(&self, i: usize) -> Result<i64, String> {
        match self.attributes.get(i) {
            Some(Attribute::Int(it)) => Ok(*it),
            _ => Err(format!("attribute {i} is no integer")),
        }
    }

    pub(crate) fn text(&self, i: usize) -> Result<&str, String> {
        match self.attributes.get(i) {
            Some(Attribute::Text(it)) => Ok(it),
            _ => Err(format!("attribute {i} is no text")),
        }
    }
}
