//! Samples of a JPEG image from its coefficients, bit by bit as libjpeg-turbo computes them: the slow integer transform
//! (Loeffler, Ligtenberg and Moschytz), triangles for colours of half the size, colours in steps of 1/65536.

/// Samples of one component.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    /// Those that count.
    pub(super) width: usize,
    pub(super) height: usize,
    /// From one row to the next.
    pub(super) stride: usize,
    pub(super) samples: Vec<u8>,
}

const BITS: u32 = 13;

/// One pass over eight values, scaled by 2 to the power of 13.
fn transform(v: [i64; 8]) -> [i64; 8] {
    let z1 = (v[2] + v[6]) * 4433;
    let (even2, even3) = (z1 - v[6] * 15137, z1 + v[2] * 6270);
    let (even0, even1) = ((v[0] + v[4]) << BITS, (v[0] - v[4]) << BITS);
    let even = [even0 + even3, even1 + even2, even1 - even2, even0 - even3];
    let z5 = (v[7] + v[3] + v[5] + v[1]) * 9633;
    let (z1, z2) = ((v[7] + v[1]) * -7373, (v[5] + v[3]) * -20995);
    let (z3, z4) = ((v[7] + v[3]) * -16069 + z5, (v[5] + v[1]) * -3196 + z5);
    let odd = [v[1] * 12299 + z1 + z4, v[3] * 25172 + z2 + z3, v[5] * 16819 + z2 + z4, v[7] * 2446 + z1 + z3];
    std::array::from_fn(|i| if i < 4 { even[i] + odd[i] } else { even[7 - i] - odd[7 - i] })
}

/// The samples of a block, with so many of them to a row.
pub(super) fn block(coefficients: &[i16], steps: &[u16; 64], out: &mut [u8], stride: usize) {
    let scaled = |value: i64, by: u32| (value + (1 << (by - 1))) >> by;
    let mut columns = [[0i64; 8]; 8];
    for (x, column) in columns.iter_mut().enumerate() {
        let value = |y: usize| i64::from(coefficients[8 * y + x]) * i64::from(steps[8 * y + x]);
        *column = transform(std::array::from_fn(value)).map(|it| scaled(it, BITS - 2));
    }
    for y in 0..8 {
        let row = transform(std::array::from_fn(|x| columns[x][y]));
        for (out, value) in out[y * stride..][..8].iter_mut().zip(row) {
            *out = (scaled(value, BITS + 5) + 128).clamp(0, 255) as u8;
        }
    }
}

impl Plane {
    fn row(&self, y: usize) -> &[u8] {
        &self.samples[y.min(self.height - 1) * self.stride..][..self.width]
    }

    /// Row `y` of the image, where this has `wide` times fewer columns and `high` times fewer rows than that.
    pub(super) fn upsampled(&self, y: usize, wide: usize, high: usize, out: &mut Vec<u8>) {
        out.clear();
        let near = self.row(y / high);
        // The row on the other side of this one's edge.
        let far = if y.is_multiple_of(2) { self.row((y / 2).saturating_sub(1)) } else { self.row(y / 2 + 1) };
        let pairs = near.iter().zip(far).map(|(near, far)| 3 * u32::from(*near) + u32::from(*far));
        match (wide, high) {
            (1, 1) => out.extend_from_slice(near),
            (1, 2) => out.extend(pairs.map(|it| ((it + if y.is_multiple_of(2) { 1 } else { 2 }) >> 2) as u8)),
            (2, 1) if self.width > 2 => {
                let row: Vec<u32> = near.iter().map(|it| u32::from(*it)).collect();
                halves(&row, (1, 2, 2), out);
            }
            (2, 2) if self.width > 2 => halves(&pairs.collect::<Vec<_>>(), (8, 7, 4), out),
            _ => out.extend(near.iter().flat_map(|it| std::iter::repeat_n(*it, wide))),
        }
    }
}

/// Two samples for each: three quarters of it and a quarter of its neighbour, which is itself at an end.
fn halves(row: &[u32], (left_round, right_round, shift): (u32, u32, u32), out: &mut Vec<u8>) {
    for (i, it) in row.iter().enumerate() {
        let (left, right) = (row[i.saturating_sub(1)], row[(i + 1).min(row.len() - 1)]);
        out.push(((3 * it + left + left_round) >> shift) as u8);
        out.push(((3 * it + right + right_round) >> shift) as u8);
    }
}

/// Red, green and blue of luminance and two differences of colour.
pub(super) fn colours(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let half = 1 << 15;
    let red = y + ((91881 * cr + half) >> 16);
    let green = y + ((-22554 * cb - 46802 * cr + half) >> 16);
    let blue = y + ((116_130 * cb + half) >> 16);
    [red, green, blue].map(|it| it.clamp(0, 255) as u8)
}
