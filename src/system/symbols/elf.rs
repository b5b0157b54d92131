//! What an ELF file says of the functions in it. The file may be anything, and anybody's: it is read
//! piece by piece, each piece has a limit, and what is kept of it is small.

use std::ops::Range;

use object::elf::{
    FileHeader32, FileHeader64, PF_X, PT_GNU_EH_FRAME, PT_LOAD, SHN_LORESERVE, SHN_UNDEF,
    SHT_DYNSYM, SHT_STRTAB, SHT_SYMTAB, STT_FUNC, STT_GNU_IFUNC,
};
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _, Sym as _};
use object::{Endianness, I32, LittleEndian, U32};

use super::bytes::Bytes;
use super::table::{Symbol, Table};

mod elsewhere;

pub(super) use elsewhere::Elsewhere;

/// The most segments that are looked at; programs have a dozen.
const SEGMENTS_MAX: u16 = 1024;
/// The most sections that are looked at; programs have forty.
const SECTIONS_MAX: usize = 1 << 14;
/// The most symbols that are looked at; the largest browsers have a million and a half.
const SYMBOLS_MAX: u64 = 1 << 22;
/// Symbols that are read at a time.
const CHUNK: u64 = 1 << 12;
/// The longest name that is read. Demangled it is shorter as a rule.
const NAME_MAX: usize = 4096;

/// A file with functions.
#[derive(Debug)]
pub(super) struct Elf<B> {
    bytes: B,
    /// Those that may be run.
    segments: Vec<Segment>,
    functions: Functions,
    unwinding: Option<Unwinding>,
    /// Where its symbols may be, if they are not here.
    elsewhere: Option<Elsewhere>,
    /// The file in which they were found.
    added: Option<(B, Functions)>,
}

/// A part of the file, and the address that the file gives it.
#[derive(Debug)]
struct Segment {
    offset: u64,
    address: u64,
    size: u64,
}

/// The functions, and where their names are in the file.
#[derive(Debug, Default)]
struct Functions {
    table: Table,
    names: Range<u64>,
    /// Those for the linker alone are left when a file is stripped.
    are_all: bool,
}

/// The table that exceptions are handled by, which stripped files have too: where functions begin,
/// in order.
#[derive(Debug)]
struct Unwinding {
    /// Where the first entry is in the file.
    offset: u64,
    /// What addresses in it are relative to.
    base: u64,
    count: u64,
}

impl Segment {
    fn has(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|into| into < self.size)
    }
}

impl<B: Bytes> Elf<B> {
    /// `None` if it is no ELF file, or is broken where it is looked at.
    pub(super) fn read(bytes: B) -> Option<Self> {
        match bytes.one::<[u8; 5]>(0)? {
            [0x7f, b'E', b'L', b'F', 2] => Self::read_class::<FileHeader64<Endianness>>(bytes),
            [0x7f, b'E', b'L', b'F', 1] => Self::read_class::<FileHeader32<Endianness>>(bytes),
            _ => None,
        }
    }

    fn read_class<H: FileHeader<Endian = Endianness>>(bytes: B) -> Option<Self> {
        let header = bytes.one::<H>(0).filter(H::is_supported)?;
        let endian = header.endian().ok()?;
        if usize::from(header.e_phentsize(endian)) != size_of::<H::ProgramHeader>() {
            return None;
        }
        let count = header.e_phnum(endian).min(SEGMENTS_MAX).into();
        let all = bytes.array::<H::ProgramHeader>(header.e_phoff(endian).into(), count)?;
        let segment = |header: &H::ProgramHeader| Segment {
            offset: header.p_offset(endian).into(),
            address: header.p_vaddr(endian).into(),
            size: header.p_filesz(endian).into(),
        };
        let is_run = |header: &&H::ProgramHeader| {
            header.p_type(endian) == PT_LOAD && header.p_flags(endian) & PF_X != 0
        };
        let segments = all.iter().filter(is_run).map(segment).collect::<Vec<_>>();
        let of_unwinding = all.iter().find(|header| header.p_type(endian) == PT_GNU_EH_FRAME);
        let unwinding = of_unwinding.and_then(|header| Unwinding::read(&bytes, &segment(header)));
        // Without sections there are no names, but addresses.
        let sections = sections(&bytes, &header, endian).unwrap_or_default();
        let functions = Functions::read::<H>(&bytes, &sections, endian, &segments);
        let functions = functions.unwrap_or_default();
        let read = || Elsewhere::read(&bytes, &header, &all, &sections);
        let elsewhere = if functions.are_all { None } else { read() };
        Some(Self { bytes, segments, functions, unwinding, elsewhere, added: None })
    }

