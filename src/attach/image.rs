//! The tables of an ELF file, read piece by piece. Files may be hostile: what one says of itself is
//! held against a limit before it is believed, and what is beyond the limit is an error.

use std::io::{Read, Seek, SeekFrom};
use std::mem::size_of;

use object::Endianness;
use object::elf::{
    DT_NEEDED, ELFCLASS32, ELFCLASS64, ELFMAG, FileHeader32, FileHeader64, PT_LOAD, SHN_LORESERVE,
    SHN_UNDEF, SHN_XINDEX, SHT_DYNAMIC, STT_FUNC,
};
use object::pod::{self, Pod};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _, SectionHeader as _, Sym};

/// Why a file cannot be used.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Programs have a dozen.
const SEGMENTS_MAX: usize = 128;
/// Programs have some dozens; a few hundred with debugging information.
const SECTIONS_MAX: u64 = 1 << 16;
/// The names of the largest programs' symbols take half of it.
const STRINGS_MAX: u64 = 128 << 20;
/// Ten million symbols.
const SYMBOLS_BYTES_MAX: u64 = 256 << 20;
/// Names are those in the table, each once, and ends of others: more of them overlap on purpose.
const OVERLAP_MAX: u64 = 4;
/// A symbol of more bytes is passed over.
pub(crate) const NAME_MAX: usize = 4096;
/// Entries for the dynamic linker that are looked at.
const DYNAMIC_MAX: u64 = 1 << 14;
/// The longest file name.
const FILE_NAME_MAX: u64 = 255;

/// A part of the file that is mapped.
#[derive(Clone, Copy, Debug)]
struct Segment {
    flags: u32,
    offset: u64,
    address: u64,
    size: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Section {
    name: u32,
    kind: u32,
    pub(crate) address: u64,
    offset: u64,
    size: u64,
    link: u32,
}

/// An ELF file that is read.
#[derive(Debug)]
pub(crate) struct Image<R> {
    from: R,
    pub(crate) is_64: bool,
    pub(crate) endian: Endianness,
    segments: Vec<Segment>,
    sections: Vec<Section>,
    /// The section that has the sections' names.
    names: u32,
}

impl<R: Read + Seek> Image<R> {
    pub(crate) fn parse(mut from: R) -> Result<Self, Failure> {
        let mut ident = [0; 5];
        match from.read_exact(&mut ident) {
            Ok(()) if ident[..4] == ELFMAG => {}
            Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
                return Err(error.into());
            }
            _ => return Err("it is not an ELF file".into()),
        }
        match ident[4] {
            ELFCLASS64 => Self::parse_class::<FileHeader64<Endianness>>(from),
            ELFCLASS32 => Self::parse_class::<FileHeader32<Endianness>>(from),
            _ => Err("it is not an ELF file".into()),
        }
    }

    fn parse_class<E: FileHeader<Endian = Endianness>>(mut from: R) -> Result<Self, Failure> {
        let mut room = Vec::new();
        let header = entries::<E, R>(&mut from, 0, 1, &mut room)?[0];
        let endian = header.endian()?;
        let mut image = Self {
            from,
            is_64: E::is_type_64_sized(),
            endian,
            segments: Vec::new(),
            sections: Vec::new(),
            names: header.e_shstrndx(endian).into(),
        };
        image.read_segments(&header)?;
        image.read_sections(&header)?;
        Ok(image)
    }

    fn read_segments<E: FileHeader<Endian = Endianness>>(&mut self, e: &E) -> Result<(), Failure> {
        let (endian, count) = (self.endian, usize::from(e.e_phnum(self.endian)));
        if count > SEGMENTS_MAX {
            return Err(format!("it has {count} segments").into());
        }
        let mut room = Vec::new();
        let at = e.e_phoff(endian).into();
        let all = entries::<E::ProgramHeader, R>(&mut self.from, at, count, &mut room)?;
        let loaded = all.iter().filter(|segment| segment.p_type(endian) == PT_LOAD);
        self.segments.extend(loaded.map(|segment| Segment {
            flags: segment.p_flags(endian),
            offset: segment.p_offset(endian).into(),
            address: segment.p_vaddr(endian).into(),
            size: segment.p_filesz(endian).into(),
        }));
        Ok(())
    }

