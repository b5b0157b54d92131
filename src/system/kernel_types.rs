//! The kernel's types, cut down to those that the BPF objects name, and the numbers of what programs
//! are loaded for: libbpf looks through all it is given for each struct that is relocated, checks each
//! type where it has to look for a number, and a kernel has more than 100,000.
//!
//! The format is BTF, of Documentation/bpf/btf.rst.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::system::sys;

/// What a kernel says of its types, and which kernels do.
pub(crate) const TYPES: &str = "/sys/kernel/btf/vmlinux";
pub(crate) const NEEDED: &str =
    "a kernel of version 5.10 or later with CONFIG_DEBUG_INFO_BTF=y is needed";

include!(concat!(env!("OUT_DIR"), "/types.rs"));

/// Where libbpf finds the types; none, then it has to take all of the kernel's.
pub(crate) fn path() -> Option<PathBuf> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", found()?.file.as_raw_fd()));
    path.exists().then_some(path)
}

/// The number of the type that a program of this tracepoint is loaded for.
pub(crate) fn tracepoint(name: &str) -> Option<u32> {
    let named = |(one, _): &&(&str, u32)| one.strip_prefix(TRACEPOINT) == Some(name);
    found()?.tracepoints.iter().find(named).map(|(_, number)| *number)
}

/// The numbers of functions of the kernel itself, with their names.
pub(crate) fn functions<'a>(names: &[&'a str]) -> Vec<(&'a str, u32)> {
    if names.is_empty() {
        return Vec::new();
    }
    with_all(|all| {
        let named = Types::read(all, &Names::of_functions(names))?.named;
        Some(named.iter().map(|named| (named.name, named.number)).collect())
    })
    .unwrap_or_default()
}

/// What an enumeration of the kernel calls its numbers; nothing where there is none of this name.
pub(crate) fn enumerators(name: &str) -> Vec<(String, u32)> {
    enumerators_of(&[name]).pop().unwrap_or_default()
}

/// The same of several, in one pass.
pub(crate) fn enumerators_of(names: &[&str]) -> Vec<Vec<(String, u32)>> {
    let found = with_all(|all| {
        let all = Types::read(all, &Names::of_types(names))?;
        Some(names.iter().map(|name| all.enumerators(name).unwrap_or_default()).collect())
    });
    found.unwrap_or_else(|| vec![Vec::new(); names.len()])
}

/// What the types of tracepoints' programs begin with.
const TRACEPOINT: &str = "btf_trace_";

/// What is found in one pass, once.
struct Found {
    /// The types that are kept.
    file: File,
    /// The types of tracepoints' programs, with their numbers in the kernel.
    tracepoints: Vec<(&'static str, u32)>,
}

fn found() -> Option<&'static Found> {
    static FOUND: OnceLock<Option<Found>> = OnceLock::new();
    let find = || {
        let (types, tracepoints) = with_all(|file| {
            let all = Types::read(file, &Names::of_types(NAMED_TYPES))?;
            let tracepoints = all.named.iter().filter(|named| named.is_tracepoint());
            Some((cut_down(&all)?, tracepoints.map(|named| (named.name, named.number)).collect()))
        })?;
        let mut file = File::from(memfd_create("types", MFdFlags::MFD_CLOEXEC).ok()?);
        file.write_all(&types).ok()?;
        Some(Found { file, tracepoints })
    };
    FOUND.get_or_init(find).as_ref()
}

/// All types of the kernel.
fn with_all<T>(read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
    let mut file = File::open(TYPES).ok()?;
    if let Some(all) = sys::map_kernel_types(&file) {
        return read(&all);
    }
    let mut all = Vec::new();
    file.read_to_end(&mut all).ok()?;
    read(&all)
}

/// What is looked for.
struct Names<'n> {
    names: HashMap<&'n [u8], &'n str>,
    /// Few names begin with the same two bytes: strings are far apart, and most need not be read.
    begins: Vec<bool>,
    of_functions: bool,
}

