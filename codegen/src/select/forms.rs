//! Constants in the form that a routine reads.

use orogen_ir::types::TensorData;

/// How a kernel wants a parameter that is always a constant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum ParamForm {
    /// A value in flight: whole bytes for each element.
    #[default]
    Plain,
    /// As constants are: elements narrower than a byte lie side by side.
    Packed,
    /// In panels of a matrix multiplication.
    Panels(Panels),
    /// As nodes of trees, in range.
    Nodes(Nodes),
}

/// Pairs of words, of which the second, shifted right, is the number of one of `count` pairs: one that is larger is the
/// last, and the last pair stands there twice, so that the one behind any is there too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Nodes {
    /// How far the number is shifted left.
    pub(crate) shift: u32,
    /// How many pairs there are.
    pub(crate) count: i64,
}

impl Nodes {
    /// The pairs of a constant.
    pub(crate) fn pack(&self, data: &TensorData) -> Vec<u8> {
        let mut out = data.bytes().to_vec();
        let size = data.dtype().size();
        let last = self.count.unsigned_abs().saturating_sub(1);
        for word in out.chunks_exact_mut(size).skip(1).step_by(2) {
            let mut bits = [0; 8];
            bits[..size].copy_from_slice(word);
            let link = u64::from_le_bytes(bits);
            let low = link & ((1 << self.shift) - 1);
            let link = (link >> self.shift).min(last) << self.shift | low;
            word.copy_from_slice(&link.to_le_bytes()[..size]);
        }
        let end = out.len();
        out.extend_from_within(end.saturating_sub(2 * size)..);
        out
    }
}

/// Panels of `width` rows (or columns), over the whole depth: for each group
/// `[⌈count / width⌉][⌈depth / terms⌉][inner][width][terms]`, filled up with zeros. Strides are those of the constant, in
/// elements. Sums of signed bytes may follow each panel, `[width]` of `i32`. Where several elements share a byte, they are
/// neighbours along the depth, `terms` and `inner` are 1, a byte stands for one of them, and each `block` begins with a whole
/// byte; or, in `flat` panels, they are neighbours in the panel, which ends with whole bytes for each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Panels {
    /// Bytes of an element.
    pub(crate) element: i64,
    /// How many neighbours share a byte, the first in the low bits.
    pub(crate) in_a_byte: i64,
    /// Whether these are neighbours in the panel.
    pub(crate) flat: bool,
    /// Elements along the depth, whole blocks of them, of which the first begins a byte.
    pub(crate) block: i64,
    /// Number of matrices.
    pub(crate) groups: i64,
    /// From one matrix to the next.
    pub(crate) group_stride: i64,
    /// Rows (or columns) of a matrix.
    pub(crate) count: i64,
    /// From one to the next.
    pub(crate) stride: i64,
    /// The other extent, that of the sum, or the outer part of it.
    pub(crate) depth: i64,
    /// From one summand to the next.
    pub(crate) depth_stride: i64,
    /// The inner part of the sum; 1 if there is none.
    pub(crate) inner: i64,
    /// From one of its summands to the next.
    pub(crate) inner_stride: i64,
    /// Rows (or columns) of a panel.
    pub(crate) width: i64,
    /// Neighbours along `depth` that stand side by side.
    pub(crate) terms: i64,
    /// Whether the sum over the depth, of signed bytes, follows each panel.
    pub(crate) sums: bool,
}

impl Panels {
    /// Whether there is no element at all; the other numbers may be of any size then.
    fn is_empty(&self) -> bool {
        [self.groups, self.count, self.depth, self.inner].iter().any(|it| *it <= 0)
    }

    /// Panels of single bytes from the start of a constant, whose elements follow each other along the sum.
    pub(crate) fn plain(count: i64, depth: i64, width: i64) -> Panels {
        Panels {
            element: 1,
            in_a_byte: 1,
            flat: false,
            block: depth,
            groups: 1,
            group_stride: 0,
            count,
            stride: depth,
            depth,
            depth_stride: 1,
            inner: 1,
            inner_stride: 0,
            width,
            terms: 1,
            sums: false,
        }
    }

    /// Steps of the outer part of the sum.
    fn steps(&self) -> i64 {
        let block = self.block.max(1);
        self.depth / block * self.steps_of(block)
    }

    /// Steps of so many elements from the beginning of a block.
    fn steps_of(&self, elements: i64) -> i64 {
        let terms = self.terms * self.in_a_byte;
        (elements + terms - 1) / terms
    }

    /// Bytes of one group.
    pub(crate) fn group_bytes(&self) -> i64 {
        let rows = (self.count + self.width - 1) / self.width * self.width;
        let sum = if self.sums { 4 } else { 0 };
        rows * (self.row_bytes() + sum)
    }

    /// Bytes of a row (or column) in its panel.
    pub(crate) fn row_bytes(&self) -> i64 {
        if self.flat {
            let steps = (self.depth + self.terms - 1) / self.terms * self.inner * self.terms;
            return (steps + self.in_a_byte - 1) / self.in_a_byte;
        }
        self.steps() * self.inner * self.terms * self.element
    }

