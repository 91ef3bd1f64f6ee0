//! The header of a `.npy` file.

use crate::{Error, Kind};
use std::io::Read;

/// What comes before every array.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header that is read, in bytes; NumPy itself refuses more than 10,000.
const MAX_HEADER: usize = 1 << 16;
/// Headers are padded so that elements start at a multiple of this.
const ALIGNMENT: usize = 64;

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) big_endian: bool,
    /// Whether the first index runs fastest.
    pub(crate) columns_first: bool,
    pub(crate) shape: Vec<u64>,
}

impl Header {
    /// Reads a header of any version; the elements come next.
    pub(crate) fn read(mut from: impl Read) -> Result<Header, Error> {
        let mut start = [0; 8];
        from.read_exact(&mut start).map_err(|_| Error::new("it ends in its header"))?;
        if !start.starts_with(MAGIC) {
            return Err(Error::new("it is no NumPy array"));
        }
        let mut length = [0; 4];
        let room = match start[6] {
            1 => &mut length[..2],
            2 | 3 => &mut length[..],
            version => return Err(Error::new(format!("version {version} of the format is not known"))),
        };
        from.read_exact(room).map_err(|_| Error::new("it ends in its header"))?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_HEADER {
            return Err(Error::new(format!("its header of {length} bytes is too long")));
        }
        let mut text = vec![0; length];
        from.read_exact(&mut text).map_err(|_| Error::new("it ends in its header"))?;
        let text = String::from_utf8(text).map_err(|_| Error::new("its header is no text"))?;
        Header::parse(&text).map_err(Error)
    }

    /// Parses the dictionary.
    fn parse(text: &str) -> Result<Header, String> {
        let descr = after_key(text, "descr")?;
        let quote = descr.chars().next().filter(|it| "'\"".contains(*it));
        let quote = quote.ok_or("elements with fields are not supported")?;
        let descr = descr[1..].split(quote).next().unwrap_or_default();
        let (order, kind) =
            descr.split_at(descr.len() - descr.trim_start_matches(['<', '>', '|', '=']).len());
        let kind = kind.parse().map_err(|_| format!("elements of type `{descr}` are not supported"))?;
        let columns_first = match after_key(text, "fortran_order")? {
            it if it.starts_with("True") => true,
            it if it.starts_with("False") => false,
            _ => return Err("its header says neither True nor False for `fortran_order`".to_string()),
        };
        let shape = after_key(text, "shape")?;
        let list = shape.strip_prefix('(').and_then(|it| it.split_once(')')).map(|it| it.0);
        let list = list.ok_or("its header has no tuple as `shape`")?;
        let extents = list.split(',').map(|it| it.trim().trim_end_matches('L')).filter(|it| !it.is_empty());
        let shape: Result<Vec<u64>, _> = extents.map(str::parse).collect();
        let shape = shape.map_err(|_| format!("its shape ({list}) is not one of sizes"))?;
        Ok(Header { kind, big_endian: order == ">", columns_first, shape })
    }

    /// The bytes of a header of version 1; `None` when it does not fit.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let extents: String = self.shape.iter().map(|it| format!("{it}, ")).collect();
        let extents = if self.shape.len() == 1 { extents.trim_end() } else { extents.trim_end_matches(", ") };
        let order = match (self.kind.size(), self.big_endian) {
            (1, _) => '|',
            (_, true) => '>',
            (_, false) => '<',
        };
        let columns_first = if self.columns_first { "True" } else { "False" };
        let mut text = format!(
            "{{'descr': '{order}{}', 'fortran_order': {columns_first}, 'shape': ({extents}), }}",
            self.kind
        );
        let start = MAGIC.len() + 4;
        let whole = (start + text.len() + 1).next_multiple_of(ALIGNMENT);
        text.extend(std::iter::repeat_n(' ', whole - start - text.len() - 1));
        text.push('\n');
        let length = u16::try_from(text.len()).ok()?;
        Some([MAGIC, &[1, 0], &length.to_le_bytes(), text.as_bytes()].concat())
    }
}

/// What follows `'key':` in a dictionary.
fn after_key<'a>(text: &'a str, key: &str) -> Result<&'a str, String> {
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    let at = quoted.iter().find_map(|it| text.find(it.as_str()));
    let rest = at.map(|at| text[at + key.len() + 2..].trim_start());
    rest.and_then(|it| it.strip_prefix(':'))
        .map(str::trim_start)
        .ok_or_else(|| format!("its header has no `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Header, String> {
        Header::parse(text)
    }

    #[test]
    fn headers_of_numpy_are_read() {
        let header =
            parse("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n").expect("a header");
        assert_eq!(
            header,
            Header { kind: Kind::Float(4), big_endian: false, columns_first: false, shape: vec![3, 4] }
        );
        let header = parse("{\"shape\": (5L,), 'fortran_order': True, 'descr': \">i2\"}").expect("a header");
        assert_eq!(
            header,
            Header { kind: Kind::Signed(2), big_endian: true, columns_first: true, shape: vec![5] }
        );
        assert_eq!(
            parse("{'descr': '|b1', 'fortran_order': False, 'shape': ()}").expect("a header").shape,
            [0; 0]
        );
    }

    #[test]
    fn what_a_header_writes_is_read() {
        for shape in [vec![], vec![7], vec![0, 1 << 40], vec![1; 32]] {
            let header = Header { kind: Kind::Unsigned(1), big_endian: false, columns_first: false, shape };
            let bytes = header.to_bytes().expect("it fits");
            assert_eq!(bytes.len() % ALIGNMENT, 0);
            assert_eq!(Header::read(&bytes[..]), Ok(header));
        }
    }

    #[test]
    fn bad_headers_are_refused() {
        for (text, clause) in [
            ("{'fortran_order': False, 'shape': ()}", "its header has no `descr`"),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", "elements with fields"),
            ("{'descr': '|S5', 'fortran_order': False, 'shape': ()}", "elements of type `|S5`"),
            ("{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", "its header says neither"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': 3}", "its header has no tuple"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "its shape (-1,)"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(clause), "{error}");
        }
        let long = [MAGIC, &[2, 0], &u32::MAX.to_le_bytes()].concat();
        assert_eq!(Header::read(&long[..]), Err(Error::new("its header of 4294967295 bytes is too long")));
        assert_eq!(Header::read(&MAGIC[..4]), Err(Error::new("it ends in its header")));
        assert_eq!(Header::read(&b"PK\x03\x04 and so on"[..]), Err(Error::new("it is no NumPy array")));
    }
}
