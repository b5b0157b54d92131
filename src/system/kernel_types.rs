//! The kernel's types, cut down to those that the BPF objects name: libbpf looks through all it is
//! given for each struct that is relocated, and a kernel has more than 100,000.
//!
//! The format is BTF, of Documentation/bpf/btf.rst.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::system::sys;

include!(concat!(env!("OUT_DIR"), "/types.rs"));

/// Where libbpf finds the types; none, then it has to take all of the kernel's. They are made once.
pub(crate) fn path() -> Option<PathBuf> {
    static TYPES: OnceLock<Option<File>> = OnceLock::new();
    let file = TYPES.get_or_init(|| {
        let all = File::open("/sys/kernel/btf/vmlinux").ok()?;
        let types = match sys::map_kernel_types(&all) {
            Some(all) => cut_down(all, NAMED_TYPES),
            None => cut_down(&read(all).ok()?, NAMED_TYPES),
        };
        let mut file = File::from(memfd_create("types", MFdFlags::MFD_CLOEXEC).ok()?);
        file.write_all(&types?).ok()?;
        Some(file)
    });
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_ref()?.as_raw_fd()));
    path.exists().then_some(path)
}

fn read(mut file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
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
struct Type {
    name: u32,
    info: u32,
    /// Its size, or the type that it refers to.
    size_or_type: u32,
    /// Where what follows it is, and how many bytes that has.
    at: usize,
    len: usize,
}

impl Type {
    fn kind(self) -> u32 {
        (self.info >> 24) & 0x1f
    }

    /// A struct, a union, an enumeration or a typedef: what can be named.
    fn can_be_named(self) -> bool {
        use kind::{ENUM, ENUM64, STRUCT, TYPEDEF, UNION};
        self.name != 0 && matches!(self.kind(), STRUCT | UNION | ENUM | ENUM64 | TYPEDEF)
    }
}

/// What there is in all.
struct Types<'a> {
    data: &'a [u8],
    strings: &'a [u8],
    /// Where each is: the first has number 1.
    places: Vec<u32>,
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

impl<'a> Types<'a> {
    fn read(file: &'a [u8]) -> Option<Self> {
        let header = |n: usize| word(file, 4 * n).and_then(|word| usize::try_from(word).ok());
        let (len, types, types_len) = (header(1)?, header(2)?, header(3)?);
        let (strings, strings_len) = (header(4)?, header(5)?);
        if word(file, 0) != Some(MAGIC) || len < HEADER_LEN {
            return None;
        }
        let part = |start: usize, part_len: usize| file.get(len + start..)?.get(..part_len);
        let (data, strings) = (part(types, types_len)?, part(strings, strings_len)?);
        let mut all = Self { data, strings, places: Vec::with_capacity(types_len / 32) };
        let mut at = 0;
        while at < data.len() {
            all.places.push(u32::try_from(at).ok()?);
            let found = all.at(at)?;
            at = found.at + found.len;
        }
        Some(all)
    }

    fn at(&self, place: usize) -> Option<Type> {
        let word = |n: usize| word(self.data, place + 4 * n);
        let (name, info, size_or_type) = (word(0)?, word(1)?, word(2)?);
        let found = Type { name, info, size_or_type, at: place + TYPE_LEN, len: 0 };
        let many = (info & 0xffff) as usize;
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
        Some(Type { len, ..found })
    }

    fn numbered(&self, number: u32) -> Option<Type> {
        self.at(*self.places.get((number as usize).checked_sub(1)?)? as usize)
    }

    fn string(&self, at: u32) -> &'a [u8] {
        let rest = self.strings.get(at as usize..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The numbers of the types with these names.
    fn named(&self, names: &HashSet<&[u8]>) -> HashSet<u32> {
        // Few names begin with the same two bytes: strings are far apart, and most need not be read.
        let begin = |name: &[u8]| name.first_chunk().map(|two| u16::from_le_bytes(*two));
        let begins = names.iter().filter_map(|name| begin(name)).collect::<HashSet<_>>();
        let mut may_be = vec![false; 1 << 16];
        for begin in begins {
            may_be[usize::from(begin)] = true;
        }
        let is_named = |found: Type| {
            let first = self.strings.get(found.name as usize..).and_then(begin);
            found.can_be_named()
                && first.is_some_and(|first| may_be[usize::from(first)])
                && names.contains(self.string(found.name))
        };
        (1u32..)
            .zip(&self.places)
            .filter(|(_, place)| self.at(**place as usize).is_some_and(is_named))
            .map(|(number, _)| number)
            .collect()
    }
}

/// What is kept, with numbers of its own.
struct Kept<'a> {
    all: &'a Types<'a>,
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
    fn new(all: &'a Types<'a>, named: &'a HashSet<u32>) -> Self {
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
        let data = self.all.data.get(found.at..found.at + found.len)?;
        let parts =
            |size: usize| data.chunks_exact(size).map(|part| [0, 1, 2].map(|n| word(part, 4 * n)));
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
            kind::TYPEDEF => {
                let (name, of) = (self.name(found.name), self.number(found.size_or_type, false)?);
                self.words(&[name, found.info, of]);
            }
            kind::INT | kind::FLOAT | kind::FWD => {
                let name = self.name(found.name);
                self.words(&[name, found.info, found.size_or_type]);
                self.types.extend_from_slice(data);
            }
            _ => return None,
        }
        Some(())
    }
}

