//! Functions and USDT probes of an ELF file, for uprobes: where a symbol says that a function
//! begins, in a part that is run, and nowhere else. Files may be hostile.

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::path::Path;

use object::elf::{PF_W, PF_X, SHT_DYNSYM, SHT_SYMTAB};
use object::{Endian as _, Endianness};

use crate::attach::image::{Failure, Image};
use crate::attach::libraries;
use crate::error::{Context as _, Error, Result};
use crate::system::foreign::ForeignFile;
use crate::system::kernel::Alike;
use crate::system::names::{self, Wanted};

/// What is looked for in one file.
#[derive(Debug, Default)]
pub struct Found {
    /// Offsets in the file, in the order that was asked for.
    pub offsets: Vec<Option<u64>>,
    /// The first library of the wanted name that it is linked to, if it has none of the functions.
    pub needed: Option<String>,
}

/// Where functions are.
#[derive(Debug)]
pub(crate) enum Search {
    /// In the file itself, or in this library: offsets in it, in the order that was asked for.
    Found(Option<ForeignFile>, Vec<Option<u64>>),
    /// Nowhere.
    Absent(Error),
}

/// Finds functions and USDT probes in `program`, or in the library whose name starts with `library`
/// if the program is linked to that.
///
/// # Errors
///
/// When the file cannot be read, or is no ELF file.
pub(crate) fn find(program: &ForeignFile, names: &[&str], library: Option<&str>) -> Result<Search> {
    let found = read(program, names, library)?;
    if found.has_any() {
        return Ok(Search::Found(None, found.offsets));
    }
    let doing = format!("looking for {} in {program}", names.join(", "));
    let absent = |cause: String| Search::Absent(Error::new(&doing, cause));
    let Some(library) = library else { return Ok(absent("it has no such function".into())) };
    let Some(name) = found.needed else {
        return Ok(absent(format!("it has no such function and is not linked to {library}")));
    };
    let Some(path) = libraries::place_of(&name) else {
        let cause = format!("it is linked to {name}, which is in none of the usual places");
        let error = Error::new(&doing, cause).hint("name the library itself: -s PATH");
        return Ok(Search::Absent(error));
    };
    let file = ForeignFile::open(&path).doing(format!("reading {}", path.display()))?;
    let found = read(&file, names, None)?;
    if found.has_any() {
        return Ok(Search::Found(Some(file), found.offsets));
    }
    Ok(absent(format!("{file} has no such function")))
}

impl Found {
    fn has_any(&self) -> bool {
        self.offsets.iter().any(Option::is_some)
    }
}

/// The most that is read of a file.
const READ_MAX: u64 = 1 << 30;

fn read(file: &ForeignFile, names: &[&str], library: Option<&str>) -> Result<Found> {
    search(file.reader(READ_MAX), names, library).doing(format!("reading {file}"))
}

/// Looks for functions, and USDT probes like `postgresql:query__start`, in an ELF file, and for a
/// library that it is linked to.
///
/// # Errors
///
/// When it is none, is broken where it is looked at, or has more of something than programs have.
pub fn search<R: Read + Seek>(
    from: R,
    names: &[&str],
    library: Option<&str>,
) -> std::result::Result<Found, Box<dyn std::error::Error>> {
    let mut image = Image::parse(from)?;
    let mut addresses = vec![None; names.len()];
    for kind in [SHT_DYNSYM, SHT_SYMTAB] {
        image.functions(kind, &mut |name, address| {
            let wanted = names.iter().zip(&mut addresses);
            for (_, found) in { wanted }.filter(|(wanted, _)| wanted.as_bytes() == name) {
                found.get_or_insert(address);
            }
        })?;
    }
    let mut offsets = addresses
        .iter()
        .map(|address| address.and_then(|address| image.offset_of(address, PF_X)))
        .collect::<Vec<_>>();
    if names.iter().any(|name| name.contains(':')) {
        offsets_of_probes(&mut image, names, &mut offsets)?;
    }
    let mut found = Found { offsets, needed: None };
    if let Some(library) = library.filter(|_| !found.has_any()) {
        found.needed = image.needed(library)?;
    }
    Ok(found)
}

/// A USDT probe may be in many places. The kernel tells so many apart: `BPF_USDT_MAX_SPEC_CNT`
/// of usdt.bpf.h.
const PROBE_PLACES_MAX: usize = 256;

