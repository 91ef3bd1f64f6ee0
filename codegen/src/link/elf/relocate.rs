//! Resolves references: what needs a slot in the tables, and what to write where.

use std::borrow::Cow;

use cranelift_object::object::elf;
use indexmap::{IndexMap, IndexSet};

use super::input::{Class, Definition, Input, Reference, Section, Source};
use crate::link::LinkError;

/// Size in bytes of a slot of the global offset table.
pub(super) const GOT_SLOT: u64 = 8;
/// Size in bytes of a stub that jumps through the global offset table.
pub(super) const STUB: u64 = 16;

/// Everything that the dynamic loader and the stubs need, by symbol of the input.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Symbols with an address in the global offset table, in slot order.
    pub(super) got: IndexSet<usize>,
    /// Symbols that are called through a stub, in stub order; all of them are in `got` too.
    pub(super) stubs: IndexSet<usize>,
    /// Symbols that the loader looks up, in order of first use.
    pub(super) imported: IndexSet<usize>,
    /// Number of entries in the table of the loader.
    pub(super) fixups: u64,
}

/// One entry in the table of the loader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixup {
    pub(super) address: u64,
    /// Symbol of the input, where the loader looks one up.
    pub(super) symbol: Option<usize>,
    /// `R_X86_64_*`.
    pub(super) kind: u32,
    pub(super) addend: i64,
}

/// Where the pieces of the library lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places<'a> {
    /// Address of each input section.
    pub(super) sections: &'a [u64],
    pub(super) got: u64,
    pub(super) stubs: u64,
}

fn place_of(section: &Section<'_>, reference: &Reference) -> String {
    format!("`{}`+{:#x}", section.name, reference.offset)
}

/// Width in bytes of what a reference writes.
fn width(kind: u32) -> Option<usize> {
    match kind {
        elf::R_X86_64_64 | elf::R_X86_64_PC64 => Some(8),
        elf::R_X86_64_PC32 | elf::R_X86_64_PLT32 | elf::R_X86_64_32 | elf::R_X86_64_32S => Some(4),
        elf::R_X86_64_GOTPCREL | elf::R_X86_64_GOTPCRELX | elf::R_X86_64_REX_GOTPCRELX => Some(4),
        _ => None,
    }
}

fn through_got(kind: u32) -> bool {
    matches!(kind, elf::R_X86_64_GOTPCREL | elf::R_X86_64_GOTPCRELX | elf::R_X86_64_REX_GOTPCRELX)
}

/// Looks at every reference once, before anything has an address.
pub(super) fn scan(input: &Input<'_>) -> Result<Needs, LinkError> {
    let mut needs = Needs::default();
    for section in &input.sections {
        for reference in section.references.iter().filter(|it| it.kind != elf::R_X86_64_NONE) {
            scan_reference(input, section, reference, &mut needs)?;
        }
    }
    // Every slot is filled by the loader: with an address of its own or with one that it looks up.
    let slots =
        needs.got.iter().filter(|&&it| !matches!(input.symbols[it].definition, Definition::Absolute(_)));
    needs.fixups += slots.count() as u64;
    Ok(needs)
}