impl<'n> Names<'n> {
    fn of_functions(names: &[&'n str]) -> Self {
        Self { of_functions: true, ..Self::of_types(names) }
    }

    /// Of structs, unions, enumerations and typedefs.
    fn of_types(names: &[&'n str]) -> Self {
        let mut begins = vec![false; 1 << 16];
        for begin in names.iter().filter_map(|name| begin(name.as_bytes())) {
            begins[begin] = true;
        }
        let names = names.iter().map(|name| (name.as_bytes(), *name)).collect();
        Self { names, begins, of_functions: false }
    }

    /// The one that `text` begins with, and a NUL after it.
    fn find(&self, text: &[u8]) -> Option<&'n str> {
        if !self.begins[begin(text)?] {
            return None;
        }
        self.names.get(text.split(|byte| *byte == 0).next()?).copied()
    }
}

fn begin(name: &[u8]) -> Option<usize> {
    name.first_chunk().map(|two| u16::from_le_bytes(*two).into())
}

const MAGIC: u32 = 0x0001_eb9f;
const HEADER_LEN: usize = 24;
const TYPE_LEN: usize = 12;

/// `enum` of include/uapi/linux/btf.h.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const FWD: u32 = 7;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const FLOAT: u32 = 16;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// One type, as it is in the file.
#[derive(Clone, Copy)]
struct Type<'a> {
    name: u32,
    info: u32,
    /// Its size, or the type that it refers to.
    size_or_type: u32,
    /// What follows it.
    data: &'a [u8],
}

impl<'a> Type<'a> {
    /// The one that `data` begins with.
    fn read(data: &'a [u8]) -> Option<Self> {
        let (head, data) = data.split_first_chunk::<TYPE_LEN>()?;
        let word = |n: usize| u32::from_le_bytes([head[n], head[n + 1], head[n + 2], head[n + 3]]);
        let found = Self { name: word(0), info: word(4), size_or_type: word(8), data };
        let many = (found.info & 0xffff) as usize;
        let len = match found.kind() {
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * many,
            kind::ENUM | kind::FUNC_PROTO => 8 * many,
            kind::PTR | kind::FWD | kind::TYPEDEF | kind::VOLATILE | kind::CONST => 0,
            kind::RESTRICT | kind::FUNC | kind::FLOAT | kind::TYPE_TAG => 0,
            // Of a later kernel: nobody knows where the next one is.
            _ => return None,
        };
        Some(Self { data: data.get(..len)?, ..found })
    }

    fn len(self) -> usize {
        TYPE_LEN + self.data.len()
    }

    fn kind(self) -> u32 {
        (self.info >> 24) & 0x1f
    }

    /// Of that kind?
    fn is_one_of(self, names: &Names<'_>) -> bool {
        use kind::{ENUM, ENUM64, FUNC, STRUCT, TYPEDEF, UNION};
        match names.of_functions {
            true => self.kind() == FUNC,
            false => matches!(self.kind(), STRUCT | UNION | ENUM | ENUM64 | TYPEDEF),
        }
    }
}

/// A type that was looked for.
struct Named<'n> {
    name: &'n str,
    number: u32,
}

impl Named<'_> {
    /// The type of a tracepoint's programs?
    fn is_tracepoint(&self) -> bool {
        self.name.starts_with(TRACEPOINT)
    }
}

/// What there is in all.
struct Types<'a, 'n> {
    data: &'a [u8],
    strings: &'a [u8],
    /// Where each is: the first has number 1.
    places: Vec<u32>,
    named: Vec<Named<'n>>,
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

impl<'a, 'n> Types<'a, 'n> {
    fn read(file: &'a [u8], names: &Names<'n>) -> Option<Self> {
        let header = |n: usize| word(file, 4 * n).and_then(|word| usize::try_from(word).ok());
        let (len, types, types_len) = (header(1)?, header(2)?, header(3)?);
        let (strings, strings_len) = (header(4)?, header(5)?);
        if word(file, 0) != Some(MAGIC) || len < HEADER_LEN {
            return None;
        }
        let part = |start: usize, part_len: usize| file.get(len + start..)?.get(..part_len);
        let (data, strings) = (part(types, types_len)?, part(strings, strings_len)?);
        let places = Vec::with_capacity(types_len / 32);
        let mut all = Self { data, strings, places, named: Vec::new() };
        let mut rest = data;
        while !rest.is_empty() {
            let found = Type::read(rest)?;
            all.places.push(u32::try_from(data.len() - rest.len()).ok()?);
            if let Some(name) = all.name(found, names) {
                let number = u32::try_from(all.places.len()).ok()?;
                all.named.push(Named { name, number });
            }
            rest = &rest[found.len()..];
        }
        Some(all)
    }

