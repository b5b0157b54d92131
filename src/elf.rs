//! Where a function is in an ELF file, for a uprobe. Files may be hostile.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use object::elf::{
    DT_NEEDED, FileHeader32, FileHeader64, PT_LOAD, SHT_DYNAMIC, SHT_DYNSYM, SHT_NOTE, SHT_STRTAB,
    SHT_SYMTAB, STT_FUNC,
};
use object::read::elf::{
    Dyn as _, FileHeader, ProgramHeader as _, SectionHeader as _, SectionTable, Sym as _,
};
use object::{Endianness, FileKind, ReadCache, ReadRef};

use crate::command;
use crate::error::{Context as _, Error, Result};
use crate::foreign::ForeignFile;
use crate::kernel;

/// What is looked for in one file.
#[derive(Debug, Default)]
pub struct Found {
    /// Offsets in the file, in the order that was asked for.
    pub offsets: Vec<Option<u64>>,
    /// File names of the libraries that it is linked to.
    pub needed: Vec<String>,
}

/// Finds functions and USDT probes in `program`, or in the library whose name starts with `library`
/// if the program is linked to that: the file, and the offsets in it.
///
/// # Errors
///
/// When the file cannot be read, is no ELF file, or has none of them.
pub(crate) fn find(
    program: &Path,
    names: &[&str],
    library: Option<&str>,
) -> Result<(PathBuf, Vec<Option<u64>>)> {
    let found = read(program, names)?;
    if found.has_any() {
        return Ok((program.to_owned(), found.offsets));
    }
    let doing = format!("looking for {} in {}", names.join(", "), program.display());
    let Some(library) = library else { return Err(Error::new(doing, "it has no such function")) };
    let Some(name) = found.needed.iter().find(|name| name.starts_with(library)) else {
        let cause = format!("it has no such function and is not linked to {library}");
        return Err(Error::new(doing, cause));
    };
    let path = library_dirs().map(|dir| dir.join(name)).find(|path| path.is_file());
    let path = path.ok_or_else(|| {
        Error::new(&doing, format!("it is linked to {name}, which is in none of the usual places"))
            .hint("name the library itself: -s PATH")
    })?;
    let found = read(&path, names)?;
    if found.has_any() {
        return Ok((path, found.offsets));
    }
    Err(Error::new(doing, format!("{} has no such function", path.display())))
}

impl Found {
    fn has_any(&self) -> bool {
        self.offsets.iter().any(Option::is_some)
    }
}

/// Files in the usual places whose name begins with `library`.
pub(crate) fn libraries(library: &str) -> Vec<PathBuf> {
    let entries = library_dirs().filter_map(|dir| dir.read_dir().ok()).flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(library));
    let mut paths = named.map(|entry| entry.path()).collect::<Vec<_>>();
    paths.sort();
    paths
}

/// The library that programs are linked to by this name: a linker's script may have it too.
pub(crate) fn library(name: &str) -> Option<PathBuf> {
    let is_elf = |path: &PathBuf| {
        let mut magic = [0; 4];
        let read = path.is_file().then(|| File::open(path)?.read_exact(&mut magic));
        matches!(read, Some(Ok(()))) && magic == object::elf::ELFMAG
    };
    libraries(name).into_iter().find(is_elf)
}

/// What a user means by a file: a path, the short name of a library, like `c` for libc.so.6, or the
/// name of a program.
///
/// # Errors
///
/// When there is no such library and no such program. A path is not looked for.
pub(crate) fn named(name: &str) -> Result<PathBuf> {
    if name.contains('/') {
        return Ok(name.into());
    }
    let short = name.trim_start_matches("lib");
    let program = || command::find(name.as_ref());
    library(&format!("lib{short}.so")).or_else(program).ok_or_else(|| {
        let cause = format!("there is no library lib{short}.so and no program of that name");
        Error::new(format!("looking for '{name}'"), cause)
            .hint("a file is named by its path, here too: ./app")
    })
}

