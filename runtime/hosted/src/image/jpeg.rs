//! JPEG as libjpeg-turbo decodes it, bit by bit, which ONNX asks for: baseline and progressive, with Huffman codes and 8 bits
//! to a sample. Other decoders differ by one or two steps in most pixels.

use super::entropy::{Bits, Codes, Scan, block, place};
use super::samples::{self, Plane};

/// More scans than these are no image: each may ask for a pass over all of it.
const MOST_SCANS: usize = 100;

#[derive(Clone, Debug)]
struct Component {
    id: u8,
    /// Blocks of a unit across and down.
    across: usize,
    down: usize,
    table: usize,
    /// Blocks in a row, and their coefficients, whole units.
    row: usize,
    coefficients: Vec<i16>,
    dc: i32,
}

#[derive(Debug, Default)]
struct Decoder {
    width: usize,
    height: usize,
    progressive: bool,
    components: Vec<Component>,
    steps: [Option<[u16; 64]>; 4],
    /// Those of first coefficients, then those of others.
    codes: [[Codes; 4]; 2],
    interval: usize,
    jfif: bool,
    /// What the mark of Adobe says of colours.
    adobe: Option<u8>,
}

/// Width and height, as the header says them.
pub(super) fn size(data: &[u8]) -> Option<(u32, u32)> {
    let mut decoder = Decoder::default();
    decoder.segments(data, true)?;
    Some((decoder.width as u32, decoder.height as u32))
}

/// Red, green and blue of each pixel.
pub(super) fn decode(data: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = Decoder::default();
    decoder.segments(data, false)?;
    decoder.picture()
}

fn word(data: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(*data.get(at)?) << 8 | usize::from(*data.get(at + 1)?))
}

impl Decoder {
    /// Reads marker by marker, up to the frame or to the end.
    fn segments(&mut self, data: &[u8], header: bool) -> Option<()> {
        let mut at = 2;
        let mut scans = 0;
        loop {
            // What stands between segments does not count.
            while *data.get(at)? != 0xFF || matches!(*data.get(at + 1)?, 0 | 0xFF) {
                at += 1;
            }
            let marker = data[at + 1];
            at += 2;
            match marker {
                0xD9 => return (scans > 0).then_some(()),
                0xD0..=0xD8 | 1 => continue,
                _ => {}
            }
            let length = word(data, at)?;
            let segment = data.get(at + 2..at + length.max(2))?;
            at += length.max(2);
            match marker {
                0xC0..=0xC2 if self.components.is_empty() => {
                    self.frame(segment, marker == 0xC2, header)?;
                    if header {
                        return Some(());
                    }
                }
                0xC4 => self.huffman(segment)?,
                // A second frame, and forms of coding that are not these.
                0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return None,
                0xDA => {
                    scans += 1;
                    if scans > MOST_SCANS {
                        return None;
                    }
                    at = self.scan(segment, data, at)?;
                }
                0xDB => self.quantization(segment)?,
                0xDD => self.interval = word(segment, 0)?,
                0xE0 => self.jfif |= segment.starts_with(b"JFIF\0"),
                0xEE if segment.starts_with(b"Adobe") => self.adobe = segment.get(11).copied(),
                _ => {}
            }
        }
    }

    fn quantization(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((first, rest)) = segment.split_first() {
            let wide = usize::from(first >> 4 != 0) + 1;
            let (values, rest) = rest.split_at_checked(64 * wide)?;
            let mut steps = [0; 64];
            for (k, value) in values.chunks(wide).enumerate() {
                steps[place(k)] = value.iter().fold(0, |sum, it| sum << 8 | u16::from(*it));
            }
            *self.steps.get_mut(usize::from(first & 15))? = Some(steps);
            segment = rest;
        }
        Some(())
    }