    /// Which of these names it has.
    fn name(&self, found: Type<'_>, names: &Names<'n>) -> Option<&'n str> {
        let text = self.strings.get(found.name as usize..).filter(|_| found.is_one_of(names))?;
        names.find(text)
    }

    fn numbered(&self, number: u32) -> Option<Type<'a>> {
        let place = *self.places.get((number as usize).checked_sub(1)?)?;
        Type::read(self.data.get(place as usize..)?)
    }

    /// Of the one of this name, which was looked for.
    fn enumerators(&self, name: &str) -> Option<Vec<(String, u32)>> {
        let named = self.named.iter().filter(|named| named.name == name);
        let is_enum = |found: &Type<'_>| found.kind() == kind::ENUM;
        let found = named.filter_map(|named| self.numbered(named.number)).find(is_enum)?;
        let read = |one: &[u8]| {
            let name = String::from_utf8_lossy(self.string(word(one, 0)?)).into_owned();
            Some((name, word(one, 4)?))
        };
        found.data.chunks_exact(8).map(read).collect()
    }

    fn string(&self, at: u32) -> &'a [u8] {
        let rest = self.strings.get(at as usize..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

/// What is kept, with numbers of its own.
struct Kept<'a> {
    all: &'a Types<'a, 'a>,
    named: &'a HashSet<u32>,
    types: Vec<u8>,
    strings: Vec<u8>,
    names: HashMap<u32, u32>,
    /// New numbers.
    numbers: HashMap<Part, u32>,
    /// In the order of their numbers; those at the end are not written yet.
    next: Vec<Part>,
}

/// A type by its old number, and whether its members are looked through for those of what it is in:
/// it has a name, but the member that it is has none (struct filename, since Linux 7.0).
type Part = (u32, bool);

/// A pointer to anything: libbpf compares pointers by their being pointers.
const POINTER: u32 = 1;

/// More names and qualifiers of one another than any type has.
const DEPTH_MAX: usize = 64;

impl<'a> Kept<'a> {
    fn new(all: &'a Types<'a, 'a>, named: &'a HashSet<u32>) -> Self {
        let mut kept = Self {
            all,
            named,
            types: Vec::new(),
            strings: vec![0],
            names: HashMap::from([(0, 0)]),
            numbers: HashMap::new(),
            next: Vec::new(),
        };
        kept.words(&[0, kind::PTR << 24, 0]);
        kept
    }

    fn words(&mut self, words: &[u32]) {
        self.types.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }

    fn name(&mut self, at: u32) -> u32 {
        *self.names.entry(at).or_insert_with(|| {
            let new = u32::try_from(self.strings.len()).unwrap_or(0);
            self.strings.extend_from_slice(self.all.string(at));
            self.strings.push(0);
            new
        })
    }

    /// The new number of a type, which it gets if it has none. Names that nobody asked for, and what
    /// is constant or volatile, are looked through, as libbpf does.
    fn number(&mut self, mut old: u32, is_nameless: bool) -> Option<u32> {
        use kind::{CONST, PTR, RESTRICT, TYPE_TAG, TYPEDEF, VOLATILE};
        for depth in 0.. {
            if old == 0 {
                return Some(0);
            }
            if depth == DEPTH_MAX {
                return None;
            }
            let found = self.all.numbered(old)?;
            match found.kind() {
                PTR => return Some(POINTER),
                TYPEDEF if self.named.contains(&old) => break,
                TYPEDEF | CONST | VOLATILE | RESTRICT | TYPE_TAG => old = found.size_or_type,
                _ => break,
            }
        }
        let new = POINTER + 1 + u32::try_from(self.numbers.len()).ok()?;
        Some(*self.numbers.entry((old, is_nameless)).or_insert_with(|| {
            self.next.push((old, is_nameless));
            new
        }))
    }