    fn read_sections<E: FileHeader<Endian = Endianness>>(&mut self, e: &E) -> Result<(), Failure> {
        let (endian, at) = (self.endian, e.e_shoff(self.endian).into());
        if at == 0 {
            return Ok(());
        }
        let mut room = Vec::new();
        let mut count = u64::from(e.e_shnum(endian));
        // What has no room in the header is in the first section.
        let first = &entries::<E::SectionHeader, R>(&mut self.from, at, 1, &mut room)?[0];
        if count == 0 {
            count = first.sh_size(endian).into();
        }
        if self.names == u32::from(SHN_XINDEX) {
            self.names = first.sh_link(endian);
        }
        if count > SECTIONS_MAX {
            return Err(format!("it has {count} sections").into());
        }
        let all =
            entries::<E::SectionHeader, R>(&mut self.from, at, usize::try_from(count)?, &mut room)?;
        self.sections.extend(all.iter().map(|section| Section {
            name: section.sh_name(endian),
            kind: section.sh_type(endian),
            address: section.sh_addr(endian).into(),
            offset: section.sh_offset(endian).into(),
            size: section.sh_size(endian).into(),
            link: section.sh_link(endian),
        }));
        Ok(())
    }

    /// Where an address is in the file, if it is in a segment with all of these flags.
    pub(crate) fn offset_of(&self, address: u64, flags: u32) -> Option<u64> {
        let with_flags = self.segments.iter().filter(|segment| segment.flags & flags == flags);
        { with_flags }.find_map(|segment| {
            let into = address.checked_sub(segment.address)?;
            (into < segment.size).then(|| into.checked_add(segment.offset)).flatten()
        })
    }

