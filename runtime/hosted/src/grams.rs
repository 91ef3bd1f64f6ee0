//! How often n-grams of a pool occur in rows of words or numbers.

use crate::array::{Array, Call, Elements, Outcome};

/// Operands: rows; the items of the pool, those of each length one n-gram after the other in rising order; how many n-grams
/// of each length there are, from 1 on; the column of each. Attributes: the number of columns, the shortest and the longest
/// length that counts, how many items may lie between two of an n-gram.
pub(crate) fn count(call: &Call) -> Outcome {
    let x = call.input(0)?;
    let &[rows, length] = &x.dims[..] else { return Err("operand 0 is no matrix".to_owned()) };
    let table = Table { lengths: call.ints(2)?, columns: call.ints(3)? };
    let wanted = Wanted::of(call)?;
    let counts = match (&x.elements, &call.input(1)?.elements) {
        (Elements::Texts(x), Elements::Texts(pool)) => table.counts(x, (rows, length), pool, &wanted),
        (Elements::Ints(x), Elements::Ints(pool)) => table.counts(x, (rows, length), pool, &wanted),
        _ => return Err("rows and pool hold neither strings nor 64-bit integers".to_owned()),
    }?;
    Ok(vec![Array::new(&[rows, wanted.width], Elements::Singles(counts))])
}

struct Wanted {
    width: usize,
    shortest: usize,
    longest: usize,
    skips: usize,
}

impl Wanted {
    fn of(call: &Call) -> Result<Self, String> {
        // In the order of their names.
        let size = |i| {
            let value = call.int(i)?;
            usize::try_from(value).map_err(|_| format!("attribute {i} is {value}"))
        };
        Ok(Wanted { width: size(3)?, shortest: size(1)?, longest: size(0)?, skips: size(2)? })
    }
}

struct Table<'a> {
    lengths: &'a [i64],
    columns: &'a [i64],
}

impl Table<'_> {
    fn counts<T: Ord>(
        &self,
        x: &[T],
        (rows, length): (usize, usize),
        pool: &[T],
        wanted: &Wanted,
    ) -> Result<Vec<f32>, String> {
        let broken = || "the pool does not fit its lengths and columns".to_owned();
        let mut counts = vec![0f32; rows * wanted.width];
        let (mut items, mut first) = (pool, 0usize);
        for (n, number) in (1usize..).zip(self.lengths) {
            let number = usize::try_from(*number).map_err(|_| broken())?;
            let (grams, rest) =
                items.split_at_checked(number.checked_mul(n).ok_or_else(broken)?).ok_or_else(broken)?;
            let columns = self.columns.get(first..first + number).ok_or_else(broken)?;
            (items, first) = (rest, first + number);
            if n < wanted.shortest || n > wanted.longest || number == 0 {
                continue;
            }
            let grams: Vec<&[T]> = grams.chunks(n).collect();
            // What lies between the items of a single one makes no difference.
            let skips = if n == 1 { 0 } else { wanted.skips.min(length) };
            for (row, counts) in x.chunks(length.max(1)).zip(counts.chunks_mut(wanted.width.max(1))) {
                for step in 1..=skips + 1 {
                    let reach = (n - 1) * step;
                    for start in 0..length.saturating_sub(reach) {
                        let here = || row[start..].iter().step_by(step).take(n);
                        let Ok(found) = grams.binary_search_by(|it| it.iter().cmp(here())) else { continue };
                        let column = usize::try_from(columns[found]).map_err(|_| broken())?;
                        *counts.get_mut(column).ok_or_else(broken)? += 1.0;
                    }
                }
            }
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_count_at_every_distance() {
        let table = Table { lengths: &[2, 1], columns: &[2, 0, 1] };
        let wanted = Wanted { width: 3, shortest: 1, longest: 2, skips: 1 };
        // 1 2 at distance 1, twice, and at distance 2, once.
        let counts = table.counts(&[1, 1, 2, 1, 2], (1, 5), &[1, 3, 1, 2], &wanted).expect("it fits");
        assert_eq!(counts, [0.0, 3.0, 3.0]);
        assert!(table.counts(&[1], (1, 1), &[1], &wanted).is_err());
        assert_eq!(table.counts(&[], (2, 0), &[1, 3, 1, 2], &wanted).expect("empty rows"), [0f32; 6]);
    }
}