/// Where the dynamic linker looks by default, on the distributions there are.
fn library_dirs() -> impl Iterator<Item = PathBuf> {
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let dirs = ["/usr/local/lib", "/lib", "/usr/lib", "/lib64", "/usr/lib64"];
    dirs.into_iter().flat_map(move |dir| [Path::new(dir).join(&triplet), dir.into()])
}

fn read(path: &Path, names: &[&str]) -> Result<Found> {
    let doing = || format!("reading {}", path.display());
    let file = ForeignFile::open(path).doing(doing())?;
    search(&ReadCache::new(file.reader(READ_MAX)), names).doing(doing())
}

/// Looks for functions, and USDT probes like `postgresql:query__start`, in the bytes of an ELF
/// file.
///
/// # Errors
///
/// When it is none, or is broken where it is looked at.
pub fn search<'d, R: ReadRef<'d>>(
    data: R,
    names: &[&str],
) -> std::result::Result<Found, Box<dyn std::error::Error>> {
    match FileKind::parse(data) {
        Ok(FileKind::Elf64) => search_class::<FileHeader64<Endianness>, _>(data, names),
        Ok(FileKind::Elf32) => search_class::<FileHeader32<Endianness>, _>(data, names),
        _ => Err("it is not an ELF file".into()),
    }
}

/// The most that is read of a file.
const READ_MAX: u64 = 1 << 30;

/// The largest table of symbols that is read; those of the largest programs take a quarter of it.
const TABLE_MAX: u64 = 256 << 20;

/// The sections, unless they would take too much memory.
fn sections_of<'d, E: FileHeader, R: ReadRef<'d>>(
    header: &E,
    endian: E::Endian,
    data: R,
) -> std::result::Result<SectionTable<'d, E, R>, Box<dyn std::error::Error>> {
    let sections = header.sections(endian, data)?;
    let is_read =
        |kind| matches!(kind, SHT_SYMTAB | SHT_DYNSYM | SHT_STRTAB | SHT_DYNAMIC | SHT_NOTE);
    let mut sizes = sections.iter().filter(|section| is_read(section.sh_type(endian)));
    if sizes.any(|section| section.sh_size(endian).into() > TABLE_MAX) {
        return Err("it has a table of more than 256 MiB".into());
    }
    Ok(sections)
}

fn search_class<'d, E: FileHeader, R: ReadRef<'d>>(
    data: R,
    names: &[&str],
) -> std::result::Result<Found, Box<dyn std::error::Error>> {
    let header = E::parse(data)?;
    let endian = header.endian()?;
    let sections = sections_of(header, endian, data)?;
    let mut found = Found { offsets: vec![None; names.len()], ..Found::default() };
    for kind in [SHT_DYNSYM, SHT_SYMTAB] {
        let symbols = sections.symbols(endian, data, kind)?;
        for symbol in symbols.iter().filter(|symbol| symbol.is_definition(endian)) {
            let Ok(name) = symbol.name(endian, symbols.strings()) else { continue };
            for (wanted, offset) in names.iter().zip(&mut found.offsets) {
                if wanted.as_bytes() == name && offset.is_none() {
                    *offset = file_offset(header, endian, data, symbol.st_value(endian).into())?;
                }
            }
        }
    }
    if names.iter().any(|name| name.contains(':')) {
        for place in probes(endian, &sections, data) {
            for (wanted, offset) in names.iter().zip(&mut found.offsets) {
                if *wanted == place.name {
                    *offset = file_offset(header, endian, data, place.address)?;
                }
            }
        }
    }
    if let Some((entries, strings)) = sections.dynamic(endian, data)? {
        let strings = sections.strings(endian, data, strings)?;
        let needed = entries.iter().filter(|entry| entry.tag32(endian) == Some(DT_NEEDED));
        let names = needed.filter_map(|entry| strings.get(entry.val32(endian)?).ok());
        found.needed = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    }
    Ok(found)
}

/// Something in a file that a program can be attached to.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The function's name; of a USDT probe, provider and name: `postgresql:query__start`.
    pub name: String,
    /// The address that the file gives it.
    pub address: u64,
    /// Where that is in the file, if it is.
    pub offset: Option<u64>,
    /// A probe that the program's author put there.
    pub is_usdt: bool,
}