fn scan_reference(
    input: &Input<'_>,
    section: &Section<'_>,
    reference: &Reference,
    needs: &mut Needs,
) -> Result<(), LinkError> {
    let symbol = &input.symbols[reference.symbol];
    let unsupported = |what: &str| LinkError::Unsupported {
        what: format!("{what} (`{}` at {})", symbol.label(), place_of(section, reference)),
    };
    let Some(width) = width(reference.kind) else {
        return Err(unsupported(&format!("relocation type {}", reference.kind)));
    };
    let Source::Bytes(bytes) = section.source else {
        return Err(LinkError::Object { reason: format!("`{}` has no bytes to relocate", section.name) });
    };
    if reference.offset.checked_add(width as u64).is_none_or(|end| end > bytes.len() as u64) {
        return Err(LinkError::Object { reason: format!("{} lies outside", place_of(section, reference)) });
    }
    match symbol.definition {
        Definition::Dropped => return Err(unsupported("references to sections that are not loaded")),
        Definition::Undefined if symbol.name.is_empty() => {
            return Err(LinkError::Object {
                reason: format!("{} refers to nothing", place_of(section, reference)),
            });
        }
        _ => {}
    }
    if section.class == Class::Debug {
        return Ok(()); // resolved to the address in the library; what is not defined reads as zero
    }
    let undefined = symbol.definition == Definition::Undefined;
    match reference.kind {
        kind if through_got(kind) => {
            needs.got.insert(reference.symbol);
        }
        elf::R_X86_64_PLT32 if undefined => {
            needs.stubs.insert(reference.symbol);
            needs.got.insert(reference.symbol);
        }
        elf::R_X86_64_64 if matches!(symbol.definition, Definition::Absolute(_)) => {}
        elf::R_X86_64_64 => {
            if !matches!(section.class, Class::RelRo | Class::Data) {
                let place = place_of(section, reference);
                return Err(LinkError::TextRelocation { symbol: symbol.label().to_owned(), place });
            }
            needs.fixups += 1;
        }
        elf::R_X86_64_32 | elf::R_X86_64_32S if !matches!(symbol.definition, Definition::Absolute(_)) => {
            return Err(unsupported("32-bit absolute addresses in a shared library"));
        }
        _ if undefined => return Err(unsupported("relative references to symbols of other libraries")),
        _ => {}
    }
    if undefined {
        needs.imported.insert(reference.symbol);
    }
    Ok(())
}

/// The bytes of all input sections with references filled in, and the table of the loader.
pub(super) fn resolve<'a>(
    input: &Input<'a>,
    needs: &Needs,
    places: Places<'_>,
) -> Result<(Vec<Cow<'a, [u8]>>, Vec<Fixup>), LinkError> {
    let mut fixups = Vec::new();
    let mut contents = Vec::with_capacity(input.sections.len());
    for (index, section) in input.sections.iter().enumerate() {
        let bytes = match section.source {
            Source::Bytes(bytes) => bytes,
            Source::Zeros(_) | Source::Blob(_) => &[],
        };
        if section.references.is_empty() {
            contents.push(Cow::Borrowed(bytes));
            continue;
        }
        let mut bytes = bytes.to_vec();
        for reference in section.references.iter().filter(|it| it.kind != elf::R_X86_64_NONE) {
            let address = places.sections[index].wrapping_add(reference.offset);
            let value = value(input, needs, places, section, reference, address)?;
            let at = reference.offset as usize; // `scan` checked that it lies inside
            match value {
                Value::Word32(value) => bytes[at..at + 4].copy_from_slice(&value.to_le_bytes()),
                Value::Word64(value) => bytes[at..at + 8].copy_from_slice(&value.to_le_bytes()),
                Value::Loader(fixup) => fixups.push(fixup),
            }
        }
        contents.push(Cow::Owned(bytes));
    }
    for (slot, &symbol) in needs.got.iter().enumerate() {
        let address = places.got + slot as u64 * GOT_SLOT;
        match target(input, places, symbol) {
            Target::Address(target) => {
                let addend = target.cast_signed();
                fixups.push(Fixup { address, symbol: None, kind: elf::R_X86_64_RELATIVE, addend });
            }
            Target::Import => {
                let kind = elf::R_X86_64_GLOB_DAT;
                fixups.push(Fixup { address, symbol: Some(symbol), kind, addend: 0 });
            }
            Target::Number(_) => {} // written into the slot itself
        }
    }
    // The loader handles the simple ones fastest when they come first, in order.
    fixups.sort_by_key(|it| (it.kind != elf::R_X86_64_RELATIVE, it.symbol, it.address));
    Ok((contents, fixups))
}

pub(super) enum Target {
    /// An address in the library, from its start.
    Address(u64),
    /// The same wherever the library lies.
    Number(u64),
    /// Known to the loader alone.
    Import,
}

pub(super) fn target(input: &Input<'_>, places: Places<'_>, symbol: usize) -> Target {
    match input.symbols[symbol].definition {
        Definition::Section(section, offset) => {
            Target::Address(places.sections[section].wrapping_add(offset))
        }
        Definition::Absolute(number) => Target::Number(number),
        Definition::Undefined | Definition::Dropped => Target::Import,
    }
}