    /// Where its symbols may be, if they are not in it. Asked for once.
    pub(super) fn take_elsewhere(&mut self) -> Option<Elsewhere> {
        self.elsewhere.take()
    }

    /// Takes the symbols of another file for its own, if it has them all.
    pub(super) fn add_names(&mut self, bytes: B) -> bool {
        let functions = match bytes.one::<[u8; 5]>(0) {
            Some([.., 2]) => self.names_in::<FileHeader64<Endianness>>(&bytes),
            _ => self.names_in::<FileHeader32<Endianness>>(&bytes),
        };
        self.added = functions.map(|functions| (bytes, functions));
        self.added.is_some()
    }

    fn names_in<H: FileHeader<Endian = Endianness>>(&self, bytes: &B) -> Option<Functions> {
        let header = bytes.one::<H>(0).filter(H::is_supported)?;
        let endian = header.endian().ok()?;
        let sections = sections(bytes, &header, endian)?;
        let functions = Functions::read::<H>(bytes, &sections, endian, &self.segments)?;
        functions.are_all.then_some(functions)
    }

    /// The address that the file gives to what is at an offset in it, if that may be run.
    pub(super) fn address_at(&self, offset: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let into = offset.checked_sub(segment.offset)?;
            if into < segment.size { segment.address.checked_add(into) } else { None }
        })
    }

    /// The name of the function that an address is in. Of several the one that programmers use.
    pub(super) fn name_of(&self, address: u64) -> Option<Vec<u8>> {
        let added = self.added.as_ref().and_then(|(bytes, more)| more.name_of(bytes, address));
        added.or_else(|| self.functions.name_of(&self.bytes, address))
    }

    /// Where the function begins that an address is in, as far as exceptions are concerned.
    pub(super) fn begin_of(&self, address: u64) -> Option<u64> {
        let begin = self.unwinding.as_ref()?.begin_of(&self.bytes, address)?;
        let segment = self.segments.iter().find(|segment| segment.has(address))?;
        segment.has(begin).then_some(begin)
    }

    /// The memory that it takes.
    pub(super) fn memory(&self) -> usize {
        let added = self.added.as_ref().map_or(0, |(_, functions)| functions.table.memory());
        self.functions.table.memory()
            + added
            + self.segments.capacity() * size_of::<Segment>()
            + size_of::<Self>()
    }
}

/// `write` rather than `__write`, and always the same.
pub(super) fn rank(name: &[u8]) -> (usize, usize, Vec<u8>) {
    let underscores = name.iter().take_while(|&&byte| byte == b'_').count();
    (underscores, name.len(), name.to_vec())
}

/// The sections of a file, if there are not too many.
fn sections<H: FileHeader<Endian = Endianness>>(
    bytes: &impl Bytes,
    header: &H,
    endian: Endianness,
) -> Option<Vec<H::SectionHeader>> {
    if usize::from(header.e_shentsize(endian)) != size_of::<H::SectionHeader>() {
        return None;
    }
    let at = header.e_shoff(endian).into();
    let count = match header.e_shnum(endian) {
        // There are too many for the header.
        0 => bytes.one::<H::SectionHeader>(at)?.sh_size(endian).into(),
        count => u64::from(count),
    };
    let count = usize::try_from(count).ok().filter(|count| *count <= SECTIONS_MAX)?;
    bytes.array::<H::SectionHeader>(at, count)
}

impl Functions {
    fn name_of(&self, bytes: &impl Bytes, address: u64) -> Option<Vec<u8>> {
        let Self { table, names, .. } = self;
        let name = |symbol: &Symbol| {
            let at = names.start.checked_add(symbol.name.into()).filter(|at| names.contains(at))?;
            let limit = usize::try_from(names.end - at).unwrap_or(NAME_MAX).min(NAME_MAX);
            bytes.string(at, limit).filter(|name| !name.is_empty())
        };
        table.at(address).iter().filter_map(name).min_by_key(|name| rank(name))
    }

