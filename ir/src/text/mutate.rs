//! Broken texts, for the tests of all grammars: whatever is read, nothing panics.

use crate::generate::Random;

/// `count` texts that one to four edits make of `text`, the same ones in every run: pieces cut, doubled or exchanged
/// for a character of `noise`, and ends cut off.
pub(crate) fn mutations(text: &str, noise: &str, count: u64) -> impl Iterator<Item = String> {
    let chars: Vec<char> = text.chars().collect();
    let noise: Vec<char> = noise.chars().collect();
    (0..count).map(move |seed| {
        let mut random = Random::new(seed);
        let mut text = chars.clone();
        for _ in 0..=random.below(4) {
            if text.is_empty() {
                break;
            }
            let at = random.below(text.len());
            let end = (at + 1 + random.below(11)).min(text.len());
            match random.below(16) {
                0..4 => drop(text.drain(at..end)),
                4..8 => {
                    let piece: Vec<char> = text[at..end].to_vec();
                    let to = random.below(text.len());
                    text.splice(to..to, piece);
                }
                8..12 => text.insert(at, random.pick(&noise)),
                12..15 => text[at] = random.pick(&noise),
                _ => text.truncate(at),
            }
        }
        text.into_iter().collect()
    })
}
