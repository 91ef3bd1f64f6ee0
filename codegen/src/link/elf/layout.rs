//! Gives every section its place in the file and in memory.
//!
//! ```text
//! R    headers  .hash .dynsym .dynstr .rela.dyn  .rodata .eh_frame
//! RX   .plt .text
//! RW   .data.rel.ro .init_array .dynamic .got      read-only after loading
//! RW   .data .bss
//!      .debug_* .symtab .strtab .shstrtab, section headers      not in memory
//! R    .lrodata                                    blobs, page-aligned in the file too
//! ```
//!
//! Neighbouring segments share a page of the file but never a page of memory, which keeps small libraries small.

use cranelift_object::object::elf;

use super::PAGE;
use super::input::{Class, Input};

/// What an output section is made of.
#[derive(Debug)]
pub(super) enum Content {
    /// Sections of the input, each at an offset.
    Pieces(Vec<(u64, usize)>),
    /// Made by the linker; has its final length from the start.
    Made(Vec<u8>),
}

#[derive(Debug)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) class: Class,
    /// `SHT_*`.
    pub(super) kind: u32,
    /// `SHF_*`.
    pub(super) flags: u32,
    pub(super) alignment: u64,
    pub(super) entry_size: u64,
    /// Name of the section that this one's header links to.
    pub(super) link: Option<&'static str>,
    pub(super) info: u32,
    pub(super) size: u64,
    pub(super) content: Content,
    pub(super) address: u64,
    pub(super) offset: u64,
}

impl Output {
    /// A section that the linker makes itself, `size` bytes long.
    pub(super) fn made(name: &str, class: Class, kind: u32, flags: u32, size: u64) -> Output {
        Output {
            name: name.to_owned(),
            class,
            kind,
            flags,
            alignment: 8,
            entry_size: 0,
            link: None,
            info: 0,
            size,
            // Blobs and zeros are never made here, so the size is one of memory.
            content: Content::Made(vec![0; size as usize]),
            address: 0,
            offset: 0,
        }
    }

    pub(super) fn with_entries(mut self, size: u64, link: Option<&'static str>, info: u32) -> Output {
        (self.entry_size, self.link, self.info) = (size, link, info);
        self
    }
}

/// A program header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// `PT_*`.
    pub(super) kind: u32,
    /// `PF_*`.
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) file_size: u64,
    pub(super) memory_size: u64,
    pub(super) alignment: u64,
}

/// Size of the ELF header and of one program header, in bytes.
const HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;
const SECTION_HEADER: u64 = 64;

#[derive(Debug)]
pub(super) struct Layout {
    /// In file order.
    pub(super) sections: Vec<Output>,
    pub(super) segments: Vec<Segment>,
    /// Offset of the section headers.
    pub(super) headers_at: u64,
    /// Address of each input section.
    pub(super) addresses: Vec<u64>,
    /// Number of the output section of each input section; 0 for none.
    pub(super) numbers: Vec<u16>,
}

/// Groups the sections of the input by output name, in order of first appearance.
pub(super) fn group(input: &Input<'_>) -> Vec<Output> {
    let mut outputs: Vec<Output> = Vec::new();
    for (index, section) in input.sections.iter().enumerate() {
        let same = |it: &Output| it.name == section.name && it.class == section.class;
        let at = outputs.iter().position(same).unwrap_or_else(|| {
            let flags = match section.class {
                Class::ReadOnly | Class::Blob => elf::SHF_ALLOC,
                Class::Text => elf::SHF_ALLOC | elf::SHF_EXECINSTR,
                Class::RelRo | Class::Data | Class::Bss => elf::SHF_ALLOC | elf::SHF_WRITE,
                Class::Debug => 0,
            };
            outputs.push(Output {
                kind: if section.class == Class::Bss { elf::SHT_NOBITS } else { section.kind },
                alignment: 1,
                content: Content::Pieces(Vec::new()),
                ..Output::made(&section.name, section.class, 0, flags, 0)
            });
            outputs.len() - 1
        });
        let output = &mut outputs[at];
        let offset = output.size.next_multiple_of(section.alignment);
        output.alignment = output.alignment.max(section.alignment);
        output.size = offset + section.source.size();
        if let Content::Pieces(pieces) = &mut output.content {
            pieces.push((offset, index));
        }
    }
    outputs
}

