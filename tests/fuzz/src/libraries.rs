//! What the runtime reads of a library: the text of its signature and its length, changed in a file that the system's
//! loader still takes. Damage to what the loader itself parses is out of reach: a library carries no digest that could be
//! checked before.

use crate::outcome::Outcome;
use crate::setup::Setup;
use orogen_ir::generate::Random;
use orogen_runtime::Library;

/// Bytes of the length in front of a text.
const LENGTH: usize = 8;

/// A library with changes in the text of its signature, or in its length.
pub(crate) fn changed(setup: &Setup, random: &mut Random) -> Vec<u8> {
    let mut file = setup.file.clone();
    let text = setup.library.signature().to_string();
    let Some(start) = file.windows(text.len()).position(|it| it == text.as_bytes()) else { return file };
    let end = start + text.len();
    if start >= LENGTH && random.below(4) == 0 {
        let length = match random.below(3) {
            0 => random.number() >> random.below(64),
            1 => 1 << random.below(40),
            _ => (text.len() + random.below(1 << 22)) as u64,
        };
        file[start - LENGTH..start].copy_from_slice(&length.to_le_bytes());
        return file;
    }
    for _ in 0..=random.below(4) {
        let at = start + random.below(end - start);
        file[at] = match random.below(3) {
            0 => file[at] ^ (1 << random.below(8)),
            1 => random.pick(b"0129,[]\"\\ \n-fn"),
            _ => random.number() as u8,
        };
    }
    file
}

/// Opens a library; what opens can be asked.
pub(crate) fn run(_: &Setup, input: &[u8]) -> Outcome {
    // The loader knows files by their names: each gets one of its own.
    let Ok(folder) = tempfile::tempdir() else { return Outcome::Refused };
    let path = folder.path().join("library.so");
    if std::fs::write(&path, input).is_err() {
        return Outcome::Refused;
    }
    match Library::open(&path) {
        Ok(library) => {
            let _ = (library.signature().to_string(), library.metadata().len());
            Outcome::Held
        }
        Err(error) if error.to_string().is_empty() => Outcome::Broken("an error without a text".to_string()),
        Err(_) => Outcome::Refused,
    }
}