/// All functions and USDT probes of a file, by name.
///
/// # Errors
///
/// When the file cannot be read, or is no ELF file.
pub(crate) fn places_of(path: &Path) -> Result<Vec<Place>> {
    let doing = || format!("reading {}", path.display());
    let file = ForeignFile::open(path).doing(doing())?;
    places(&ReadCache::new(file.reader(READ_MAX))).doing(doing())
}

/// Offsets in a file of the functions that match and are called.
///
/// # Errors
///
/// When the file cannot be read, is no ELF file, or has no such function: with what is alike.
pub(crate) fn offsets_of(path: &Path, pattern: &glob::Pattern) -> Result<Vec<u64>> {
    let places = places_of(path)?;
    let functions = places.iter().filter(|place| !place.is_usdt && is_called(&place.name));
    let matching = functions.clone().filter(|place| pattern.matches(&place.name));
    // A function may have several names, and several functions one name.
    let mut offsets = matching.filter_map(|place| place.offset).collect::<Vec<_>>();
    if offsets.is_empty() {
        let doing = format!("looking in {}", path.display());
        if let Some(place) = places.iter().find(|place| pattern.matches(&place.name)) {
            let cause = format!("{} is there, but its return cannot be traced", place.name);
            return Err(Error::new(doing, cause)
                .hint("functions can that are called, and that keep their return address"));
        }
        let all = functions.map(|place| place.name.as_str());
        return Err(kernel::unknown(&doing, pattern.as_str(), all));
    }
    offsets.sort_unstable();
    offsets.dedup();
    Ok(offsets)
}

/// Is it called, so that the return address is on top of the stack when it is entered, and does
/// nobody else need that? Only then its return can be seen: the kernel puts another address there.
/// The unlikely part of a function is jumped to, and the kernel jumps to where a program starts;
/// setjmp and its like keep the address, to come back to it.
pub(crate) fn is_called(function: &str) -> bool {
    let keeps = ["setjmp", "getcontext", "setcontext", "swapcontext", "makecontext"];
    !function.contains(".cold")
        && function != "_start"
        && !keeps.iter().any(|name| function.ends_with(name))
}

/// All functions and USDT probes in the bytes of an ELF file, by name.
///
/// # Errors
///
/// When it is none, or is broken where it is looked at.
pub fn places<'d, R: ReadRef<'d>>(
    data: R,
) -> std::result::Result<Vec<Place>, Box<dyn std::error::Error>> {
    let mut places = match FileKind::parse(data) {
        Ok(FileKind::Elf64) => places_class::<FileHeader64<Endianness>, _>(data)?,
        Ok(FileKind::Elf32) => places_class::<FileHeader32<Endianness>, _>(data)?,
        _ => return Err("it is not an ELF file".into()),
    };
    places.sort_by(|a, b| a.name.cmp(&b.name).then(a.address.cmp(&b.address)));
    places.dedup();
    Ok(places)
}

fn places_class<'d, E: FileHeader, R: ReadRef<'d>>(
    data: R,
) -> std::result::Result<Vec<Place>, Box<dyn std::error::Error>> {
    let header = E::parse(data)?;
    let endian = header.endian()?;
    let sections = sections_of(header, endian, data)?;
    let mut places = Vec::new();
    for kind in [SHT_DYNSYM, SHT_SYMTAB] {
        let symbols = sections.symbols(endian, data, kind)?;
        let functions = symbols.iter().filter(|symbol| {
            // An STT_GNU_IFUNC is no function, but chooses one when a program starts.
            symbol.is_definition(endian) && symbol.st_type() == STT_FUNC
        });
        places.extend(functions.filter_map(|symbol| {
            let name = symbol.name(endian, symbols.strings()).ok()?;
            let name = String::from_utf8_lossy(name).into_owned();
            let address = symbol.st_value(endian).into();
            Some(Place { name, address, offset: None, is_usdt: false })
        }));
    }
    places.extend(probes(endian, &sections, data));
    for place in &mut places {
        place.offset = file_offset(header, endian, data, place.address)?;
    }
    Ok(places)
}

