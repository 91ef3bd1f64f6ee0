//! PBM, PGM and PPM, in letters and in bytes.

use super::Image;

/// What stands before the pixels.
struct Header<'d> {
    kind: u8,
    width: u32,
    height: u32,
    most: u32,
    pixels: &'d [u8],
}

/// Numbers between white space and remarks.
struct Numbers<'d> {
    rest: &'d [u8],
}

impl Numbers<'_> {
    fn skip(&mut self) {
        while let Some((first, rest)) = self.rest.split_first() {
            match first {
                b'#' => {
                    let end = rest.iter().position(|it| matches!(it, b'\n' | b'\r')).unwrap_or(rest.len());
                    self.rest = &rest[end..];
                }
                it if it.is_ascii_whitespace() => self.rest = rest,
                _ => return,
            }
        }
    }

    fn next(&mut self) -> Option<u32> {
        self.skip();
        let count = self.rest.iter().take_while(|it| it.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// A single digit, which the next may follow at once.
    fn bit(&mut self) -> Option<u32> {
        self.skip();
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        char::from(*first).to_digit(2)
    }
}

impl<'d> Header<'d> {
    fn of(data: &'d [u8]) -> Option<Self> {
        let (&[b'P', kind @ b'1'..=b'6'], rest) = data.split_first_chunk()? else { return None };
        let mut numbers = Numbers { rest };
        let (width, height) = (numbers.next()?, numbers.next()?);
        let most = if matches!(kind, b'1' | b'4') { 1 } else { numbers.next()? };
        // One character ends the header.
        let pixels = numbers.rest.get(1..)?;
        (1..=65535).contains(&most).then_some(Header { kind, width, height, most, pixels })
    }
}

pub(super) fn size(data: &[u8]) -> Option<(u32, u32)> {
    let header = Header::of(data)?;
    Some((header.width, header.height))
}

pub(super) fn decode(data: &[u8]) -> Option<Image> {
    let header = Header::of(data)?;
    let (width, height) = (header.width as usize, header.height as usize);
    let channels = if matches!(header.kind, b'3' | b'6') { 3 } else { 1 };
    let count = width * height * channels;
    let most = u64::from(header.most);
    let scaled = |it: u32| ((u64::from(it) * 510 + most) / (2 * most)).min(255) as u8;
    let mut numbers = Numbers { rest: header.pixels };
    let samples: Vec<u8> = match header.kind {
        b'1' => (0..count).map(|_| numbers.bit().map(|it| 255 * (1 - it) as u8)).collect::<Option<_>>()?,
        b'2' | b'3' => (0..count).map(|_| numbers.next().map(scaled)).collect::<Option<_>>()?,
        b'4' => {
            let stride = width.div_ceil(8);
            let rows = header.pixels.get(..stride * height)?;
            let bit = |i: usize| rows[i / width * stride + i % width / 8] >> (7 - i % width % 8) & 1;
            (0..count).map(|i| 255 * (1 - bit(i))).collect()
        }
        _ if header.most > 255 => {
            let pairs = header.pixels.get(..2 * count)?.chunks(2);
            pairs.map(|it| scaled(u32::from(it[0]) << 8 | u32::from(it[1]))).collect()
        }
        _ => header.pixels.get(..count)?.iter().map(|it| scaled(u32::from(*it))).collect(),
    };
    let colours = if channels == 3 { samples } else { samples.into_iter().flat_map(|it| [it; 3]).collect() };
    Some(Image { width, height, colours })
}