    /// What is at an offset.
    pub(crate) fn bytes_at<const N: usize>(&mut self, offset: u64) -> Result<[u8; N], Failure> {
        let mut bytes = [0; N];
        self.from.seek(SeekFrom::Start(offset))?;
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The first section of this name.
    pub(crate) fn section(&mut self, name: &[u8]) -> Result<Option<Section>, Failure> {
        let Some(names) = self.sections.get(self.names as usize).cloned() else { return Ok(None) };
        let names = self.bytes_of(&names, STRINGS_MAX)?;
        let has_name = |section: &&Section| {
            let rest = names.get(section.name as usize..).unwrap_or_default();
            rest.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&0))
        };
        Ok(self.sections.iter().find(has_name).cloned())
    }

    /// All of a section, unless that is more than `max`.
    pub(crate) fn bytes_of(&mut self, section: &Section, max: u64) -> Result<Vec<u8>, Failure> {
        if section.size > max {
            return Err(format!("it has a table of {} bytes", section.size).into());
        }
        let mut bytes = vec![0; usize::try_from(section.size)?];
        self.from.seek(SeekFrom::Start(section.offset))?;
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Calls `each` for the name and the address of each function in a table of symbols
    /// (`SHT_SYMTAB`, `SHT_DYNSYM`).
    pub(crate) fn functions(
        &mut self,
        kind: u32,
        each: &mut dyn FnMut(&[u8], u64),
    ) -> Result<(), Failure> {
        match self.is_64 {
            true => self.functions_class::<FileHeader64<Endianness>>(kind, each),
            false => self.functions_class::<FileHeader32<Endianness>>(kind, each),
        }
    }

    fn functions_class<E: FileHeader<Endian = Endianness>>(
        &mut self,
        kind: u32,
        each: &mut dyn FnMut(&[u8], u64),
    ) -> Result<(), Failure> {
        let table = self.sections.iter().find(|section| section.kind == kind).cloned();
        let Some(table) = table else { return Ok(()) };
        let strings = self.sections.get(table.link as usize).cloned();
        let strings = strings.ok_or("its symbols have no names")?;
        if table.size > SYMBOLS_BYTES_MAX {
            return Err(format!("it has a table of symbols of {} bytes", table.size).into());
        }
        let strings = self.bytes_of(&strings, STRINGS_MAX)?;
        let mut names_left = OVERLAP_MAX * strings.len() as u64 + (1 << 16);
        let (mut room, mut at) = (Vec::new(), table.offset);
        let mut left = usize::try_from(table.size)? / size_of::<E::Sym>();
        while left > 0 {
            let count = left.min(1 << 12);
            for symbol in entries::<E::Sym, R>(&mut self.from, at, count, &mut room)? {
                let Some((name, address)) = function(symbol, self.endian, &strings) else {
                    continue;
                };
                let left = names_left.checked_sub(name.len() as u64);
                names_left = left.ok_or("the names of its symbols overlap")?;
                if name.len() <= NAME_MAX {
                    each(name, address);
                }
            }
            left -= count;
            at = at.checked_add((count * size_of::<E::Sym>()) as u64).ok_or("its end")?;
        }
        Ok(())
    }

    /// The name of the first library that it is linked to and that begins so.
    pub(crate) fn needed(&mut self, library: &str) -> Result<Option<String>, Failure> {
        match self.is_64 {
            true => self.needed_class::<FileHeader64<Endianness>>(library),
            false => self.needed_class::<FileHeader32<Endianness>>(library),
        }
    }

    fn needed_class<E: FileHeader<Endian = Endianness>>(
        &mut self,
        library: &str,
    ) -> Result<Option<String>, Failure> {
        let table = self.sections.iter().find(|section| section.kind == SHT_DYNAMIC).cloned();
        let Some(table) = table else { return Ok(None) };
        let strings = self.sections.get(table.link as usize).cloned();
        let strings = strings.ok_or("its libraries have no names")?;
        let count = table.size / size_of::<E::Dyn>() as u64;
        if count > DYNAMIC_MAX {
            return Err(format!("it has {count} entries for the dynamic linker").into());
        }
        let mut room = Vec::new();
        let all =
            entries::<E::Dyn, R>(&mut self.from, table.offset, usize::try_from(count)?, &mut room)?;
        for entry in all.iter().filter(|entry| entry.tag32(self.endian) == Some(DT_NEEDED)) {
            let into = entry.d_val(self.endian).into();
            let Some(len) = strings.size.checked_sub(into) else { continue };
            let mut name = Vec::new();
            self.from.seek(SeekFrom::Start(strings.offset.saturating_add(into)))?;
            self.from.by_ref().take(len.min(FILE_NAME_MAX)).read_to_end(&mut name)?;
            name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
            if name.starts_with(library.as_bytes()) {
                return Ok(Some(String::from_utf8_lossy(&name).into_owned()));
            }
        }
        Ok(None)
    }
}

/// Name and address of a symbol that is a function here. An STT_GNU_IFUNC is none, but chooses one
/// when a program starts. A name that is too long is longer than [`NAME_MAX`].
fn function<'s, S: Sym<Endian = Endianness>>(
    symbol: &S,
    endian: Endianness,
    strings: &'s [u8],
) -> Option<(&'s [u8], u64)> {
    let section = symbol.st_shndx(endian);
    let is_here = section != SHN_UNDEF && (section < SHN_LORESERVE || section == SHN_XINDEX);
    if !is_here || symbol.st_type() != STT_FUNC {
        return None;
    }
    let rest = strings.get(symbol.st_name(endian) as usize..)?;
    let rest = &rest[..rest.len().min(NAME_MAX + 1)];
    let end = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
    Some((&rest[..end], symbol.st_value(endian).into()))
}

/// Entries of a table, put into `room`.
fn entries<'b, T: Pod, R: Read + Seek>(
    from: &mut R,
    at: u64,
    count: usize,
    room: &'b mut Vec<u64>,
) -> Result<&'b [T], Failure> {
    let len = count.checked_mul(size_of::<T>()).ok_or("its tables are too large")?;
    room.resize(len.div_ceil(size_of::<u64>()), 0);
    let bytes = &mut pod::bytes_of_slice_mut(room)[..len];
    from.seek(SeekFrom::Start(at))?;
    from.read_exact(bytes)?;
    let (entries, _) = pod::slice_from_bytes(bytes, count).map_err(|()| "its tables are broken")?;
    Ok(entries)
}