/// Of each USDT probe whose places are all good the offset of the first.
fn offsets_of_probes<R: Read + Seek>(
    image: &mut Image<R>,
    names: &[&str],
    offsets: &mut [Option<u64>],
) -> std::result::Result<(), Failure> {
    let mut wanted = Vec::new();
    each_probe(image, |probe| {
        if let Some(number) = names.iter().position(|name| *name == probe.name) {
            wanted.push((number, probe));
        }
    })?;
    if wanted.len() > PROBE_PLACES_MAX {
        return Err(format!("it has {} of these probes", wanted.len()).into());
    }
    for (number, probe) in wanted {
        let offset = image.offset_of(probe.address, PF_X).ok_or("a probe of it is not in code")?;
        if !is_nop(image.bytes_at(offset)?) {
            return Err("a probe of it is not where its author put one".into());
        }
        if probe.semaphore != 0 && image.offset_of(probe.semaphore, PF_W).is_none() {
            return Err("a probe's counter of it is not in data".into());
        }
        offsets[number].get_or_insert(offset);
    }
    Ok(())
}

/// Where a probe is, nothing is done: one byte on x86, or five at once.
fn is_nop(code: [u8; 5]) -> bool {
    if cfg!(target_arch = "aarch64") {
        return code[..4] == 0xd503_201f_u32.to_le_bytes();
    }
    code[0] == 0x90 || code == [0x0f, 0x1f, 0x44, 0, 0]
}

/// Something in a file that a program can be attached to.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The function's name; of a USDT probe, provider and name: `postgresql:query__start`.
    pub name: String,
    /// The address that the file gives it.
    pub address: u64,
    /// Where that is in the file, if it is, in code.
    pub offset: Option<u64>,
    /// A probe that the program's author put there.
    pub is_usdt: bool,
}

/// The most of a file's places that are kept: programs of a gigabyte have as many.
const PLACES_MAX: usize = 1 << 20;

/// Functions and USDT probes of a file whose names are `wanted`, by name.
///
/// # Errors
///
/// When the file cannot be read, or is no ELF file.
pub(crate) fn places_of(
    file: &ForeignFile,
    wanted: &mut dyn FnMut(&str) -> bool,
) -> Result<Vec<Place>> {
    places(file.reader(READ_MAX), wanted).doing(format!("reading {file}"))
}

/// The functions of a file that match and are called: their offsets in it, and their names as they are
/// shown.
///
/// # Errors
///
/// When the file cannot be read, is no ELF file, or has no such function: with what is alike.
pub(crate) fn functions_of(
    file: &ForeignFile,
    wanted: &Wanted<'_>,
) -> Result<BTreeMap<u64, String>> {
    let places = places_of(file, &mut |name| wanted.matches(name))?;
    let called = places.iter().filter(|place| !place.is_usdt && is_called(&place.name));
    // A function may have several names, and several functions one name.
    let named = called.filter_map(|place| Some((place.offset?, names::shown(&place.name))));
    let functions = named.collect::<BTreeMap<_, _>>();
    if functions.is_empty() {
        let doing = format!("looking in {file}");
        if let Some(place) = places.first() {
            let cause = format!("{} is there, but its return cannot be traced", place.name);
            return Err(Error::new(doing, cause)
                .hint("functions can that are called, and that keep their return address"));
        }
        let mut alike = Alike::new(wanted.text());
        consider(file, &mut alike)?;
        return Err(alike.unknown(&doing));
    }
    Ok(functions)
}

/// Sections that only Go's compilers make.
const OF_GO: [&[u8]; 3] = [b".go.buildinfo", b".gopclntab", b".note.go.buildid"];

/// What switches from one stack to another: of QEMU, of Boost, of Ruby.
const SWITCHES: [&[u8]; 5] = [
    b"qemu_coroutine_new",
    b"coroutine_trampoline",
    b"make_fcontext",
    b"jump_fcontext",
    b"coroutine_transfer",
];

/// Why a program would not survive that returns are traced in it, if that is known: the kernel
/// forgets the returns of a stack that the program has left, and Go looks for them itself.
///
/// # Errors
///
/// When the file cannot be read, or is no ELF file.
pub(crate) fn why_not_returns(file: &ForeignFile) -> Result<Option<&'static str>> {
    own_stacks(file.reader(READ_MAX)).doing(format!("reading {file}"))
}

fn own_stacks<R: Read + Seek>(from: R) -> std::result::Result<Option<&'static str>, Failure> {
    let mut image = Image::parse(from)?;
    for section in OF_GO {
        if image.section(section)?.is_some() {
            return Ok(Some("it is written in Go, which moves its stacks"));
        }
    }
    let mut switches = false;
    for kind in [SHT_DYNSYM, SHT_SYMTAB] {
        image.functions(kind, &mut |name, _| switches |= SWITCHES.contains(&name))?;
    }
    Ok(switches.then_some("it has coroutines, which have stacks of their own"))
}

