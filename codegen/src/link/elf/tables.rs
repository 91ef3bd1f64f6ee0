//! The tables of the dynamic loader and of debuggers: symbols, strings, hashes, fixups, tags.

use cranelift_object::object::elf;
use indexmap::IndexMap;

use super::input::{Definition, Input, Symbol};
use super::layout::Layout;
use super::relocate::{Fixup, Needs, Places, Positions};
use crate::link::LinkInput;

/// Size in bytes of a symbol, of a fixup and of a tag.
pub(super) const SYMBOL: u64 = 24;
pub(super) const FIXUP: u64 = 24;
pub(super) const TAG: u64 = 16;

/// Texts one behind the other, each ended by a zero; the first is empty.
#[derive(Debug)]
pub(super) struct Strings {
    pub(super) bytes: Vec<u8>,
    known: IndexMap<String, u32>,
}

impl Strings {
    pub(super) fn new() -> Self {
        Strings { bytes: vec![0], known: IndexMap::from([(String::new(), 0)]) }
    }

    pub(super) fn add(&mut self, text: &str) -> u32 {
        if let Some(&at) = self.known.get(text) {
            return at;
        }
        // Names come from an object in memory whose own tables have 32-bit offsets.
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.known.insert(text.to_owned(), at);
        at
    }

    /// Offset of a text that was added.
    pub(super) fn at(&self, text: &str) -> u32 {
        self.known.get(text).copied().unwrap_or(0)
    }
}

/// Symbols that the loader sees: imports first, then exports.
#[derive(Debug)]
pub(super) struct Dynamic {
    pub(super) symbols: Vec<usize>,
    pub(super) positions: Positions,
    pub(super) strings: Strings,
    soname: Option<u32>,
    needed: Vec<u32>,
}

impl Dynamic {
    pub(super) fn new(link: &LinkInput<'_>, input: &Input<'_>, needs: &Needs) -> Self {
        let mut strings = Strings::new();
        let exported = input.symbols.iter().enumerate().filter(|(_, it)| it.is_exported());
        let symbols: Vec<usize> =
            needs.imported.iter().copied().chain(exported.map(|(index, _)| index)).collect();
        for &symbol in &symbols {
            strings.add(&input.symbols[symbol].name);
        }
        let soname = link.soname.map(|it| strings.add(it));
        let needed = link.needed.iter().map(|it| strings.add(it)).collect();
        let positions = symbols.iter().zip(1..).map(|(&symbol, position)| (symbol, position)).collect();
        Dynamic { symbols, positions, strings, soname, needed }
    }

    pub(super) fn tag_count(&self, has_init: bool, has_fini: bool) -> u64 {
        let fixed = 11;
        let optional = self.needed.len() + usize::from(self.soname.is_some());
        (fixed + optional) as u64 + 2 * (u64::from(has_init) + u64::from(has_fini))
    }

    pub(super) fn symbol_bytes(&self, input: &Input<'_>, layout: &Layout, places: Places<'_>) -> Vec<u8> {
        let mut bytes = vec![0; SYMBOL as usize];
        for &symbol in &self.symbols {
            let name = self.strings.at(&input.symbols[symbol].name);
            put_symbol(&mut bytes, name, &input.symbols[symbol], symbol_place(input, layout, places, symbol));
        }
        bytes
    }

    /// The System V hash table, which every loader reads.
    pub(super) fn hash_bytes(&self, input: &Input<'_>) -> Vec<u8> {
        let count = self.symbols.len() + 1;
        let buckets = bucket_count(count);
        let (mut heads, mut chains) = (vec![0u32; buckets], vec![0u32; count]);
        for (&symbol, position) in self.symbols.iter().zip(1u32..) {
            // Imports are looked up elsewhere.
            if input.symbols[symbol].definition == Definition::Undefined {
                continue;
            }
            let bucket = &mut heads[hash(&input.symbols[symbol].name) as usize % buckets];
            chains[position as usize] = std::mem::replace(bucket, position);
        }
        let header = [buckets as u32, count as u32]; // fewer than the 32-bit offsets of their names
        header.into_iter().chain(heads).chain(chains).flat_map(u32::to_le_bytes).collect()
    }

    pub(super) fn hash_size(&self) -> u64 {
        let count = self.symbols.len() + 1;
        4 * (2 + bucket_count(count) + count) as u64
    }

    pub(super) fn fixup_bytes(&self, fixups: &[Fixup]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(fixups.len() * FIXUP as usize);
        for fixup in fixups {
            let position = fixup.symbol.and_then(|it| self.positions.get(&it)).copied().unwrap_or(0);
            put(&mut bytes, [fixup.address, u64::from(position) << 32 | u64::from(fixup.kind)]);
            bytes.extend_from_slice(&fixup.addend.to_le_bytes());
        }
        bytes
    }