    fn huffman(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((first, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_at_checked(16)?;
            let total = counts.iter().map(|it| usize::from(*it)).sum();
            let (symbols, rest) = rest.split_at_checked(total)?;
            let slot = self.codes.get_mut(usize::from(first >> 4))?.get_mut(usize::from(first & 15))?;
            *slot = Codes::new(counts, symbols)?;
            segment = rest;
        }
        Some(())
    }

    fn frame(&mut self, segment: &[u8], progressive: bool, header: bool) -> Option<()> {
        let (height, width) = (word(segment, 1)?, word(segment, 3)?);
        let count = usize::from(*segment.get(5)?);
        if segment[0] != 8 || height == 0 || width == 0 || !matches!(count, 1 | 3 | 4) {
            return None;
        }
        (self.width, self.height, self.progressive) = (width, height, progressive);
        for it in segment.get(6..6 + 3 * count)?.chunks(3) {
            let (across, down) = (usize::from(it[1] >> 4), usize::from(it[1] & 15));
            if !(1..=4).contains(&across) || !(1..=4).contains(&down) {
                return None;
            }
            let table = usize::from(it[2]);
            let (row, coefficients) = (0, Vec::new());
            self.components.push(Component { id: it[0], across, down, table, row, coefficients, dc: 0 });
        }
        let (widest, highest) = self.most();
        let (units, rows) = (width.div_ceil(8 * widest), height.div_ceil(8 * highest));
        for it in self.components.iter_mut().filter(|_| !header) {
            if widest % it.across != 0 || highest % it.down != 0 {
                return None;
            }
            it.row = units * it.across;
            it.coefficients = vec![0; 64 * it.row * rows * it.down];
        }
        Some(())
    }

    /// The most blocks of a unit across and down.
    fn most(&self) -> (usize, usize) {
        let most = |of: fn(&Component) -> usize| self.components.iter().map(of).max().unwrap_or(1);
        (most(|it| it.across), most(|it| it.down))
    }

    /// Reads the data of a scan, and gives where it ends.
    fn scan(&mut self, segment: &[u8], data: &[u8], at: usize) -> Option<usize> {
        let count = usize::from(*segment.first()?);
        let chosen = segment.get(1..1 + 2 * count)?;
        let &[first, last, shifts] = segment.get(1 + 2 * count..4 + 2 * count)? else { return None };
        let scan = Scan {
            progressive: self.progressive,
            first: if self.progressive { first.into() } else { 0 },
            last: if self.progressive { last.into() } else { 63 },
            high: if self.progressive { u32::from(shifts >> 4) } else { 0 },
            low: if self.progressive { u32::from(shifts & 15) } else { 0 },
        };
        if scan.last > 63 || scan.first > scan.last || scan.low > 13 || (scan.first > 0 && count != 1) {
            return None;
        }
        let mut parts = Vec::new();
        for it in chosen.chunks(2) {
            let part = self.components.iter().position(|component| component.id == it[0])?;
            parts.push((part, usize::from(it[1] >> 4 & 3), usize::from(it[1] & 3)));
        }
        let (widest, highest) = self.most();
        // One component alone has no units: its blocks that hold a part of the image.
        let alone = if let [(part, ..)] = parts[..] { Some(&self.components[part]) } else { None };
        let extent = |size: usize, own: usize, most: usize| (size * own).div_ceil(most).div_ceil(8);
        let (columns, rows) = match alone {
            Some(it) => (extent(self.width, it.across, widest), extent(self.height, it.down, highest)),
            None => (self.width.div_ceil(8 * widest), self.height.div_ceil(8 * highest)),
        };
        let alone = alone.is_some();
        let mut bits = Bits::new(data, at);
        let mut run = 0;
        self.components.iter_mut().for_each(|it| it.dc = 0);
        for unit in 0..columns * rows {
            if self.interval > 0 && unit > 0 && unit % self.interval == 0 {
                bits.restart();
                run = 0;
                self.components.iter_mut().for_each(|it| it.dc = 0);
            }
            let (x, y) = (unit % columns, unit / columns);
            for (part, dc, ac) in &parts {
                let codes = (&self.codes[0][*dc], &self.codes[1][*ac]);
                let it = &mut self.components[*part];
                let (across, down) = if alone { (1, 1) } else { (it.across, it.down) };
                for i in 0..across * down {
                    let place = (y * down + i / across) * it.row + x * across + i % across;
                    let own = it.coefficients.get_mut(64 * place..64 * place + 64)?;
                    block(&mut bits, scan, codes, own, &mut it.dc, &mut run)?;
                }
            }
        }
        Some(bits.at)
    }

    fn picture(self) -> Option<Vec<u8>> {
        let (widest, highest) = self.most();
        let mut planes = Vec::new();
        for it in &self.components {
            let steps = self.steps.get(it.table)?.as_ref()?;
            let stride = 8 * it.row;
            let mut samples = vec![0; it.coefficients.len()];
            for (i, own) in it.coefficients.chunks(64).enumerate() {
                let start = i / it.row * 8 * stride + i % it.row * 8;
                samples::block(own, steps, &mut samples[start..], stride);
            }
            let (wide, high) = (widest / it.across, highest / it.down);
            let (width, height) = (self.width.div_ceil(wide), self.height.div_ceil(high));
            planes.push((Plane { width, height, stride, samples }, wide, high));
        }
        let ids: Vec<u8> = self.components.iter().map(|it| it.id).collect();
        let plain = match (self.jfif, self.adobe) {
            (true, _) => false,
            (_, Some(transform)) => transform == 0,
            _ => ids == *b"RGB",
        };
        let mut colours = Vec::with_capacity(3 * self.width * self.height);
        let mut rows = vec![Vec::new(); planes.len()];
        for y in 0..self.height {
            for ((plane, wide, high), row) in planes.iter().zip(&mut rows) {
                plane.upsampled(y, *wide, *high, row);
            }
            match &rows[..] {
                [grey] => colours.extend(grey.iter().take(self.width).flat_map(|it| [*it; 3])),
                [a, b, c, rest @ ..] => {
                    for (x, ((a, b), c)) in a.iter().zip(b).zip(c).take(self.width).enumerate() {
                        colours.extend_from_slice(&match rest.first() {
                            Some(black) => self.inks([*a, *b, *c, *black.get(x)?]),
                            None if plain => [*a, *b, *c],
                            None => samples::colours(*a, *b, *c),
                        });
                    }
                }
                _ => return None,
            }
        }
        Some(colours)
    }

    /// Colours of inks on paper. Adobe writes how much light is left.
    fn inks(&self, [c, m, y, k]: [u8; 4]) -> [u8; 3] {
        let inks =
            if self.adobe == Some(2) { samples::colours(c, m, y).map(|it| 255 - it) } else { [c, m, y] };
        let light = |it: u8| if self.adobe.is_some() { it } else { 255 - it };
        let left = u16::from(light(k));
        inks.map(|it| (u16::from(light(it)) * left / 255) as u8)
    }
}