/// Looks among a file's functions and probes for those that are like one that is not there.
pub(crate) fn consider(file: &ForeignFile, alike: &mut Alike<'_>) -> Result<()> {
    let none = places_of(file, &mut |name| {
        alike.consider(&names::shown(name));
        false
    });
    none.map(drop)
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

/// Functions and USDT probes of an ELF file whose names are `wanted`, by name.
///
/// # Errors
///
/// When it is none, is broken where it is looked at, or has more of something than programs have.
pub fn places<R: Read + Seek>(
    from: R,
    wanted: &mut dyn FnMut(&str) -> bool,
) -> std::result::Result<Vec<Place>, Box<dyn std::error::Error>> {
    let mut image = Image::parse(from)?;
    let mut places = Vec::new();
    let mut add = |name: &str, address, is_usdt| {
        if places.len() <= PLACES_MAX && wanted(name) {
            places.push(Place { name: name.into(), address, offset: None, is_usdt });
        }
    };
    for kind in [SHT_DYNSYM, SHT_SYMTAB] {
        image.functions(kind, &mut |name, address| {
            add(&String::from_utf8_lossy(name), address, false);
        })?;
    }
    each_probe(&mut image, |probe| add(&probe.name, probe.address, true))?;
    if places.len() > PLACES_MAX {
        return Err(format!("more than {PLACES_MAX} of its functions match").into());
    }
    for place in &mut places {
        place.offset = image.offset_of(place.address, PF_X);
    }
    places.sort_unstable_by(|a, b| a.name.cmp(&b.name).then(a.address.cmp(&b.address)));
    places.dedup();
    Ok(places)
}

/// The most bytes of notes that are read: those of some hundred probes take some thousand.
const NOTES_MAX: u64 = 16 << 20;

/// A USDT probe, as its note has it.
#[derive(Debug, PartialEq)]
struct Probe {
    name: String,
    address: u64,
    /// Where the number of those who trace it is counted; 0 where it is not.
    semaphore: u64,
}

/// Calls `each` for the USDT probes.
fn each_probe<R: Read + Seek>(
    image: &mut Image<R>,
    mut each: impl FnMut(Probe),
) -> std::result::Result<(), Failure> {
    let Some(notes) = image.section(b".note.stapsdt")? else { return Ok(()) };
    let notes = image.bytes_of(&notes, NOTES_MAX)?;
    // A tool that moved the file's code moved this section with it, and not what is in notes.
    let base = image.section(b".stapsdt.base")?.map(|section| section.address);
    let mut rest = &notes[..];
    while let Some((desc, behind)) = note(rest, image.endian) {
        if let Some(probe) = usdt(desc, image.is_64, image.endian, base) {
            each(probe);
        }
        rest = behind;
    }
    Ok(())
}

/// The first note's text, and what follows. Each part of it has a multiple of four bytes.
fn note(notes: &[u8], endian: Endianness) -> Option<(&[u8], &[u8])> {
    let (head, rest) = notes.split_at_checked(12)?;
    let number = |at: usize| Some(endian.read_u32_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let padded = |len: u32| usize::try_from(len).ok()?.checked_next_multiple_of(4);
    let (name, desc) = (padded(number(0)?)?, number(4)? as usize);
    let rest = rest.get(name..)?;
    let behind = rest.get(padded(number(4)?)?..).unwrap_or_default();
    Some((rest.get(..desc)?, behind))
}

/// A note of systemtap's format: three addresses, then provider, name and arguments, each with a
/// NUL.
fn usdt(desc: &[u8], is_64: bool, endian: Endianness, base: Option<u64>) -> Option<Probe> {
    let size = if is_64 { 8 } else { 4 };
    let (addresses, strings) = desc.split_at_checked(3 * size)?;
    let number = |index: usize| {
        let bytes = addresses.get(index * size..(index + 1) * size)?;
        Some(match is_64 {
            true => endian.read_u64_bytes(bytes.try_into().ok()?),
            false => endian.read_u32_bytes(bytes.try_into().ok()?).into(),
        })
    };
    let (address, own_base, semaphore) = (number(0)?, number(1)?, number(2)?);
    let moved = match (own_base, base) {
        (1.., Some(base)) => base.wrapping_sub(own_base),
        _ => 0,
    };
    let mut strings = strings.split(|&byte| byte == 0).map(String::from_utf8_lossy);
    let name = format!("{}:{}", strings.next()?, strings.next()?);
    let semaphore = if semaphore == 0 { 0 } else { semaphore.wrapping_add(moved) };
    Some(Probe { name, address: address.wrapping_add(moved), semaphore })
}

/// Opens a file that is named by its path.
///
/// # Errors
///
/// When that is not possible now, or it is no regular file.
pub(crate) fn open(path: &Path) -> Result<ForeignFile> {
    ForeignFile::open(path).doing(format!("reading {}", path.display()))
}
#[cfg(test)]
mod tests {
    use super::*;

    fn libc() -> ForeignFile {
        open(&libraries::place_of("libc.so.6").unwrap()).unwrap()
    }

    #[test]
    fn finds_a_function_of_a_library() {
        let found = read(&libc(), &["no_such_function", "getaddrinfo"], None).unwrap();
        assert!(matches!(found.offsets[..], [None, Some(1..)]), "{found:?}");
        let shell = open(Path::new("/bin/sh")).unwrap();
        let found = find(&shell, &["getaddrinfo"], Some("libc.so")).unwrap();
        let Search::Found(Some(library), _) = found else { unreachable!("{found:?}") };
        assert!(library.to_string().ends_with("libc.so.6"), "{library}");
    }

    #[test]
    fn lists_functions_and_probes() {
        let places = places_of(&libc(), &mut |name| name == "getaddrinfo").unwrap();
        assert!(places.iter().all(|place| !place.is_usdt && place.address > 0));
        assert!(!places.is_empty());
    }

    #[test]
    fn takes_what_chooses_a_function_for_none() {
        // STT_GNU_IFUNC in the C library.
        let found = read(&libc(), &["strlen"], None).unwrap();
        assert!(matches!(found.offsets[..], [None]), "{found:?}");
    }

    #[test]
    fn reads_notes_of_probes() {
        let endian = Endianness::Little;
        let mut desc = [0x1234u64, 0x100, 2].map(u64::to_le_bytes).concat();
        desc.extend(b"postgresql\0query__start\0-8@%rdi\0");
        let name = "postgresql:query__start".to_string();
        for (base, moved) in [(None, 0), (Some(0x100), 0), (Some(0x180), 0x80)] {
            let probe = Probe { name: name.clone(), address: 0x1234 + moved, semaphore: 2 + moved };
            assert_eq!(usdt(&desc, true, endian, base), Some(probe));
        }
        assert_eq!(usdt(&desc[..20], true, endian, None), None);
        assert_eq!(usdt(&desc[..28], true, endian, None), None);
        let head = [8u32, desc.len() as u32, 3].map(u32::to_le_bytes).concat();
        let padding = desc.len().next_multiple_of(4) - desc.len();
        let notes = [&head[..], b"stapsdt\0", &desc, &[0; 4][..padding], b"rest"].concat();
        let (text, rest) = note(&notes, endian).unwrap();
        assert_eq!(text, desc);
        assert_eq!(rest, b"rest");
        for len in 0..head.len() + 8 + desc.len() {
            assert_eq!(note(&notes[..len], endian), None);
        }
    }

    /// What the fuzzer begins with: files that are made to do harm.
    #[test]
    fn reads_hostile_files() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/elf");
        let read = |name: &str| {
            let file = open(&seeds.join(name)).unwrap();
            let places = places_of(&file, &mut |_| true);
            let found = read(&file, &["readline", "mysql:query__start"], Some("lib"));
            (places.map(|places| places.len()).ok(), found.ok().map(|found| found.offsets))
        };
        let at = |function: Option<u64>, probe: Option<u64>| Some(vec![function, probe]);
        for (name, expected) in [
            ("function", (Some(2), at(Some(120), None))),
            ("sections_of_the_first", (Some(1), at(Some(120), None))),
            ("sections_without_end", (None, None)),
            ("segments_many", (None, None)),
            ("names_without_end", (None, None)),
            ("needed_many", (Some(0), at(None, None))),
            ("probe", (Some(1), at(None, Some(120)))),
            ("probes_that_are_none", (Some(4), None)),
            ("note_cut", (Some(0), at(None, None))),
            ("note_long", (Some(0), at(None, None))),
        ] {
            assert_eq!(read(name), expected, "{name}");
        }
        assert!(own_stacks(open(&seeds.join("go")).unwrap().reader(1 << 20)).unwrap().is_some());
    }

    #[test]
    fn refuses_what_is_no_elf_file() {
        for (path, cause) in [
            ("/etc/passwd", "it is not an ELF file"),
            ("/dev/null", "it is not a regular file"),
            ("/", "it is not a regular file"),
            ("/no/such/file", "No such file"),
        ] {
            let file = open(Path::new(path));
            let found = file.and_then(|file| find(&file, &["readline"], Some("libreadline.so")));
            assert!(found.as_ref().unwrap_err().to_string().contains(cause), "{found:?}");
        }
    }
}
