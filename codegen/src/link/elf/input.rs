//! Reads a relocatable x86-64 object into sections, symbols and references.

use cranelift_object::object::read::elf::{FileHeader, SectionHeader, Sym};
use cranelift_object::object::{LittleEndian, SectionIndex, elf};

use crate::link::{LinkError, LinkInput};

/// Order of the sections in the library, and what memory they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Constants.
    ReadOnly,
    /// Code.
    Text,
    /// Written by the loader, then constant.
    RelRo,
    /// Variables.
    Data,
    /// Variables that begin as zero.
    Bss,
    /// Not in memory: for debuggers.
    Debug,
    /// Large constants, at the far end.
    Blob,
}

/// Where the bytes of a section come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    Bytes(&'a [u8]),
    Zeros(u64),
    Blob(&'a [u8]),
}

impl Source<'_> {
    pub(super) fn size(&self) -> u64 {
        match self {
            Source::Bytes(bytes) | Source::Blob(bytes) => bytes.len() as u64, // widening
            Source::Zeros(size) => *size,
        }
    }
}

#[derive(Debug)]
pub(super) struct Section<'a> {
    /// Name of the output section it goes to.
    pub(super) name: String,
    pub(super) class: Class,
    /// `SHT_*`.
    pub(super) kind: u32,
    pub(super) alignment: u64,
    pub(super) source: Source<'a>,
    pub(super) references: Vec<Reference>,
}

/// A place that holds something computed from a symbol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    /// In the section.
    pub(super) offset: u64,
    /// `R_X86_64_*`.
    pub(super) kind: u32,
    /// Index into [`Input::symbols`].
    pub(super) symbol: usize,
    pub(super) addend: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Definition {
    /// By another library, or by nobody where the symbol is weak.
    Undefined,
    /// At an offset of a section in [`Input::sections`].
    Section(usize, u64),
    /// A number.
    Absolute(u64),
    /// In a section that the library leaves out.
    Dropped,
}

#[derive(Debug)]
pub(super) struct Symbol {
    pub(super) name: String,
    pub(super) definition: Definition,
    pub(super) size: u64,
    /// `STT_*`.
    pub(super) kind: u8,
    /// `STB_*`.
    pub(super) binding: u8,
    /// `STV_*`.
    pub(super) visibility: u8,
}

impl Symbol {
    /// Whether users of the library see it.
    pub(super) fn is_exported(&self) -> bool {
        self.binding != elf::STB_LOCAL
            && matches!(self.visibility, elf::STV_DEFAULT | elf::STV_PROTECTED)
            && matches!(self.definition, Definition::Section(..) | Definition::Absolute(_))
    }

    /// The name in a message; section symbols have none of their own.
    pub(super) fn label(&self) -> &str {
        if self.name.is_empty() { "section" } else { &self.name }
    }
}

#[derive(Debug)]
pub(super) struct Input<'a> {
    pub(super) sections: Vec<Section<'a>>,
    /// As numbered by the object, so that references need no translation.
    pub(super) symbols: Vec<Symbol>,
}

fn damaged(reason: impl ToString) -> LinkError {
    LinkError::Object { reason: reason.to_string() }
}

fn unsupported(what: impl ToString) -> LinkError {
    LinkError::Unsupported { what: what.to_string() }
}