    fn write(&mut self, (old, is_nameless): Part) -> Option<()> {
        let found = self.all.numbered(old)?;
        let parts = |size: usize| {
            let parts = found.data.chunks_exact(size);
            parts.map(|part| [0, 1, 2].map(|n| word(part, 4 * n)))
        };
        // One within another that nobody asked for: its size is enough.
        let is_empty = found.name != 0 && !is_nameless && !self.named.contains(&old);
        match found.kind() {
            kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 if is_empty => {
                self.words(&[0, found.info & !0xffff, found.size_or_type]);
            }
            kind::STRUCT | kind::UNION => {
                let name = self.name(found.name);
                self.words(&[name, found.info, found.size_or_type]);
                for member in parts(12) {
                    let [name, of, offset] = member;
                    let (name, of) = (self.name(name?), self.number(of?, name == Some(0))?);
                    self.words(&[name, of, offset?]);
                }
            }
            kind::ENUM | kind::ENUM64 => {
                let name = self.name(found.name);
                self.words(&[name, found.info, found.size_or_type]);
                for value in parts(if found.kind() == kind::ENUM { 8 } else { 12 }) {
                    let name = self.name(value[0]?);
                    self.words(&[name]);
                    self.words(&value[1..].iter().copied().flatten().collect::<Vec<_>>());
                }
            }
            kind::ARRAY => {
                let [of, by, many] = parts(12).next()?;
                let (of, by) = (self.number(of?, false)?, self.number(by?, false)?);
                self.words(&[0, found.info, 0, of, by, many?]);
            }
            // Of a typedef: libbpf looks into none.
            kind::FUNC_PROTO => self.words(&[0, kind::FUNC_PROTO << 24, 0]),
            kind::TYPEDEF => {
                let (name, of) = (self.name(found.name), self.number(found.size_or_type, false)?);
                self.words(&[name, found.info, of]);
            }
            kind::INT | kind::FLOAT | kind::FWD => {
                let name = self.name(found.name);
                self.words(&[name, found.info, found.size_or_type]);
                self.types.extend_from_slice(found.data);
            }
            _ => return None,
        }
        Some(())
    }
}