    fn read<H: FileHeader<Endian = Endianness>>(
        bytes: &impl Bytes,
        sections: &[H::SectionHeader],
        endian: Endianness,
        segments: &[Segment],
    ) -> Option<Self> {
        let of_kind = |kind| sections.iter().find(|section| section.sh_type(endian) == kind);
        let section = of_kind(SHT_SYMTAB).or_else(|| of_kind(SHT_DYNSYM))?;
        let are_all = section.sh_type(endian) == SHT_SYMTAB;
        let strings = sections.get(usize::try_from(section.sh_link(endian)).ok()?)?;
        let strings = Some(strings).filter(|strings| strings.sh_type(endian) == SHT_STRTAB)?;
        let start = strings.sh_offset(endian).into();
        let names = start..start.checked_add(strings.sh_size(endian).into())?;
        let (at, size) = (section.sh_offset(endian).into(), section.sh_size(endian).into());
        let table = Self::table::<H>(bytes, endian, at..at.checked_add(size)?, segments)?;
        Some(Self { table, names, are_all })
    }

    fn table<H: FileHeader<Endian = Endianness>>(
        bytes: &impl Bytes,
        endian: Endianness,
        at: Range<u64>,
        segments: &[Segment],
    ) -> Option<Table> {
        let size = size_of::<H::Sym>() as u64;
        let count = ((at.end - at.start) / size).min(SYMBOLS_MAX);
        let mut symbols = Vec::new();
        for first in (0..count).step_by(CHUNK as usize) {
            let len = usize::try_from(CHUNK.min(count - first)).ok()?;
            let chunk = bytes.array::<H::Sym>(at.start + first * size, len)?;
            symbols.extend(chunk.iter().filter_map(|symbol| {
                let address = symbol.st_value(endian).into();
                let section = symbol.st_shndx(endian);
                // Versions of symbols, and other values that are no places, look like symbols too.
                let is_function = matches!(symbol.st_type(), STT_FUNC | STT_GNU_IFUNC)
                    && section != SHN_UNDEF
                    && (section < SHN_LORESERVE || section == object::elf::SHN_XINDEX)
                    && segments.iter().any(|segment| segment.has(address));
                let size = u32::try_from(symbol.st_size(endian).into()).unwrap_or(u32::MAX);
                is_function.then(|| Symbol { address, size, name: symbol.st_name(endian) })
            }));
        }
        Some(Table::new(symbols))
    }
}

impl Unwinding {
    /// Of the kind that all linkers make: a count of 4 bytes, and pairs of addresses of 4 bytes each,
    /// relative to where it begins.
    const HEADER: [u8; 4] = [1, 0x1b, 0x03, 0x3b];
    const HEADER_LEN: u64 = 12;
    const ENTRY_LEN: u64 = 8;

    fn read(bytes: &impl Bytes, segment: &Segment) -> Option<Self> {
        if bytes.one::<[u8; 4]>(segment.offset)? != Self::HEADER {
            return None;
        }
        let count = bytes.one::<U32<LittleEndian>>(segment.offset.checked_add(8)?)?;
        let room = segment.size.checked_sub(Self::HEADER_LEN)? / Self::ENTRY_LEN;
        let count = u64::from(count.get(LittleEndian)).min(room);
        let offset = segment.offset.checked_add(Self::HEADER_LEN)?;
        offset.checked_add(count * Self::ENTRY_LEN)?;
        Some(Self { offset, base: segment.address, count })
    }

    /// Read in the file: two dozen small reads, and nothing is kept.
    fn begin_of(&self, bytes: &impl Bytes, address: u64) -> Option<u64> {
        let begin = |entry: u64| {
            let at = self.offset + entry * Self::ENTRY_LEN;
            let relative = bytes.one::<I32<LittleEndian>>(at)?.get(LittleEndian);
            Some(self.base.wrapping_add_signed(relative.into()))
        };
        let (mut least, mut most) = (0, self.count);
        while least < most {
            let middle = least + (most - least) / 2;
            if begin(middle)? <= address { least = middle + 1 } else { most = middle }
        }
        begin(least.checked_sub(1)?).filter(|begin| *begin <= address)
    }
}

#[cfg(test)]
mod tests;