pub(super) fn read<'a>(input: &LinkInput<'a>) -> Result<Input<'a>, LinkError> {
    const E: LittleEndian = LittleEndian;
    let data = input.object;
    let ident = data.get(..16).ok_or_else(|| damaged("it is shorter than a header"))?;
    if !ident.starts_with(&elf::ELFMAG) || ident[4] != elf::ELFCLASS64 || ident[5] != elf::ELFDATA2LSB {
        return Err(unsupported("objects other than 64-bit little-endian ELF"));
    }
    let header = elf::FileHeader64::<LittleEndian>::parse(data).map_err(damaged)?;
    if header.e_machine(E) != elf::EM_X86_64 {
        return Err(unsupported(format!("ELF machine {}", header.e_machine(E))));
    }
    if header.e_type(E) != elf::ET_REL {
        return Err(damaged("it is no relocatable object"));
    }
    let table = header.sections(E, data).map_err(damaged)?;
    let mut sections = Vec::new();
    let mut index_of: Vec<Option<usize>> = vec![None; table.len()];
    for (index, section) in table.enumerate() {
        let name = table.section_name(E, section).map_err(damaged)?;
        let name = String::from_utf8_lossy(name).into_owned();
        let Some((name, class)) = classify(name, section)? else { continue };
        let alignment = section.sh_addralign(E).max(1);
        if !alignment.is_power_of_two() || alignment > super::PAGE {
            return Err(damaged(format!("section `{name}` has alignment {alignment}")));
        }
        let source = match section.sh_type(E) {
            elf::SHT_NOBITS => Source::Zeros(section.sh_size(E)),
            _ => Source::Bytes(section.data(E, data).map_err(damaged)?),
        };
        if source.size() > super::LARGEST {
            return Err(damaged(format!("section `{name}` claims to be {} bytes long", source.size())));
        }
        index_of[index.0] = Some(sections.len());
        let kind = section.sh_type(E);
        sections.push(Section { name, class, kind, alignment, source, references: Vec::new() });
    }
    let mut symbols = read_symbols(data, &table, &index_of)?;
    for section in table.iter() {
        if section.sh_type(E) == elf::SHT_REL {
            return Err(unsupported("references without addends (SHT_REL)"));
        }
        let Some((relocations, _)) = section.rela(E, data).map_err(damaged)? else { continue };
        let target = section.sh_info(E) as usize; // widening
        let Some(target) = index_of.get(target).copied().flatten() else { continue };
        for relocation in relocations {
            let symbol = relocation.r_sym(E, false) as usize; // widening
            let kind = relocation.r_type(E, false);
            if symbol >= symbols.len() {
                return Err(damaged(format!(
                    "section `{}` refers to symbol {symbol}",
                    sections[target].name
                )));
            }
            let (offset, addend) = (relocation.r_offset.get(E), relocation.r_addend.get(E));
            sections[target].references.push(Reference { offset, kind, symbol, addend });
        }
    }
    add_blobs(input, &mut sections, &mut symbols)?;
    check_undefined(input, &symbols)?;
    Ok(Input { sections, symbols })
}

type Header = elf::SectionHeader64<LittleEndian>;
type Table<'a> = cranelift_object::object::read::elf::SectionTable<'a, elf::FileHeader64<LittleEndian>>;

