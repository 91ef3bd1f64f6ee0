//! BMP: colours of 16, 24 and 32 bits, palettes of 1, 4 and 8, plain or as runs.

use super::Image;

fn word(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*data.get(at..)?.first_chunk()?))
}

fn half(data: &[u8], at: usize) -> Option<u32> {
    Some(u16::from_le_bytes(*data.get(at..)?.first_chunk()?).into())
}

struct Header {
    width: u32,
    height: u32,
    /// Whether the first row is the upper one.
    down: bool,
    bits: u32,
    coding: u32,
    /// Bytes of the second header.
    size: usize,
}

impl Header {
    fn of(data: &[u8]) -> Option<Header> {
        let size = word(data, 14)? as usize;
        if size == 12 {
            let (width, height) = (half(data, 18)?, half(data, 20)?);
            return Some(Header { width, height, down: false, bits: half(data, 24)?, coding: 0, size });
        }
        let (width, height) = (word(data, 18)?.cast_signed(), word(data, 22)?.cast_signed());
        let (bits, coding) = (half(data, 28)?, word(data, 30)?);
        let width = u32::try_from(width).ok()?;
        (size >= 40).then_some(Header {
            width,
            height: height.unsigned_abs(),
            down: height < 0,
            bits,
            coding,
            size,
        })
    }
}

pub(super) fn size(data: &[u8]) -> Option<(u32, u32)> {
    let header = Header::of(data)?;
    Some((header.width, header.height))
}

pub(super) fn decode(data: &[u8]) -> Option<Image> {
    let header = Header::of(data)?;
    let Header { bits, coding, .. } = header;
    let (width, height) = (header.width as usize, header.height as usize);
    let pixels = data.get(word(data, 10)? as usize..)?;
    let mut colours = Vec::with_capacity(3 * width * height);
    let runs = match (coding, bits) {
        (0, _) | (3 | 6, 16 | 32) => None,
        (1, 8) | (2, 4) => Some(indices(pixels, width, height, bits)?),
        _ => return None,
    };
    let stride = (width * bits as usize).div_ceil(32) * 4;
    let masks = match (coding, bits) {
        (3 | 6, _) => [word(data, 54)?, word(data, 58)?, word(data, 62)?],
        (_, 16) => [0x7C00, 0x3E0, 0x1F],
        _ => [0xFF0000, 0xFF00, 0xFF],
    };
    let entry = if header.size == 12 { 3 } else { 4 };
    let palette = data.get(14 + header.size..)?;
    let of_palette = |i: usize| -> Option<[u8; 3]> {
        let it = palette.get(entry * i..entry * i + 3)?;
        Some([it[2], it[1], it[0]])
    };
    for y in 0..height {
        // The lower row comes first, unless it says otherwise.
        let y = if header.down { y } else { height - 1 - y };
        let row = match &runs {
            Some(indices) => indices.get(y * width..(y + 1) * width)?,
            None => pixels.get(y * stride..(y + 1) * stride)?,
        };
        for x in 0..width {
            colours.extend_from_slice(&match bits {
                1 | 4 | 8 if runs.is_none() => {
                    let bit = x * bits as usize;
                    let shift = 8 - bits as usize - bit % 8;
                    of_palette(usize::from(row[bit / 8]) >> shift & ((1 << bits) - 1))?
                }
                4 | 8 => of_palette(row[x].into())?,
                16 => masked(half(row, 2 * x)?, masks),
                24 => [row[3 * x + 2], row[3 * x + 1], row[3 * x]],
                32 => masked(word(row, 4 * x)?, masks),
                _ => return None,
            });
        }
    }
    Some(Image { width, height, colours })
}

/// Colours under masks, as eight bits each.
fn masked(value: u32, masks: [u32; 3]) -> [u8; 3] {
    masks.map(|mask| match mask.checked_shr(mask.trailing_zeros()).unwrap_or(0) {
        0 => 0,
        most => (u64::from((value & mask) >> mask.trailing_zeros()) * 255 / u64::from(most)) as u8,
    })
}

/// Indices of a palette, from runs: a count and an index; or 0 and what is to be done.
fn indices(data: &[u8], width: usize, height: usize, bits: u32) -> Option<Vec<u8>> {
    let mut found = vec![0; width * height];
    let (mut x, mut y) = (0, 0);
    let mut put = |x: usize, y: usize, index: u8| {
        if x < width && y < height {
            found[y * width + x] = index;
        }
    };
    let nibble = |byte: u8, i: usize| if bits == 8 { byte } else { byte >> (4 * (1 - i % 2)) & 15 };
    let mut at = 0;
    while y < height {
        let (count, value) = (usize::from(*data.get(at)?), *data.get(at + 1)?);
        at += 2;
        match (count, value) {
            (0, 0) => (x, y) = (0, y + 1),
            (0, 1) => break,
            (0, 2) => {
                x += usize::from(*data.get(at)?);
                y += usize::from(*data.get(at + 1)?);
                at += 2;
            }
            (0, count) => {
                let count = usize::from(count);
                let bytes = (count * bits as usize).div_ceil(8);
                let list = data.get(at..at + bytes)?;
                for i in 0..count {
                    put(x + i, y, nibble(list[i * bits as usize / 8], i));
                }
                (x, at) = (x + count, at + bytes.next_multiple_of(2));
            }
            (count, value) => {
                (0..count).for_each(|i| put(x + i, y, nibble(value, i)));
                x += count;
            }
        }
    }
    Some(found)
}