/// Places all sections.
pub(super) fn place(mut sections: Vec<Output>, input: &Input<'_>) -> Layout {
    sections.sort_by_key(|it| it.class); // stable: order within a class stays
    let has = |class: Class| sections.iter().any(|it| it.class == class);
    let loads = [Class::ReadOnly, Class::Text, Class::RelRo].iter().filter(|&&it| has(it)).count()
        + usize::from(has(Class::Data) || has(Class::Bss))
        + usize::from(has(Class::Blob));
    // And: dynamic section, pages to protect, no executable stack.
    let program_headers = loads as u64 + 3;
    let mut offset = HEADER + program_headers * PROGRAM_HEADER;
    let mut address = offset;
    let mut segments: Vec<Segment> = Vec::new();
    let mut current: Option<Class> = None;
    let mut loaded_end = offset;
    for section in sections.iter_mut().filter(|it| it.class != Class::Blob) {
        if section.class == Class::Debug {
            offset = offset.next_multiple_of(section.alignment);
            section.offset = offset;
            offset += section.size;
            continue;
        }
        let group = if section.class == Class::Bss { Class::Data } else { section.class };
        if current != Some(group) {
            let flags = match group {
                Class::ReadOnly => elf::PF_R,
                Class::Text => elf::PF_R | elf::PF_X,
                _ => elf::PF_R | elf::PF_W,
            };
            if current.is_none() {
                // The first segment covers the headers.
                segments.push(load(flags, 0, 0));
            } else {
                offset = offset.next_multiple_of(section.alignment);
                address = loaded_end.next_multiple_of(PAGE) + offset % PAGE;
                segments.push(load(flags, offset, address));
            }
            current = Some(group);
        }
        let aligned = address.next_multiple_of(section.alignment);
        let in_file = section.kind != elf::SHT_NOBITS;
        if in_file {
            offset += aligned - address;
        }
        (section.address, section.offset) = (aligned, offset);
        address = aligned + section.size;
        if in_file {
            offset += section.size;
        }
        loaded_end = address;
        if let Some(segment) = segments.last_mut() {
            segment.memory_size = address - segment.address;
            segment.file_size = offset - segment.offset;
        }
    }
    let headers_at = offset.next_multiple_of(8);
    let offset = headers_at + (sections.len() as u64 + 1) * SECTION_HEADER;
    place_blobs(&mut sections, &mut segments, offset, loaded_end);
    protect(&sections, &mut segments);
    let (mut addresses, mut numbers) = (vec![0; input.sections.len()], vec![0; input.sections.len()]);
    for (section, number) in sections.iter().zip(1..) {
        if let Content::Pieces(pieces) = &section.content {
            for &(offset, index) in pieces {
                (addresses[index], numbers[index]) = (section.address + offset, number);
            }
        }
    }
    debug_assert_eq!(segments.len() as u64, program_headers);
    Layout { sections, segments, headers_at, addresses, numbers }
}

fn load(flags: u32, offset: u64, address: u64) -> Segment {
    let kind = elf::PT_LOAD;
    Segment { kind, flags, offset, address, file_size: 0, memory_size: 0, alignment: PAGE }
}

/// The far end: a segment of its own, on whole pages of the file.
fn place_blobs(sections: &mut [Output], segments: &mut Vec<Segment>, offset: u64, loaded_end: u64) {
    let offset = offset.next_multiple_of(PAGE);
    let address = loaded_end.next_multiple_of(PAGE);
    let mut segment = load(elf::PF_R, offset, address);
    for section in sections.iter_mut().filter(|it| it.class == Class::Blob) {
        let within = segment.memory_size.next_multiple_of(section.alignment);
        (section.offset, section.address) = (offset + within, address + within);
        segment.memory_size = within + section.size;
        segment.file_size = segment.memory_size;
    }
    if sections.iter().any(|it| it.class == Class::Blob) {
        segments.push(segment);
    }
}

/// The headers beside the loadable segments.
fn protect(sections: &[Output], segments: &mut Vec<Segment>) {
    if let Some(dynamic) = sections.iter().find(|it| it.kind == elf::SHT_DYNAMIC) {
        segments.push(Segment {
            kind: elf::PT_DYNAMIC,
            flags: elf::PF_R | elf::PF_W,
            offset: dynamic.offset,
            address: dynamic.address,
            file_size: dynamic.size,
            memory_size: dynamic.size,
            alignment: 8,
        });
    }
    let inside = |it: &&mut Segment| {
        let relro = sections.iter().find(|section| section.class == Class::RelRo);
        it.kind == elf::PT_LOAD
            && relro.is_some_and(|section| {
                section.address >= it.address && section.address < it.address + it.memory_size
            })
    };
    let relro = segments.iter_mut().find(inside).map(|load| {
        // Up to the end of the page, since only whole pages can be protected; nothing else lies there.
        load.memory_size = (load.address + load.memory_size).next_multiple_of(PAGE) - load.address;
        *load
    });
    if let Some(relro) = relro {
        segments.push(Segment { kind: elf::PT_GNU_RELRO, flags: elf::PF_R, alignment: 1, ..relro });
    }
    segments.push(Segment {
        kind: elf::PT_GNU_STACK,
        flags: elf::PF_R | elf::PF_W,
        offset: 0,
        address: 0,
        file_size: 0,
        memory_size: 0,
        alignment: 16,
    });
}
