//! What tells a constant apart wherever it lies.

use std::fmt;
use std::str::FromStr;

/// The SHA-256 of a constant: of its element type, its dimensions and its content. Whoever writes constants to a file
/// computes it; here it is a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = ();

    /// 64 hexadecimal digits in lower case.
    fn from_str(text: &str) -> Result<Self, ()> {
        let digit = |it: u8| match it {
            b'0'..=b'9' => Ok(it - b'0'),
            b'a'..=b'f' => Ok(it - b'a' + 10),
            _ => Err(()),
        };
        let digits: Vec<u8> = text.bytes().map(digit).collect::<Result<_, _>>()?;
        let bytes: Vec<u8> = digits.chunks(2).map(|it| it[0] << 4 | it.last().unwrap_or(&0)).collect();
        let whole = digits.len() == 64;
        if whole { bytes.try_into().map(Digest).map_err(|_| ()) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_read_back() {
        let digest = Digest(std::array::from_fn(|i| (i * 9) as u8));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for wrong in ["", "00", &"0".repeat(63), &"0".repeat(66), &"G".repeat(64), &"A".repeat(64)] {
            assert_eq!(wrong.parse::<Digest>(), Err(()), "{wrong}");
        }
    }
}