/// Output section and class; nothing for sections that do not go into a library.
fn classify(name: String, section: &Header) -> Result<Option<(String, Class)>, LinkError> {
    const E: LittleEndian = LittleEndian;
    let flags = u32::try_from(section.sh_flags(E)).unwrap_or(u32::MAX);
    let kind = section.sh_type(E);
    let has = |flag: u32| flags & flag != 0;
    if !has(elf::SHF_ALLOC) {
        let debug = kind == elf::SHT_PROGBITS && name.starts_with(".debug_");
        return Ok(debug.then_some((name, Class::Debug)));
    }
    if has(elf::SHF_TLS) {
        return Err(unsupported(format!("thread-local storage (section `{name}`)")));
    }
    match kind {
        elf::SHT_PROGBITS | elf::SHT_NOBITS | elf::SHT_X86_64_UNWIND => {}
        elf::SHT_INIT_ARRAY | elf::SHT_FINI_ARRAY => return Ok(Some((name, Class::RelRo))),
        elf::SHT_NOTE => return Ok(None),
        other => return Err(unsupported(format!("section type {other} (section `{name}`)"))),
    }
    // One section for each function or datum: `.text.name` goes to `.text`.
    let family = [".text", ".rodata", ".data.rel.ro", ".data", ".bss", ".lrodata"];
    let member = |family: &&str| {
        name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let family = family.iter().find(|it| member(it)).map(|&it| it.to_owned());
    let name = family.unwrap_or(name);
    let class = match (has(elf::SHF_EXECINSTR), has(elf::SHF_WRITE)) {
        (true, true) => return Err(unsupported(format!("writable code (section `{name}`)"))),
        (true, false) => Class::Text,
        _ if name == ".data.rel.ro" => Class::RelRo,
        (_, true) if kind == elf::SHT_NOBITS => Class::Bss,
        (_, true) => Class::Data,
        _ if name == ".lrodata" => Class::Blob,
        _ if kind == elf::SHT_NOBITS => Class::Bss,
        _ => Class::ReadOnly,
    };
    Ok(Some((name, class)))
}

fn read_symbols(
    data: &[u8],
    table: &Table<'_>,
    index_of: &[Option<usize>],
) -> Result<Vec<Symbol>, LinkError> {
    const E: LittleEndian = LittleEndian;
    let source = table.symbols(E, data, elf::SHT_SYMTAB).map_err(damaged)?;
    let mut symbols = Vec::with_capacity(source.len());
    for (index, symbol) in source.enumerate() {
        let name = source.symbol_name(E, symbol).map_err(damaged)?;
        let name = String::from_utf8_lossy(name).into_owned();
        if symbol.st_shndx(E) == elf::SHN_COMMON || symbol.st_type() == elf::STT_COMMON {
            return Err(unsupported(format!("common symbols (`{name}`)")));
        }
        let value = symbol.st_value(E);
        let section = source.symbol_section(E, symbol, index).map_err(damaged)?;
        let definition = match section {
            Some(SectionIndex(section)) => match index_of.get(section) {
                Some(Some(section)) => Definition::Section(*section, value),
                Some(None) => Definition::Dropped,
                None => return Err(damaged(format!("symbol `{name}` lies in section {section}"))),
            },
            None if symbol.st_shndx(E) == elf::SHN_ABS => Definition::Absolute(value),
            None => Definition::Undefined,
        };
        if matches!(symbol.st_type(), elf::STT_TLS | elf::STT_GNU_IFUNC) {
            return Err(unsupported(format!("thread-local or indirect symbols (`{name}`)")));
        }
        symbols.push(Symbol {
            name,
            definition,
            size: symbol.st_size(E),
            kind: symbol.st_type(),
            binding: symbol.st_bind(),
            visibility: symbol.st_visibility(),
        });
    }
    let mut names = indexmap::IndexSet::new();
    for symbol in symbols.iter().filter(|it| it.binding != elf::STB_LOCAL) {
        if !names.insert(&symbol.name) {
            return Err(LinkError::Duplicate { symbol: symbol.name.clone() });
        }
    }
    Ok(symbols)
}

/// Turns blobs into sections at the far end, and binds the symbols of the object to them.
fn add_blobs<'a>(
    input: &LinkInput<'a>,
    sections: &mut Vec<Section<'a>>,
    symbols: &mut Vec<Symbol>,
) -> Result<(), LinkError> {
    let mut by_name: indexmap::IndexMap<String, usize> = symbols
        .iter()
        .enumerate()
        .filter(|(_, it)| it.binding != elf::STB_LOCAL)
        .map(|(index, it)| (it.name.clone(), index))
        .collect();
    for blob in input.blobs {
        let fail = |reason: String| LinkError::Blob { symbol: blob.symbol.to_owned(), reason };
        if !blob.alignment.is_power_of_two() || blob.alignment > super::PAGE {
            let reason =
                format!("its alignment of {} is no power of two up to {}", blob.alignment, super::PAGE);
            return Err(fail(reason));
        }
        if blob.symbol.is_empty() || blob.symbol.contains('\0') {
            return Err(fail("its name is empty or contains a zero byte".to_owned()));
        }
        let source = Source::Blob(blob.bytes);
        if source.size() > super::LARGEST {
            return Err(fail(format!("its length of {} bytes is out of reach", source.size())));
        }
        let definition = Definition::Section(sections.len(), 0);
        sections.push(Section {
            name: ".lrodata".to_owned(),
            class: Class::Blob,
            kind: elf::SHT_PROGBITS,
            alignment: blob.alignment,
            source,
            references: Vec::new(),
        });
        let bound = Symbol {
            name: blob.symbol.to_owned(),
            definition,
            size: source.size(),
            kind: elf::STT_OBJECT,
            binding: elf::STB_LOCAL,
            visibility: elf::STV_DEFAULT,
        };
        match by_name.insert(blob.symbol.to_owned(), symbols.len()) {
            None => symbols.push(bound),
            Some(index) if symbols.get(index).is_some_and(|it| it.definition == Definition::Undefined) => {
                symbols[index] = bound;
                by_name.insert(blob.symbol.to_owned(), index);
            }
            Some(_) => return Err(LinkError::Duplicate { symbol: blob.symbol.to_owned() }),
        }
    }
    Ok(())
}

fn check_undefined(input: &LinkInput<'_>, symbols: &[Symbol]) -> Result<(), LinkError> {
    let Some(imports) = input.imports else { return Ok(()) };
    let missing = symbols.iter().filter(|it| {
        let strong = it.definition == Definition::Undefined && it.binding == elf::STB_GLOBAL;
        strong && !it.name.is_empty() && !imports.contains(&it.name.as_str())
    });
    let symbols: Vec<String> = missing.map(|it| it.name.clone()).collect();
    if symbols.is_empty() { Ok(()) } else { Err(LinkError::Undefined { symbols }) }
}