/// The types that were looked for, and what they are made of.
fn cut_down(all: &Types<'_, '_>) -> Option<Vec<u8>> {
    let is_root = |named: &&Named<'_>| !named.is_tracepoint();
    let roots = all.named.iter().filter(is_root).map(|named| named.number).collect::<Vec<_>>();
    let named = roots.iter().copied().collect();
    let mut kept = Kept::new(all, &named);
    for root in roots {
        kept.number(root, false)?;
    }
    let mut written = 0;
    while let Some(part) = kept.next.get(written).copied() {
        kept.write(part)?;
        written += 1;
    }
    let (types, strings) =
        (u32::try_from(kept.types.len()).ok()?, u32::try_from(kept.strings.len()).ok()?);
    let header = [MAGIC, HEADER_LEN as u32, 0, types, types, strings];
    let header = header.iter().flat_map(|word| word.to_le_bytes());
    Some(header.chain(kept.types).chain(kept.strings).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_kernel() -> Option<Vec<u8>> {
        std::fs::read(TYPES).ok()
    }

    fn all<'a>(file: &'a [u8], names: &[&'static str]) -> Types<'a, 'static> {
        Types::read(file, &Names::of_types(names)).unwrap()
    }

    fn cut(file: &[u8], names: &[&'static str]) -> Vec<u8> {
        cut_down(&all(file, names)).unwrap()
    }

    /// Its one type of that name.
    fn only<'a>(file: &'a [u8], name: &'static str) -> Type<'a> {
        let types = all(file, &[name]);
        types.numbered(types.named[0].number).unwrap()
    }

    #[test]
    fn what_is_named_is_there_with_all_its_members() {
        let Some(file) = of_kernel() else { return };
        let few = cut(&file, &["task_struct", "no_such_type", "sock_common", "rx_handler_func_t"]);
        assert!(few.len() < file.len() / 20, "{} of {}", few.len(), file.len());
        for name in ["task_struct", "sock_common"] {
            let of = |file| {
                let found = only(file, name);
                let members = found.data.chunks_exact(12).map(|member| {
                    let name = all(file, &[]).string(word(member, 0).unwrap()).to_vec();
                    (name, word(member, 8).unwrap())
                });
                (found.info, found.size_or_type, members.collect::<Vec<_>>())
            };
            assert_eq!(of(&file), of(&few));
        }
    }

    #[test]
    fn each_type_refers_to_one_that_is_there() {
        let Some(file) = of_kernel() else { return };
        let few = cut(&file, NAMED_TYPES);
        let few = all(&few, &[]);
        let is_there = |number: u32| number as usize <= few.places.len();
        for number in (1u32..).take(few.places.len()) {
            let found = few.numbered(number).unwrap();
            let mut parts = found.data.chunks_exact(12);
            let good = match found.kind() {
                kind::STRUCT | kind::UNION => {
                    parts.all(|member| is_there(word(member, 4).unwrap()))
                }
                kind::ARRAY => parts.all(|array| is_there(word(array, 0).unwrap())),
                kind::PTR | kind::TYPEDEF => is_there(found.size_or_type),
                _ => true,
            };
            assert!(good, "{}", String::from_utf8_lossy(few.string(found.name)));
        }
    }

    /// As libbpf finds them.
    #[test]
    fn numbers_are_those_of_the_kernel() {
        use libbpf_rs::btf::types::{Func, Typedef};
        let Ok(types) = libbpf_rs::btf::Btf::from_vmlinux() else { return };
        let typedef = types.type_by_name::<Typedef<'_>>("btf_trace_sys_exit").unwrap();
        assert_eq!(tracepoint("sys_exit"), Some(typedef.type_id().into()));
        assert_eq!(tracepoint("no_such_tracepoint"), None);
        let function = types.type_by_name::<Func<'_>>("vfs_unlink").unwrap();
        let found = functions(&["no_such_function", "task_struct", "vfs_unlink"]);
        assert_eq!(found, [("vfs_unlink", function.type_id().into())]);
    }

    #[test]
    fn enumerations_have_names_and_numbers() {
        let states = enumerators("pid_type");
        let is_there = std::path::Path::new(TYPES).exists();
        assert_eq!(states.contains(&("PIDTYPE_TGID".into(), 1)), is_there, "{states:?}");
        assert_eq!(enumerators("task_struct"), []);
        assert_eq!(enumerators("no_such_enumeration"), []);
        let several = enumerators_of(&["no_such_enumeration", "pid_type"]);
        assert_eq!(several, [Vec::new(), states]);
    }

    /// As the kernel has it in the file: struct head { int name; }, and struct filename, which begins
    /// with a member of that type and without a name, and has one with.
    #[test]
    fn members_of_a_member_without_a_name_are_there() {
        let strings = b"\0filename\0head\0name\0own\0";
        let structure = |members: u32| (kind::STRUCT << 24) | members;
        let types: &[&[u32]] = &[
            &[15, kind::INT << 24, 4, 32],
            &[10, structure(1), 4, 15, 1, 0],
            &[1, structure(2), 8, 0, 2, 0, 20, 2, 32],
        ];
        let types = types.concat().into_iter().flat_map(u32::to_le_bytes).collect::<Vec<_>>();
        let len = types.len() as u32;
        let header = [MAGIC, HEADER_LEN as u32, 0, len, len, strings.len() as u32];
        let header = header.iter().flat_map(|word| word.to_le_bytes());
        let file = header.chain(types).chain(*strings).collect::<Vec<_>>();
        let few = cut(&file, &["filename"]);
        let members = only(&few, "filename").data.chunks_exact(12);
        let few = all(&few, &[]);
        let inner = members.map(|member| few.numbered(word(member, 4).unwrap()).unwrap());
        let many = inner.map(|inner| (inner.info & 0xffff, inner.size_or_type));
        assert_eq!(many.collect::<Vec<_>>(), [(1, 4), (0, 4)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            words in proptest::collection::vec(any::<u32>(), 0..64),
            kinds in proptest::collection::vec(0u32..24, 0..64),
        ) {
            let strings = b"\0task_struct\0";
            let types = words.iter().zip(kinds).flat_map(|(word, kind)| {
                [word % 16, (kind << 24) | (word % 3), word % 32].map(u32::to_le_bytes)
            });
            let types = types.flatten().collect::<Vec<_>>();
            let len = types.len() as u32;
            let header = [MAGIC, HEADER_LEN as u32, 0, len, len, strings.len() as u32];
            let header = header.iter().flat_map(|word| word.to_le_bytes());
            let file = header.chain(types).chain(*strings).collect::<Vec<_>>();
            for file in [&file[..], &file[..file.len() / 2]] {
                let all = Types::read(file, &Names::of_types(&["task_struct", "k"]));
                let _ = all.and_then(|all| cut_down(&all));
            }
        }
    }
}
