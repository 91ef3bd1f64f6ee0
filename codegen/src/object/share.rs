//! One function for all that are equal: routines for different sizes and places have most of their parts in common.

use indexmap::IndexMap;
use indexmap::map::Entry;

use super::record::{Code, Place};
use crate::clif::unit::Symbol;

/// Functions of routines, the first of equal ones alone, and for each other the name of that one.
///
/// Equal are functions of the same bytes that refer to equal functions in the same places, so what a function refers to
/// must stand before it, as generators define it.
pub(super) fn shared(code: impl IntoIterator<Item = Code>) -> (Vec<Code>, IndexMap<String, String>) {
    let mut kept = IndexMap::new();
    let mut renamed = IndexMap::new();
    for mut code in code {
        rename(&mut code, &renamed);
        let name = std::mem::take(&mut code.name);
        match kept.entry(code) {
            Entry::Vacant(place) => drop(place.insert(name)),
            Entry::Occupied(first) => drop(renamed.insert(name, first.get().clone())),
        }
    }
    (kept.into_iter().map(|(code, name)| Code { name, ..code }).collect(), renamed)
}

/// Refers to functions by other names.
pub(super) fn rename(code: &mut Code, renamed: &IndexMap<String, String>) {
    for it in &mut code.relocations {
        if let Place::Symbol(Symbol::Local(name), _) = &mut it.place
            && let Some(to) = renamed.get(name)
        {
            name.clone_from(to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clif::unit::Visibility;
    use crate::object::record::Relocation;
    use cranelift_codegen::binemit::Reloc;
    use cranelift_codegen::ir::Signature;
    use cranelift_codegen::isa::CallConv;

    fn code(name: &str, bytes: &[u8], calls: &[&str]) -> Code {
        let signature = Signature::new(CallConv::SystemV);
        let call = |(i, it): (usize, &&str)| Relocation {
            offset: i as u32,
            kind: Reloc::X86CallPCRel4,
            place: Place::Symbol(Symbol::Local((*it).to_owned()), Some(signature.clone())),
            addend: -4,
        };
        Code {
            name: name.to_owned(),
            visibility: Visibility::Local,
            alignment: 64,
            bytes: bytes.to_vec(),
            relocations: calls.iter().enumerate().map(call).collect(),
            signature: signature.clone(),
        }
    }

    #[test]
    fn functions_are_equal_when_what_they_call_is() {
        let all = [
            code("a.tile", &[1], &[]),
            code("a", &[2; 8], &["a.tile", "a.tile"]),
            code("b.tile", &[1], &[]),
            code("b.pack", &[3], &[]),
            code("b", &[2; 8], &["a.tile", "b.tile"]),
            code("c", &[2; 8], &["a.tile", "b.pack"]),
            code("d", &[4; 8], &["b"]),
        ];
        let (kept, renamed) = shared(all);
        let kept: Vec<String> = kept.iter().map(|it| format!("{} {:?}", it.name, it.bytes[0])).collect();
        assert_eq!(kept, ["a.tile 1", "a 2", "b.pack 3", "c 2", "d 4"]);
        let renamed: Vec<(&str, &str)> = renamed.iter().map(|(a, b)| (&a[..], &b[..])).collect();
        assert_eq!(renamed, [("b.tile", "a.tile"), ("b", "a")]);
    }
}
