//! `TfIdfVectorizer`: what occurs is counted by a function; weights are arithmetic.

use super::support::{as_rows, bad, text_data};
use orogen::onnx::Value;
use orogen::prelude::*;

pub(super) fn vectorizer(cx: &mut NodeCx<'_, '_>) -> Result<Value, Diagnostic> {
    let size = |name: &str| match cx.int(name) {
        Some(it) if it >= 0 => Ok(it),
        _ => Err(bad(format!("attribute `{name}` is missing or negative"))),
    };
    let (shortest, longest) = (size("min_gram_length")?, size("max_gram_length")?);
    let skips = size("max_skip_count")?;
    if shortest < 1 || longest < shortest {
        return Err(bad(format!("n-grams have {shortest} to {longest} items")));
    }
    let places = cx.ints("ngram_indexes").unwrap_or_default();
    let starts = cx.ints("ngram_counts").unwrap_or_default();
    let Some(most) = places.iter().copied().max().filter(|_| places.iter().all(|it| *it >= 0)) else {
        return Err(bad("attribute `ngram_indexes` is missing or holds a negative number"));
    };
    let width = most.checked_add(1).filter(|it| *it <= 1 << 24);
    let width = width.ok_or_else(|| bad(format!("column {most} is beyond all bounds")))?;

    let mut x = cx.input(0)?;
    let (pool, lengths, columns) = match cx.texts("pool_strings") {
        Some(list) if !list.is_empty() => {
            let (items, lengths, columns) = sorted(&list, starts, places)?;
            (text_data(&items)?, lengths, columns)
        }
        _ => {
            x = cx.as_i64(x)?;
            let (items, lengths, columns) =
                sorted(cx.ints("pool_int64s").unwrap_or_default(), starts, places)?;
            (TensorData::ints(&items), lengths, columns)
        }
    };
    let tables = [pool, TensorData::ints(&lengths), TensorData::ints(&columns)].map(|it| cx.constant(it));
    let rank = cx.rank(x)?;
    let rows = as_rows(cx, x)?;
    let attrs = Attrs::none().with("longest", longest).with("shortest", shortest);
    let attrs = attrs.with("skips", skips).with("width", width);
    let counts = cx.emit("text.count_grams", attrs, &[rows, tables[0], tables[1], tables[2]])?;
    let counts = if rank < 2 { cx.squeeze(counts, &[0])? } else { counts };

    let weights = match cx.floats("weights").filter(|it| !it.is_empty()) {
        Some(list) if list.len() != places.len() => {
            return Err(bad(format!("there are {} weights for {} n-grams", list.len(), places.len())));
        }
        Some(list) => {
            // They are those of n-grams in the order of the pool; columns that have none count as they are.
            let mut weights = vec![1f32; width as usize];
            places.iter().zip(list).for_each(|(column, it)| weights[*column as usize] = *it);
            let data = TensorData::from_slice(DType::F32, &[width as u64], &weights);
            Some(cx.constant(data))
        }
        None => None,
    };
    match (cx.text("mode").unwrap_or_default(), weights) {
        ("TF", _) | ("TFIDF", None) => Ok(counts),
        ("TFIDF", Some(weights)) => cx.binary("mul", counts, weights),
        ("IDF", weights) => {
            let (none, one) = (cx.number(DType::F32, 0.0), cx.number(DType::F32, 1.0));
            let occurs = cx.binary("greater", counts, none)?;
            cx.select(occurs, weights.unwrap_or(one), none)
        }
        (other, _) => Err(bad(format!("mode `{other}` is not known"))),
    }
}

/// The n-grams of each length in rising order: items, how many of each length, the column of each.
fn sorted<T: Ord + Clone>(
    items: &[T],
    starts: &[i64],
    columns: &[i64],
) -> Result<(Vec<T>, Vec<i64>, Vec<i64>), Diagnostic> {
    let broken = || bad("attributes `ngram_counts` and `ngram_indexes` do not fit the pool");
    let mut result = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = columns;
    for (i, start) in starts.iter().enumerate() {
        let place = |it: i64| usize::try_from(it).ok().filter(|it| *it <= items.len());
        let end = starts.get(i + 1).map_or(Some(items.len()), |it| place(*it)).ok_or_else(broken)?;
        let list = place(*start).and_then(|start| items.get(start..end)).ok_or_else(broken)?;
        let grams = list.chunks_exact(i + 1);
        if !grams.remainder().is_empty() {
            return Err(broken());
        }
        let (own, others) = rest.split_at_checked(grams.len()).ok_or_else(broken)?;
        rest = others;
        let mut pairs: Vec<(&[T], i64)> = grams.zip(own.iter().copied()).collect();
        pairs.sort();
        if pairs.windows(2).any(|it| it[0].0 == it[1].0) {
            return Err(bad(format!("an n-gram of {} items is twice in the pool", i + 1)));
        }
        result.1.push(pairs.len() as i64);
        for (gram, column) in pairs {
            result.0.extend_from_slice(gram);
            result.2.push(column);
        }
    }
    if rest.is_empty() { Ok(result) } else { Err(broken()) }
}
