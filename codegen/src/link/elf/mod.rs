//! The built-in linker for x86-64 ELF.
//!
//! Sources: the System V ABI (generic and AMD64 supplements), chapters on object files and dynamic linking.
//!
//! Steps: [`input`] reads the object, [`relocate`] finds what the references need, [`layout`] places everything,
//! [`tables`] and [`relocate`] fill in the contents, and the writer below streams the file front to back.

mod input;
mod layout;
mod relocate;
mod tables;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use cranelift_object::object::elf;

use super::output::{OutputFile, Positioned, failure};
use super::{LinkError, LinkInput, Linker};
use input::{Class, Definition, Input, Source};
use layout::{Content, Layout, Output, Segment};
use relocate::{GOT_SLOT, Needs, Places, STUB};
use tables::{Dynamic, FIXUP, SYMBOL, Strings, TAG};

/// Size in bytes of a page of memory on x86-64.
const PAGE: u64 = 4096;

/// Size in bytes of the largest section: below what the address space holds, so that no sum of sizes overflows.
const LARGEST: u64 = 1 << 46;

/// A [`Linker`] that writes x86-64 ELF shared libraries without any tool.
///
/// The result has read-only, executable and writable segments apart, no executable stack, no relocations in code,
/// binds all imports when it loads, and carries section headers and symbols for debuggers and profilers.
#[derive(Clone, Copy, Debug, Default)]
pub struct ElfLinker;

impl Linker for ElfLinker {
    fn link(&self, link: &LinkInput<'_>, output: &Path) -> Result<(), LinkError> {
        let input = input::read(link)?;
        let library = build(link, &input)?;
        let fail = |error: io::Error| failure(output, error);
        let file = OutputFile::create(output, true).map_err(fail)?;
        library.write(&input, file.file(), output)?;
        file.commit().map_err(fail)
    }
}

/// All that goes into the file, but for the blobs.
struct Library<'a> {
    layout: Layout,
    /// Of each input section.
    contents: Vec<Cow<'a, [u8]>>,
    /// Of the sections.
    names: Strings,
}

fn build<'a>(link: &LinkInput<'a>, input: &Input<'a>) -> Result<Library<'a>, LinkError> {
    let needs = relocate::scan(input)?;
    let dynamic = Dynamic::new(link, input, &needs);
    let mut names = Strings::new();
    let (order, first_global) = tables::debug_symbols(input, &mut names);
    let mut sections = made_sections(&needs, &dynamic);
    sections.extend(layout::group(input));
    let has = |name: &str| sections.iter().any(|it| it.name == name);
    let tags = dynamic.tag_count(has(".init_array"), has(".fini_array"));
    let alloc_write = elf::SHF_ALLOC | elf::SHF_WRITE;
    // Behind the input's, so that the addresses the loader writes end the part that it then protects.
    sections.extend([
        Output::made(".dynamic", Class::RelRo, elf::SHT_DYNAMIC, alloc_write, tags * TAG).with_entries(
            TAG,
            Some(".dynstr"),
            0,
        ),
        Output::made(".got", Class::RelRo, elf::SHT_PROGBITS, alloc_write, needs.got.len() as u64 * GOT_SLOT)
            .with_entries(GOT_SLOT, None, 0),
        Output::made(".symtab", Class::Debug, elf::SHT_SYMTAB, 0, (order.len() as u64 + 1) * SYMBOL)
            .with_entries(SYMBOL, Some(".strtab"), first_global),
        Output::made(".strtab", Class::Debug, elf::SHT_STRTAB, 0, names.bytes.len() as u64),
    ]);
    // An empty section is kept only for the sake of a symbol in it.
    let named = |index: usize| {
        let inside = |it: &input::Symbol| matches!(it.definition, Definition::Section(at, _) if at == index);
        input.symbols.iter().any(|it| !it.name.is_empty() && inside(it))
    };
    sections.retain(|it| match &it.content {
        Content::Pieces(pieces) => it.size > 0 || pieces.iter().any(|&(_, index)| named(index)),
        Content::Made(_) => it.size > 0,
    });
    let mut section_names = Strings::new();
    sections.iter().map(|it| it.name.as_str()).chain([".shstrtab"]).for_each(|it| _ = section_names.add(it));
    let length = section_names.bytes.len() as u64;
    sections.push(Output::made(".shstrtab", Class::Debug, elf::SHT_STRTAB, 0, length));
    if sections.len() >= usize::from(elf::SHN_LORESERVE) {
        return Err(LinkError::Unsupported { what: format!("{} output sections", sections.len()) });
    }

    let mut layout = layout::place(sections, input);
    let address = |name: &str| layout.sections.iter().find(|it| it.name == name).map_or(0, |it| it.address);
    let (got, stubs) = (address(".got"), address(".plt"));
    let addresses = layout.addresses.clone();
    let places = Places { sections: &addresses, got, stubs };
    let (contents, fixups) = relocate::resolve(input, &needs, places)?;
    debug_assert_eq!(fixups.len() as u64, needs.fixups);
    let made = [
        (".hash", dynamic.hash_bytes(input)),
        (".dynsym", dynamic.symbol_bytes(input, &layout, places)),
        (".dynstr", dynamic.strings.bytes.clone()),
        (".rela.dyn", dynamic.fixup_bytes(&fixups)),
        (".plt", relocate::stub_code(&needs, places)?),
        (".dynamic", dynamic.tag_bytes(&layout, &fixups)),
        (".got", relocate::got_bytes(input, &needs, places)),
        (".symtab", tables::debug_symbol_bytes(&order, first_global, &names, input, &layout, places)),
        (".strtab", names.bytes.clone()),
        (".shstrtab", section_names.bytes.clone()),
    ];
    for (name, bytes) in made {
        let section =
            layout.sections.iter_mut().find(|it| it.name == name && matches!(it.content, Content::Made(_)));
        let Some(section) = section else { continue };
        debug_assert_eq!(section.size, bytes.len() as u64, "{name}");
        section.content = Content::Made(bytes);
    }
    Ok(Library { layout, contents, names: section_names })
}