    /// Whether every element that the strides reach is one of `elements`, so that packing reads no other memory.
    pub(crate) fn fits(&self, elements: usize) -> bool {
        let last = |count: i64, stride: i64| i128::from((count - 1).max(0)) * i128::from(stride);
        let parts = [
            (self.groups, self.group_stride),
            (self.count, self.stride),
            (self.depth, self.depth_stride),
            (self.inner, self.inner_stride),
        ];
        let reach: i128 = parts.iter().map(|it| last(it.0, it.1)).sum();
        parts.iter().all(|it| it.1 >= 0) && (self.is_empty() || reach < elements as i128)
    }

    /// The panels of a constant; elements out of range are zero.
    pub(crate) fn pack(&self, data: &TensorData) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        if self.in_a_byte > 1 {
            return if self.flat { self.pack_flat(data) } else { self.pack_bits(data) };
        }
        let bytes = data.unpacked();
        let group_bytes = usize::try_from(self.group_bytes()).unwrap_or(0);
        let mut out = vec![0; group_bytes * usize::try_from(self.groups).unwrap_or(0)];
        let size = usize::try_from(self.element).unwrap_or(0);
        let mut places = out.chunks_exact_mut(size.max(1));
        let mut sums = vec![0i32; usize::try_from(self.width).unwrap_or(0)];
        for group in 0..self.groups {
            for first in (0..self.count).step_by(self.width.max(1) as usize) {
                for outer in (0..self.depth).step_by(self.terms.max(1) as usize) {
                    for inner in 0..self.inner {
                        for lane in 0..self.width {
                            for term in 0..self.terms {
                                let Some(place) = places.next() else { return out };
                                if first + lane >= self.count || outer + term >= self.depth {
                                    continue;
                                }
                                let from = group * self.group_stride
                                    + (first + lane) * self.stride
                                    + (outer + term) * self.depth_stride
                                    + inner * self.inner_stride;
                                let from = size * from as usize;
                                if let Some(element) = bytes.get(from..from + size) {
                                    place.copy_from_slice(element);
                                    if self.sums {
                                        sums[lane as usize] += i32::from(element[0] as i8);
                                    }
                                }
                            }
                        }
                    }
                }
                if self.sums {
                    let bytes = sums.iter_mut().flat_map(|it| std::mem::take(it).to_le_bytes());
                    for (byte, place) in bytes.zip(places.by_ref()) {
                        place[0] = byte;
                    }
                }
            }
        }
        out
    }

    /// The same where neighbours in a panel share bytes.
    fn pack_flat(&self, data: &TensorData) -> Vec<u8> {
        let whole = Panels { in_a_byte: 1, flat: false, ..*self }.pack(data);
        let width = data.dtype().width();
        let mask = (1u8 << width) - 1;
        let rows = (self.count + self.width - 1) / self.width * self.groups;
        let panel = whole.len() / usize::try_from(rows).unwrap_or(1).max(1);
        let bytes = usize::try_from(self.width * self.row_bytes()).unwrap_or(0);
        let mut out = Vec::with_capacity(usize::try_from(self.group_bytes() * self.groups).unwrap_or(0));
        let sums = if self.sums { 4 * usize::try_from(self.width).unwrap_or(0) } else { 0 };
        for panel in whole.chunks_exact(panel.max(1)) {
            let (elements, sums) = panel.split_at(panel.len() - sums);
            let end = out.len() + bytes;
            out.extend(elements.chunks(self.in_a_byte as usize).map(|part| {
                part.iter().enumerate().fold(0, |byte, (i, it)| byte | (it & mask) << (i as u32 * width))
            }));
            out.resize(end, 0);
            out.extend_from_slice(sums);
        }
        out
    }

    /// The same where neighbours along the depth share bytes.
    fn pack_bits(&self, data: &TensorData) -> Vec<u8> {
        let bytes = self.group_bytes() * self.groups;
        let mut out = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        let width = data.dtype().width();
        let in_block = self.steps_of(self.block).max(1);
        for group in 0..self.groups {
            for first in (0..self.count).step_by(self.width.max(1) as usize) {
                for step in 0..self.steps() {
                    for lane in first..first + self.width {
                        let element = |i: i64| {
                            let own = step % in_block * self.in_a_byte + i;
                            let at = step / in_block * self.block + own;
                            let from =
                                group * self.group_stride + lane * self.stride + at * self.depth_stride;
                            let is_one = lane < self.count
                                && own < self.block
                                && at < self.depth
                                && (from as usize) < data.len();
                            if is_one { (data.bits(from as usize) as u8) << (i as u32 * width) } else { 0 }
                        };
                        out.push((0..self.in_a_byte).fold(0, |byte, i| byte | element(i)));
                    }
                }
            }
        }
        out
    }
}
