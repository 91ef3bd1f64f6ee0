//! Broken texts, for the tests of all grammars: whatever is read, nothing panics.

/// `count` texts that one to four edits make of `text`, the same ones in every run: pieces cut, doubled or exchanged
/// for a character of `noise`, and ends cut off.
pub(crate) fn mutations(text: &str, noise: &str, count: u64) -> impl Iterator<Item = String> {
    let chars: Vec<char> = text.chars().collect();
    let noise: Vec<char> = noise.chars().collect();
    (0..count).map(move |seed| {
        let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = |n: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % n as u64) as usize
        };
        let mut text = chars.clone();
        for _ in 0..=below(4) {
            if text.is_empty() {
                break;
            }
            let at = below(text.len());
            let end = (at + 1 + below(11)).min(text.len());
            match below(16) {
                0..4 => drop(text.drain(at..end)),
                4..8 => {
                    let piece: Vec<char> = text[at..end].to_vec();
                    let to = below(text.len());
                    text.splice(to..to, piece);
                }
                8..12 => text.insert(at, noise[below(noise.len())]),
                12..15 => text[at] = noise[below(noise.len())],
                _ => text.truncate(at),
            }
        }
        text.into_iter().collect()
    })
}