/// The USDT probes.
fn probes<'d, E: FileHeader, R: ReadRef<'d>>(
    endian: E::Endian,
    sections: &SectionTable<'d, E, R>,
    data: R,
) -> Vec<Place> {
    let mut places = Vec::new();
    let notes = sections.section_by_name(endian, b".note.stapsdt");
    if let Some(mut notes) = notes.and_then(|(_, section)| section.notes(endian, data).transpose())
    {
        while let Some(note) = notes.as_mut().ok().and_then(|notes| notes.next().ok().flatten()) {
            places.extend(usdt(note.desc(), E::is_type_64_sized(), endian));
        }
    }
    places
}

/// A note of systemtap's format: three addresses, then provider, name and arguments, each with a
/// NUL.
fn usdt(desc: &[u8], is_64: bool, endian: impl object::Endian) -> Option<Place> {
    let size = if is_64 { 8 } else { 4 };
    let (addresses, strings) = desc.split_at_checked(3 * size)?;
    let address = match is_64 {
        true => endian.read_u64_bytes(addresses.get(..8)?.try_into().ok()?),
        false => endian.read_u32_bytes(addresses.get(..4)?.try_into().ok()?).into(),
    };
    let mut strings = strings.split(|&byte| byte == 0).map(String::from_utf8_lossy);
    let name = format!("{}:{}", strings.next()?, strings.next()?);
    Some(Place { name, address, offset: None, is_usdt: true })
}

/// From an address in the program to an offset in the file, by the segment that maps it.
fn file_offset<'d, E: FileHeader, R: ReadRef<'d>>(
    header: &E,
    endian: E::Endian,
    data: R,
    address: u64,
) -> object::read::Result<Option<u64>> {
    let segments = header.program_headers(endian, data)?;
    Ok(segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD).find_map(|segment| {
        let into = address.checked_sub(segment.p_vaddr(endian).into())?;
        let inside = into < segment.p_filesz(endian).into();
        inside.then(|| into.checked_add(segment.p_offset(endian).into())).flatten()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_function_of_a_library() {
        let libc = library_dirs().map(|dir| dir.join("libc.so.6"));
        let libc = { libc }.find(|path| path.is_file()).unwrap();
        let found = read(&libc, &["no_such_function", "getaddrinfo"]).unwrap();
        assert!(matches!(found.offsets[..], [None, Some(1..)]), "{found:?}");
        let (file, _) = find(Path::new("/bin/sh"), &["getaddrinfo"], Some("libc.so")).unwrap();
        assert!(file.ends_with("libc.so.6"), "{file:?}");
    }

    #[test]
    fn lists_functions_and_probes() {
        let libc = library_dirs().map(|dir| dir.join("libc.so.6"));
        let libc = { libc }.find(|path| path.is_file()).unwrap();
        let places = places_of(&libc).unwrap();
        let find = |name: &str| places.iter().find(|place| place.name == name);
        assert!(find("getaddrinfo").is_some_and(|place| !place.is_usdt && place.address > 0));
    }

    #[test]
    fn reads_notes_of_probes() {
        let mut desc = [0x1234u64, 1, 2].map(u64::to_le_bytes).concat();
        desc.extend(b"postgresql\0query__start\0-8@%rdi\0");
        let place = usdt(&desc, true, object::LittleEndian);
        let name = "postgresql:query__start".to_string();
        assert_eq!(place, Some(Place { name, address: 0x1234, offset: None, is_usdt: true }));
        assert_eq!(usdt(&desc[..20], true, object::LittleEndian), None);
        assert_eq!(usdt(&desc[..28], true, object::LittleEndian), None);
    }

    #[test]
    fn refuses_what_is_no_elf_file() {
        for (path, cause) in [
            ("/etc/passwd", "it is not an ELF file"),
            ("/dev/null", "it is not a regular file"),
            ("/", "it is not a regular file"),
            ("/no/such/file", "No such file"),
        ] {
            let error = find(Path::new(path), &["readline"], Some("libreadline.so")).unwrap_err();
            assert!(error.to_string().contains(cause), "{error}");
        }
    }
}
