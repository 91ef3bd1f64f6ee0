//! Strings as elements. A tensor of them holds a number for each, in 64 bits as memory of programs holds a handle, and the
//! strings that the numbers mean.
//!
//! # Laws
//! * **X1** Number 0 is the empty string; the others count from 1 in the order in which elements first name them, each once.
//!   So tensors of the same strings are the same, bit by bit.

use super::{Bytes, DType, DataError, TensorData};
use indexmap::IndexSet;
use std::sync::Arc;

/// Strings by number, which tensors share while elements are moved between them.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    list: IndexSet<String>,
}

impl Texts {
    /// The number of a string.
    pub fn number(&mut self, text: &str) -> u64 {
        if text.is_empty() {
            return 0;
        }
        let place = self.list.get_index_of(text);
        place.unwrap_or_else(|| self.list.insert_full(text.to_owned()).0) as u64 + 1
    }

    /// The string of a number.
    pub fn text(&self, number: u64) -> Option<&str> {
        match number.checked_sub(1) {
            None => Some(""),
            Some(place) => self.list.get_index(usize::try_from(place).ok()?).map(String::as_str),
        }
    }

    /// The numbers here of a tensor's elements.
    pub fn numbers(&mut self, data: &TensorData) -> Bytes {
        let numbers: Vec<u8> =
            (0..data.len()).flat_map(|i| self.number(data.text(i)).to_le_bytes()).collect();
        numbers.into()
    }

    /// The tensor whose elements have these numbers here; `None` where a number means nothing, or they are too few or many.
    pub fn tensor(&self, dims: &[u64], numbers: &[u8]) -> Option<TensorData> {
        let text = |it: &[u8]| self.text(it.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte)));
        let texts: Vec<&str> = numbers.chunks(8).map(text).collect::<Option<_>>()?;
        TensorData::strings(dims, texts).ok()
    }
}

impl TensorData {
    /// A tensor of strings, row-major.
    ///
    /// # Errors
    /// As [`TensorData::new`].
    pub fn strings<S: AsRef<str>>(
        dims: &[u64],
        texts: impl IntoIterator<Item = S>,
    ) -> Result<Self, DataError> {
        let mut list = Texts::default();
        let numbers: Vec<u8> =
            texts.into_iter().flat_map(|it| list.number(it.as_ref()).to_le_bytes()).collect();
        let mut data = TensorData::new(DType::Str, dims.to_vec(), numbers.into())?;
        data.texts = Some(Arc::new(list.list.into_iter().collect()));
        Ok(data)
    }

    /// String `i`; empty for tensors of other elements.
    ///
    /// # Panics
    /// When `i` is out of range.
    pub fn text(&self, i: usize) -> &str {
        let place = usize::try_from(self.bits(i)).ok().and_then(|it| it.checked_sub(1));
        place.and_then(|it| self.texts.as_ref()?.get(it)).map_or("", String::as_str)
    }

    /// Bytes that say which elements it has: those of equal tensors of one type and shape are equal, and no others. Of
    /// strings these are the numbers, then for each number from 1 on the length of its text, in 8 bytes, and the text.
    pub fn content(&self) -> Vec<u8> {
        let mut content = self.bytes().to_vec();
        for text in self.texts.iter().flat_map(|it| it.iter()) {
            content.extend_from_slice(&(text.len() as u64).to_le_bytes());
            content.extend_from_slice(text.as_bytes());
        }
        content
    }

    /// The strings whose [`content`](Self::content) some bytes are; `None` where they are no strings of these dimensions.
    pub fn from_content(dims: &[u64], content: &[u8]) -> Option<Self> {
        let (numbers, mut rest) = content.split_at_checked(Self::byte_count(DType::Str, dims)?)?;
        let mut texts: Vec<&str> = vec![""];
        while let Some((length, tail)) = rest.split_first_chunk() {
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (text, tail) = tail.split_at_checked(length)?;
            texts.push(std::str::from_utf8(text).ok()?);
            rest = tail;
        }
        let number = |it: &[u8]| it.iter().rev().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        let text = |it: &[u8]| texts.get(usize::try_from(number(it)).ok()?).copied();
        let found: Vec<&str> = numbers.chunks(DType::Str.size()).map(text).collect::<Option<_>>()?;
        let whole = rest.is_empty();
        if whole { Self::strings(dims, found).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x1_strings_count_as_elements_name_them() {
        let words = ["b", "", "a", "b", "ü\0"];
        let data = TensorData::strings(&[5], words).expect("five");
        assert_eq!((0..5).map(|i| data.bits(i)).collect::<Vec<_>>(), [1, 0, 2, 1, 3]);
        assert_eq!((0..5).map(|i| data.text(i)).collect::<Vec<_>>(), words);
        let mut texts = Texts::default();
        assert_eq!([texts.number("x"), texts.number("a"), texts.number("")], [1, 2, 0]);
        let numbers = texts.numbers(&data);
        assert_eq!(texts.tensor(&[5], &numbers), Some(data.clone()));
        assert_eq!(texts.tensor(&[1], &9u64.to_le_bytes()), None);
        assert_eq!(texts.tensor(&[2], &numbers), None);
        let other = TensorData::strings(&[5], ["c", "", "a", "c", "d"]).expect("five");
        assert_eq!(other.bytes(), data.bytes());
        assert!(other != data && other.content() != data.content());
        assert!(TensorData::strings(&[2], ["a"]).is_err());
        let content = data.content();
        assert_eq!(TensorData::from_content(&[5], &content).as_ref(), Some(&data));
        assert!((0..content.len()).all(|it| TensorData::from_content(&[5], &content[..it]).is_none()));
        assert_eq!(TensorData::from_content(&[0], &[]).map(|it| it.len()), Some(0));
    }
}