    pub(super) fn tag_bytes(&self, layout: &Layout, fixups: &[Fixup]) -> Vec<u8> {
        let section = |name: &str| layout.sections.iter().find(|it| it.name == name);
        let address = |name: &str| section(name).map_or(0, |it| it.address);
        let size = |name: &str| section(name).map_or(0, |it| it.size);
        let mut tags: Vec<(i64, u64)> = Vec::new();
        tags.extend(self.needed.iter().map(|&it| (elf::DT_NEEDED, u64::from(it))));
        tags.extend(self.soname.map(|it| (elf::DT_SONAME, u64::from(it))));
        for (name, at, length) in [
            (".init_array", elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ),
            (".fini_array", elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ),
        ] {
            if section(name).is_some() {
                tags.extend([(at, address(name)), (length, size(name))]);
            }
        }
        let relative = fixups.iter().filter(|it| it.kind == elf::R_X86_64_RELATIVE).count();
        tags.extend([
            (elf::DT_HASH, address(".hash")),
            (elf::DT_STRTAB, address(".dynstr")),
            (elf::DT_SYMTAB, address(".dynsym")),
            (elf::DT_STRSZ, size(".dynstr")),
            (elf::DT_SYMENT, SYMBOL),
            (elf::DT_RELA, address(".rela.dyn")),
            (elf::DT_RELASZ, size(".rela.dyn")),
            (elf::DT_RELAENT, FIXUP),
            (elf::DT_RELACOUNT, relative as u64),
            // Everything is bound at load: a missing symbol shows at once, and the table becomes read-only.
            (elf::DT_FLAGS, u64::from(elf::DF_BIND_NOW)),
            (elf::DT_NULL, 0),
        ]);
        let mut bytes = Vec::new();
        for (tag, value) in tags {
            put(&mut bytes, [tag.cast_unsigned(), value]);
        }
        bytes
    }
}

/// Symbols and strings for debuggers, profilers and disassemblers; the number is that of the local ones.
pub(super) fn debug_symbols(input: &Input<'_>, strings: &mut Strings) -> (Vec<usize>, u32) {
    let named = |it: &(usize, &Symbol)| {
        let (_, symbol) = it;
        let kept = matches!(symbol.kind, elf::STT_NOTYPE | elf::STT_OBJECT | elf::STT_FUNC);
        kept && !symbol.name.is_empty() && symbol.definition != Definition::Dropped
    };
    // What other libraries cannot see is local by now.
    let (global, local): (Vec<_>, Vec<_>) = input
        .symbols
        .iter()
        .enumerate()
        .filter(named)
        .partition(|(_, it)| it.is_exported() || it.definition == Definition::Undefined);
    let first_global = local.len() as u32 + 1;
    let order: Vec<usize> = local.into_iter().chain(global).map(|(index, _)| index).collect();
    for &symbol in &order {
        strings.add(&input.symbols[symbol].name);
    }
    (order, first_global)
}

pub(super) fn debug_symbol_bytes(
    order: &[usize],
    first_global: u32,
    strings: &Strings,
    input: &Input<'_>,
    layout: &Layout,
    places: Places<'_>,
) -> Vec<u8> {
    let mut bytes = vec![0; SYMBOL as usize];
    for (&index, position) in order.iter().zip(1..) {
        let symbol = &input.symbols[index];
        let name = strings.at(&symbol.name);
        let binding = if position < first_global { elf::STB_LOCAL } else { symbol.binding };
        let symbol = Symbol { name: String::new(), binding, ..*symbol };
        put_symbol(&mut bytes, name, &symbol, symbol_place(input, layout, places, index));
    }
    bytes
}

/// Section number and value of a symbol in the library.
fn symbol_place(input: &Input<'_>, layout: &Layout, places: Places<'_>, symbol: usize) -> (u16, u64) {
    match input.symbols[symbol].definition {
        Definition::Undefined | Definition::Dropped => (elf::SHN_UNDEF, 0),
        Definition::Absolute(value) => (elf::SHN_ABS, value),
        Definition::Section(section, offset) => {
            (layout.numbers[section], places.sections[section].wrapping_add(offset))
        }
    }
}

fn put_symbol(bytes: &mut Vec<u8>, name: u32, symbol: &Symbol, (section, value): (u16, u64)) {
    bytes.extend_from_slice(&name.to_le_bytes());
    bytes.extend_from_slice(&[symbol.binding << 4 | symbol.kind & 15, symbol.visibility & 3]);
    bytes.extend_from_slice(&section.to_le_bytes());
    put(bytes, [value, symbol.size]);
}

pub(super) fn put<const N: usize>(bytes: &mut Vec<u8>, words: [u64; N]) {
    bytes.extend(words.into_iter().flat_map(u64::to_le_bytes));
}

fn bucket_count(count: usize) -> usize {
    (count / 2).max(1)
}

/// The hash function of the System V ABI.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0u32, |hash, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}
