//! Names that are like another one, for the way out of a misspelt one.

/// The name that is nearest to `name`, when it is near.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.into_iter().min_by_key(|it| distance(it, name))?;
    (distance(near, name) <= 1 + name.chars().count() / 3).then_some(near)
}

/// Characters that are added, left out or exchanged between two names. Of long ones the beginning counts.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let kept = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = kept.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_has_a_near_one() {
        let names = ["canonicalize", "simplify", "fuse"];
        assert_eq!(nearest("simplfy", names), Some("simplify"));
        assert_eq!(nearest("fusion", names), Some("fuse"));
        assert_eq!(nearest("vectorise", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest("x", []), None);
    }
}