enum Value {
    Word32(i32),
    Word64(u64),
    Loader(Fixup),
}

fn value(
    input: &Input<'_>,
    needs: &Needs,
    places: Places<'_>,
    section: &Section<'_>,
    reference: &Reference,
    address: u64,
) -> Result<Value, LinkError> {
    let symbol = reference.symbol;
    let target = target(input, places, symbol);
    let slot =
        |table: &IndexSet<usize>, size: u64| table.get_index_of(&symbol).map_or(0, |it| it as u64 * size);
    let out_of_range = || LinkError::OutOfRange {
        symbol: input.symbols[symbol].label().to_owned(),
        place: place_of(section, reference),
        bits: 32,
    };
    // All addresses are below 2^63, so that 128 bits hold every sum exactly.
    let sum = |base: u64, minus: u64| i128::from(base) + i128::from(reference.addend) - i128::from(minus);
    let word32 = |value: i128| i32::try_from(value).map(Value::Word32).map_err(|_| out_of_range());
    let word64 = |value: i128| Value::Word64(value as u64); // modulo 2^64, as the format says
    if through_got(reference.kind) {
        return word32(sum(places.got + slot(&needs.got, GOT_SLOT), address));
    }
    let base = match target {
        Target::Address(base) | Target::Number(base) => base,
        Target::Import if section.class == Class::Debug => 0,
        Target::Import if reference.kind == elf::R_X86_64_PLT32 => places.stubs + slot(&needs.stubs, STUB),
        Target::Import => {
            let kind = elf::R_X86_64_64;
            return Ok(Value::Loader(Fixup {
                address,
                symbol: Some(symbol),
                kind,
                addend: reference.addend,
            }));
        }
    };
    match reference.kind {
        elf::R_X86_64_64 if section.class != Class::Debug && matches!(target, Target::Address(_)) => {
            let addend = sum(base, 0) as i64; // addresses are below 2^63
            Ok(Value::Loader(Fixup { address, symbol: None, kind: elf::R_X86_64_RELATIVE, addend }))
        }
        elf::R_X86_64_64 => Ok(word64(sum(base, 0))),
        elf::R_X86_64_PC64 => Ok(word64(sum(base, address))),
        elf::R_X86_64_32 => {
            u32::try_from(sum(base, 0)).map(|it| Value::Word32(it.cast_signed())).map_err(|_| out_of_range())
        }
        elf::R_X86_64_32S => word32(sum(base, 0)),
        _ => word32(sum(base, address)),
    }
}

/// The code of all stubs: `jmp *slot(%rip)`, padded with traps.
pub(super) fn stub_code(needs: &Needs, places: Places<'_>) -> Result<Vec<u8>, LinkError> {
    let mut code = Vec::with_capacity(needs.stubs.len() * STUB as usize);
    for (index, symbol) in needs.stubs.iter().enumerate() {
        let next = places.stubs + index as u64 * STUB + 6;
        let slot = needs.got.get_index_of(symbol).map_or(0, |it| it as u64 * GOT_SLOT) + places.got;
        let distance =
            i32::try_from(i128::from(slot) - i128::from(next)).map_err(|_| LinkError::OutOfRange {
                symbol: "_GLOBAL_OFFSET_TABLE_".to_owned(),
                place: "`.plt`".to_owned(),
                bits: 32,
            })?;
        code.extend_from_slice(&[0xff, 0x25]);
        code.extend_from_slice(&distance.to_le_bytes());
        code.resize(code.len() + STUB as usize - 6, 0xcc);
    }
    Ok(code)
}

/// The slots that need no loader.
pub(super) fn got_bytes(input: &Input<'_>, needs: &Needs, places: Places<'_>) -> Vec<u8> {
    let number = |&symbol: &usize| match target(input, places, symbol) {
        Target::Number(number) => number,
        Target::Address(_) | Target::Import => 0,
    };
    needs.got.iter().map(number).flat_map(u64::to_le_bytes).collect()
}

/// Position of each imported symbol, for the symbol table of the loader.
pub(super) type Positions = IndexMap<usize, u32>;