/// The types with these names, and what they are made of.
fn cut_down(file: &[u8], names: &[&str]) -> Option<Vec<u8>> {
    let all = Types::read(file)?;
    let named = all.named(&names.iter().map(|name| name.as_bytes()).collect());
    let mut roots = named.iter().copied().collect::<Vec<_>>();
    roots.sort_unstable();
    let mut kept = Kept::new(&all, &named);
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
        read(File::open("/sys/kernel/btf/vmlinux").ok()?).ok()
    }

    #[test]
    fn what_is_named_is_there_with_all_its_members() {
        let Some(file) = of_kernel() else { return };
        let few = cut_down(&file, &["task_struct", "no_such_type", "sock_common"]).unwrap();
        assert!(few.len() < file.len() / 20, "{} of {}", few.len(), file.len());
        let (all, few) = (Types::read(&file).unwrap(), Types::read(&few).unwrap());
        for name in [&b"task_struct"[..], b"sock_common"] {
            let of = |types: &Types<'_>| {
                let number = *types.named(&HashSet::from([name])).iter().next().unwrap();
                let found = types.numbered(number).unwrap();
                let members = types.data[found.at..][..found.len].chunks_exact(12);
                let members = members.map(|member| {
                    let name = types.string(word(member, 0).unwrap()).to_vec();
                    (name, word(member, 8).unwrap())
                });
                (found.info, found.size_or_type, members.collect::<Vec<_>>())
            };
            assert_eq!(of(&all), of(&few));
        }
    }

    #[test]
    fn each_type_refers_to_one_that_is_there() {
        let Some(file) = of_kernel() else { return };
        let few = cut_down(&file, NAMED_TYPES).unwrap();
        let few = Types::read(&few).unwrap();
        let is_there = |number: u32| number as usize <= few.places.len();
        for place in &few.places {
            let found = few.at(*place as usize).unwrap();
            let mut parts = few.data[found.at..][..found.len].chunks_exact(12);
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
        let few = cut_down(&file, &["filename"]).unwrap();
        let few = Types::read(&few).unwrap();
        let number = few.named(&HashSet::from([&b"filename"[..]])).into_iter().next().unwrap();
        let filename = few.numbered(number).unwrap();
        let members = few.data[filename.at..][..filename.len].chunks_exact(12);
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
            let _ = cut_down(&file, &["task_struct", "k"]);
            let _ = cut_down(&file[..file.len() / 2], &["task_struct"]);
        }
    }
}
