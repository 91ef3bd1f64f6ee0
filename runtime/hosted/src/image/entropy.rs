//! The coefficients of a JPEG image, from its Huffman codes.

/// A table of codes: symbols in the order of their codes, and where those of each length begin.
#[derive(Clone, Debug, Default)]
pub(super) struct Codes {
    symbols: Vec<u8>,
    /// For each length: what its codes are less than, and what is added to a code for the place of its symbol.
    ends: [(i32, i32); 17],
    /// For the codes of up to eight bits, by what begins with them: symbol and length, 0 where it is longer.
    short: Vec<(u8, u8)>,
}

impl Codes {
    /// `None` where there are more codes than bits for them.
    pub(super) fn new(counts: &[u8], symbols: &[u8]) -> Option<Codes> {
        let mut codes = Codes { symbols: symbols.to_vec(), short: vec![(0, 0); 256], ..Codes::default() };
        let (mut code, mut place) = (0i32, 0i32);
        for (length, count) in (1..=16usize).zip(counts) {
            let offset = place - code;
            for _ in 0..*count {
                if length <= 8 {
                    let symbol = *symbols.get(place as usize)?;
                    let first = (code as usize) << (8 - length);
                    codes.short.get_mut(first..first + (1 << (8 - length)))?.fill((symbol, length as u8));
                }
                (code, place) = (code + 1, place + 1);
            }
            if code > 1 << length {
                return None;
            }
            codes.ends[length] = (code, offset);
            code <<= 1;
        }
        (place as usize == symbols.len()).then_some(codes)
    }
}

/// Bits of the data of a scan. At a marker they go on as zeros, as in libjpeg.
pub(super) struct Bits<'d> {
    data: &'d [u8],
    pub(super) at: usize,
    held: u64,
    count: u32,
    marker: bool,
}

impl<'d> Bits<'d> {
    pub(super) fn new(data: &'d [u8], at: usize) -> Self {
        Bits { data, at, held: 0, count: 0, marker: false }
    }

    /// Room for at least 32 bits. `None` at the end of the file.
    fn fill(&mut self) -> Option<()> {
        while self.count <= 48 {
            let byte = match (self.marker, self.data.get(self.at..)?) {
                (true, _) => 0,
                (_, [0xFF, 0, ..]) => {
                    self.at += 2;
                    0xFF
                }
                (_, [0xFF, 0xFF, ..]) => {
                    self.at += 1;
                    continue;
                }
                (_, [0xFF, _, ..]) => {
                    self.marker = true;
                    0
                }
                (_, [0xFF] | []) => return None,
                (_, [byte, ..]) => {
                    self.at += 1;
                    *byte
                }
            };
            self.held = self.held << 8 | u64::from(byte);
            self.count += 8;
        }
        Some(())
    }

    fn peek(&self, n: u32) -> u32 {
        (self.held >> (self.count - n)) as u32 & ((1 << n) - 1)
    }

    pub(super) fn bits(&mut self, n: u32) -> Option<i32> {
        if self.count < n {
            self.fill()?;
        }
        let value = self.peek(n);
        self.count -= n;
        Some(value as i32)
    }

    /// A number of so many bits; those of the lower half are negative.
    fn signed(&mut self, n: u32) -> Option<i32> {
        let value = self.bits(n)?;
        Some(if n > 0 && value < 1 << (n - 1) { value - (1 << n) + 1 } else { value })
    }

    fn symbol(&mut self, codes: &Codes) -> Option<u8> {
        if self.count < 16 {
            self.fill()?;
        }
        let (symbol, length) = *codes.short.get(self.peek(8) as usize)?;
        if length > 0 {
            self.count -= u32::from(length);
            return Some(symbol);
        }
        for length in 9..=16 {
            let code = self.peek(length) as i32;
            let (end, offset) = codes.ends[length as usize];
            if code < end {
                self.count -= length;
                return codes.symbols.get(usize::try_from(code + offset).ok()?).copied();
            }
        }
        None
    }

    /// What follows a restart marker.
    pub(super) fn restart(&mut self) {
        (self.held, self.count, self.marker) = (0, 0, false);
        while let Some([first, second]) = self.data.get(self.at..self.at + 2) {
            match (first, second) {
                (0xFF, 0xD0..=0xD7) => {
                    self.at += 2;
                    return;
                }
                (0xFF, 1..=0xFE) => {
                    self.marker = true;
                    return;
                }
                _ => self.at += 1,
            }
        }
    }
}

/// What a scan says: which coefficients, from which bit on, and which bit was there before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    pub(super) progressive: bool,
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) high: u32,
    pub(super) low: u32,
}

/// Where coefficients stand in a block, in the order in which they are coded.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Place `k` of the coded order.
pub(super) fn place(k: usize) -> usize {
    usize::from(ZIGZAG[k & 63])
}

/// Reads what a scan says of a block. `last_dc` is that of the block before, `run` how many blocks have nothing more.
pub(super) fn block(
    bits: &mut Bits<'_>,
    scan: Scan,
    (dc, ac): (&Codes, &Codes),
    block: &mut [i16],
    last_dc: &mut i32,
    run: &mut i32,
) -> Option<()> {
    let mut k = scan.first;
    if k == 0 {
        if scan.high > 0 {
            block[0] |= (bits.bits(1)? << scan.low) as i16;
        } else {
            let size = u32::from(bits.symbol(dc)?);
            *last_dc = last_dc.wrapping_add(bits.signed(size.min(16))?);
            block[0] = (last_dc.wrapping_shl(scan.low)) as i16;
        }
        k = 1;
        if scan.progressive {
            return Some(());
        }
    }
    if scan.high > 0 {
        return refine(bits, scan, ac, block, run);
    }
    if *run > 0 {
        *run -= 1;
        return Some(());
    }
    while k <= scan.last {
        let symbol = bits.symbol(ac)?;
        let (skip, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size > 0 {
            k += skip;
            let value = bits.signed(size)?;
            block[place(k.min(63))] = (value << scan.low) as i16;
            k += 1;
        } else if skip == 15 {
            k += 16;
        } else {
            *run = if scan.progressive && skip > 0 { (1 << skip) - 1 + bits.bits(skip as u32)? } else { 0 };
            break;
        }
    }
    Some(())
}

/// One more bit of the coefficients that are not 0, and some that no longer are.
fn refine(bits: &mut Bits<'_>, scan: Scan, ac: &Codes, block: &mut [i16], run: &mut i32) -> Option<()> {
    let one = 1i16 << scan.low;
    let more = |bits: &mut Bits<'_>, it: &mut i16| {
        if bits.bits(1)? == 1 && *it & one == 0 {
            *it = it.wrapping_add(if *it >= 0 { one } else { -one });
        }
        Some(())
    };
    let mut k = scan.first;
    if *run == 0 {
        while k <= scan.last {
            let symbol = bits.symbol(ac)?;
            let (mut skip, size) = (i32::from(symbol >> 4), symbol & 15);
            let mut new = 0;
            if size > 0 {
                new = if bits.bits(1)? == 1 { one } else { -one };
            } else if skip < 15 {
                *run = (1 << skip) + bits.bits(skip as u32)?;
                break;
            }
            while k <= scan.last {
                let it = &mut block[place(k)];
                k += 1;
                if *it != 0 {
                    more(bits, it)?;
                } else if skip > 0 {
                    skip -= 1;
                } else {
                    *it = new;
                    break;
                }
            }
        }
    }
    if *run > 0 {
        for k in k..=scan.last {
            let it = &mut block[place(k)];
            if *it != 0 {
                more(bits, it)?;
            }
        }
        *run -= 1;
    }
    Some(())
}
