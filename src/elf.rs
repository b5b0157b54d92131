//! Where a function is in an ELF file, for a uprobe. Files may be hostile.

use std::fs::File;
use std::path::{Path, PathBuf};

use object::elf::{DT_NEEDED, FileHeader32, FileHeader64, PT_LOAD};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _, Sym as _};
use object::{Endianness, FileKind, ReadCache, ReadRef};

use crate::error::{Context as _, Error, Result};

/// What is looked for in one file.
#[derive(Debug, Default)]
pub struct Found {
    /// Offsets of the functions in the file, in the order that they were asked for.
    pub offsets: Vec<Option<u64>>,
    /// File names of the libraries that it is linked to.
    pub needed: Vec<String>,
}

/// Finds `functions` in `program`, or in the library whose name starts with `library` if the
/// program is linked to that: the file, and the functions' offsets in it.
///
/// # Errors
///
/// When the file cannot be read, is no ELF file, or has none of the functions.
pub(crate) fn find_functions(
    program: &Path,
    functions: &[&str],
    library: &str,
) -> Result<(PathBuf, Vec<Option<u64>>)> {
    let found = read(program, functions)?;
    if found.has_any() {
        return Ok((program.to_owned(), found.offsets));
    }
    let doing = format!("looking for {} in {}", functions.join(", "), program.display());
    let Some(name) = found.needed.iter().find(|name| name.starts_with(library)) else {
        let cause = format!("it has no such function and is not linked to {library}");
        return Err(Error::new(doing, cause));
    };
    let path = library_dirs().map(|dir| dir.join(name)).find(|path| path.is_file());
    let path = path.ok_or_else(|| {
        Error::new(&doing, format!("it is linked to {name}, which is in none of the usual places"))
            .hint("name the library itself: -s PATH")
    })?;
    let found = read(&path, functions)?;
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
    named.map(|entry| entry.path()).collect()
}

/// Where the dynamic linker looks by default, on the distributions there are.
fn library_dirs() -> impl Iterator<Item = PathBuf> {
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let dirs = ["/usr/local/lib", "/lib", "/usr/lib", "/lib64", "/usr/lib64"];
    dirs.into_iter().flat_map(move |dir| [Path::new(dir).join(&triplet), dir.into()])
}

fn read(path: &Path, functions: &[&str]) -> Result<Found> {
    let doing = || format!("reading {}", path.display());
    // Asked before it is opened: opening a pipe would wait for its writer.
    if !path.metadata().doing(doing())?.is_file() {
        return Err(Error::new(doing(), "it is not a regular file"));
    }
    search(&ReadCache::new(File::open(path).doing(doing())?), functions).doing(doing())
}

/// Looks for functions in the bytes of an ELF file.
///
/// # Errors
///
/// When it is none, or is broken where it is looked at.
pub fn search<'d, R: ReadRef<'d>>(
    data: R,
    functions: &[&str],
) -> std::result::Result<Found, Box<dyn std::error::Error>> {
    match FileKind::parse(data) {
        Ok(FileKind::Elf64) => Ok(search_class::<FileHeader64<Endianness>, _>(data, functions)?),
        Ok(FileKind::Elf32) => Ok(search_class::<FileHeader32<Endianness>, _>(data, functions)?),
        _ => Err("it is not an ELF file".into()),
    }
}

fn search_class<'d, E: FileHeader, R: ReadRef<'d>>(
    data: R,
    functions: &[&str],
) -> object::read::Result<Found> {
    let header = E::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    let mut found = Found { offsets: vec![None; functions.len()], ..Found::default() };
    for kind in [object::elf::SHT_DYNSYM, object::elf::SHT_SYMTAB] {
        let symbols = sections.symbols(endian, data, kind)?;
        for symbol in symbols.iter().filter(|symbol| symbol.is_definition(endian)) {
            let Ok(name) = symbol.name(endian, symbols.strings()) else { continue };
            let wanted = functions.iter().position(|function| function.as_bytes() == name);
            let offset = wanted.and_then(|wanted| found.offsets.get_mut(wanted));
            if let Some(offset @ None) = offset {
                *offset = file_offset(header, endian, data, symbol.st_value(endian).into())?;
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
        let (file, _) = find_functions(Path::new("/bin/sh"), &["getaddrinfo"], "libc.so").unwrap();
        assert!(file.ends_with("libc.so.6"), "{file:?}");
    }

    #[test]
    fn refuses_what_is_no_elf_file() {
        for (path, cause) in [
            ("/etc/passwd", "it is not an ELF file"),
            ("/dev/null", "it is not a regular file"),
            ("/", "it is not a regular file"),
            ("/no/such/file", "No such file"),
        ] {
            let error =
                find_functions(Path::new(path), &["readline"], "libreadline.so").unwrap_err();
            assert!(error.to_string().contains(cause), "{error}");
        }
    }
}