/// The tables that come before the sections of the input.
fn made_sections(needs: &Needs, dynamic: &Dynamic) -> Vec<Output> {
    let symbols = (dynamic.symbols.len() as u64 + 1) * SYMBOL;
    let strings = dynamic.strings.bytes.len() as u64;
    let (read, code) = (elf::SHF_ALLOC, elf::SHF_ALLOC | elf::SHF_EXECINSTR);
    let stubs = needs.stubs.len() as u64 * STUB;
    let mut plt =
        Output::made(".plt", Class::Text, elf::SHT_PROGBITS, code, stubs).with_entries(STUB, None, 0);
    plt.alignment = STUB;
    vec![
        Output::made(".hash", Class::ReadOnly, elf::SHT_HASH, read, dynamic.hash_size()).with_entries(
            4,
            Some(".dynsym"),
            0,
        ),
        Output::made(".dynsym", Class::ReadOnly, elf::SHT_DYNSYM, read, symbols).with_entries(
            SYMBOL,
            Some(".dynstr"),
            1,
        ),
        Output::made(".dynstr", Class::ReadOnly, elf::SHT_STRTAB, read, strings),
        Output::made(".rela.dyn", Class::ReadOnly, elf::SHT_RELA, read, needs.fixups * FIXUP).with_entries(
            FIXUP,
            Some(".dynsym"),
            0,
        ),
        plt,
    ]
}

impl Library<'_> {
    /// Streams the file front to back; blobs go from their source to the file.
    fn write(&self, input: &Input<'_>, file: &File, output: &Path) -> Result<(), LinkError> {
        let fail = |error: io::Error| failure(output, error);
        let mut out = Positioned::new(file);
        out.write_all(&self.headers()).map_err(fail)?;
        let mut headers_written = false;
        for section in &self.layout.sections {
            if section.class == Class::Blob && !headers_written {
                headers_written = true;
                out.pad_to(self.layout.headers_at).map_err(fail)?;
                out.write_all(&self.section_headers()).map_err(fail)?;
            }
            if section.kind == elf::SHT_NOBITS {
                continue;
            }
            match &section.content {
                Content::Made(bytes) => {
                    out.pad_to(section.offset).and_then(|()| out.write_all(bytes)).map_err(fail)?;
                }
                Content::Pieces(pieces) => {
                    for &(offset, index) in pieces {
                        out.pad_to(section.offset + offset).map_err(fail)?;
                        match input.sections[index].source {
                            Source::Blob(bytes) => out.write_all(bytes).map_err(fail)?,
                            _ => out.write_all(&self.contents[index]).map_err(fail)?,
                        }
                    }
                }
            }
        }
        if !headers_written {
            out.pad_to(self.layout.headers_at).map_err(fail)?;
            out.write_all(&self.section_headers()).map_err(fail)?;
        }
        out.flush().map_err(fail)
    }

    fn headers(&self) -> Vec<u8> {
        let layout = &self.layout;
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&elf::ELFMAG);
        bytes.extend_from_slice(&[elf::ELFCLASS64, elf::ELFDATA2LSB, elf::EV_CURRENT, elf::ELFOSABI_NONE]);
        bytes.resize(16, 0);
        let half = |bytes: &mut Vec<u8>, value: u16| bytes.extend_from_slice(&value.to_le_bytes());
        half(&mut bytes, elf::ET_DYN);
        half(&mut bytes, elf::EM_X86_64);
        bytes.extend_from_slice(&u32::from(elf::EV_CURRENT).to_le_bytes());
        // No entry point; program headers follow at once.
        tables::put(&mut bytes, [0, 64, layout.headers_at]);
        bytes.extend_from_slice(&0u32.to_le_bytes());
        // Fewer than the reserved section numbers, as `build` checked; a handful of segments.
        let (segments, sections) = (layout.segments.len() as u16, layout.sections.len() as u16 + 1);
        // Section names are in the last section but for the blobs.
        let names =
            layout.sections.iter().position(|it| it.name == ".shstrtab").map_or(0, |it| it as u16 + 1);
        for value in [64, 56, segments, 64, sections, names] {
            half(&mut bytes, value);
        }
        for segment in &layout.segments {
            let Segment { kind, flags, offset, address, file_size, memory_size, alignment } = *segment;
            bytes.extend([kind, flags].into_iter().flat_map(u32::to_le_bytes));
            tables::put(&mut bytes, [offset, address, address, file_size, memory_size, alignment]);
        }
        bytes
    }

    fn section_headers(&self) -> Vec<u8> {
        let sections = &self.layout.sections;
        let number =
            |name: &str| sections.iter().position(|it| it.name == name).map_or(0, |it| it as u32 + 1);
        let mut bytes = vec![0; 64];
        for section in sections {
            let name = self.names.at(&section.name);
            bytes.extend([name, section.kind].into_iter().flat_map(u32::to_le_bytes));
            tables::put(
                &mut bytes,
                [u64::from(section.flags), section.address, section.offset, section.size],
            );
            let link = section.link.map_or(0, number);
            bytes.extend([link, section.info].into_iter().flat_map(u32::to_le_bytes));
            tables::put(&mut bytes, [section.alignment, section.entry_size]);
        }
        bytes
    }
}
