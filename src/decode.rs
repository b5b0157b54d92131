//! From the bytes of a record to its parts. Pure: knows nothing of libbpf.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use nix::errno::Errno;
use plain::Plain;

use crate::bpf::shared::types::path_state;

/// The start of every record; see `src/bpf/include/shared.bpf.h`.
pub use crate::bpf::shared::types::event_header as Header;

/// One event: the header that all tools share, the tool's own fixed part, and the variable tail.
#[derive(Debug)]
pub struct Record<'a, E> {
    /// Time and task.
    pub header: &'a Header,
    /// The tool's `struct event`, which begins with the header.
    pub event: &'a E,
    /// What follows it: as long as this event's text needs.
    pub tail: &'a [u8],
    /// The container that the task is in; empty when it is in none, or that was not asked for.
    pub container: &'a str,
}

impl Header {
    /// Of a row that is not one task's: of an interval.
    pub fn at(time_ns: u64) -> Self {
        Self { time_ns, ..Self::default() }
    }
}

impl<'a, E> Record<'a, E> {
    /// A row that user space made.
    pub fn made(header: &'a Header, event: &'a E) -> Self {
        Self { header, event, tail: &[], container: "" }
    }
}

impl<'a, E: Plain> Record<'a, E> {
    /// Reads a record; `None` if it is too short for `E` or not aligned for it.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        Some(Self {
            header: plain::from_bytes(bytes).ok()?,
            event: plain::from_bytes(bytes).ok()?,
            tail: bytes.get(size_of::<E>()..)?,
            container: "",
        })
    }

    /// The next `len` bytes of a tail that is read piece by piece; what is there, if that is less.
    pub fn piece(rest: &mut &'a [u8], len: u32) -> &'a [u8] {
        let (piece, behind) = rest.split_at(rest.len().min(len as usize));
        *rest = behind;
        piece
    }
}

/// What a line is made of.
pub(crate) trait Row: Sized {
    /// Shows the rows that these bytes make, whoever they come from: for the fuzzer.
    fn of_any(bytes: &[u8], show: &mut dyn FnMut(&Record<'_, Self>));
}

impl<E: Plain> Row for E {
    fn of_any(bytes: &[u8], show: &mut dyn FnMut(&Record<'_, Self>)) {
        Record::new(bytes).iter().for_each(show);
    }
}

/// The bytes before the first NUL: all of them where there is none.
pub fn c_str(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

/// The name of a negative return value (`-2` is `ENOENT`), `None` if it is not an error that
/// user space has a name for.
pub fn errno_name(ret: i64) -> Option<&'static str> {
    static NAMES: LazyLock<Vec<Option<String>>> = LazyLock::new(|| {
        let name = |number| match Errno::from_raw(number) {
            Errno::UnknownErrno => None,
            errno => Some(format!("{errno:?}")),
        };
        (0..=ERRNO_MAX).map(name).collect()
    });
    let number = usize::try_from(ret.checked_neg()?).ok()?;
    NAMES.get(number)?.as_deref()
}

/// Above the highest number that user space has a name for; `EHWPOISON` is 133.
const ERRNO_MAX: i32 = 255;

/// The arguments of a program: strings that each end with a NUL.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    unreadable: u64,
    next: u32,
    /// The file of a failed call, which people want to see rather than the first argument; `None`
    /// inside where it could not be read.
    pub(crate) file: Option<Option<&'a [u8]>>,
}

impl<'a> Args<'a> {
    /// `unreadable`: bit n says that argument n could not be read and its place is empty.
    pub fn new(bytes: &'a [u8], unreadable: u64) -> Self {
        Self { bytes, unreadable, next: 0, file: None }
    }

    /// For people, `file` stands for the first argument; the arguments stay what they are.
    #[must_use]
    pub fn shown_as(mut self, file: Option<&'a [u8]>) -> Self {
        self.file = Some(file);
        self
    }
}

impl<'a> Iterator for Args<'a> {
    /// An argument; `None` inside for one that could not be read.
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let arg = c_str(self.bytes);
        self.bytes = self.bytes.get(arg.len() + 1..).unwrap_or_default();
        let readable = self.unreadable.checked_shr(self.next).unwrap_or(0) & 1 == 0;
        self.next = self.next.saturating_add(1);
        Some(readable.then_some(arg))
    }
}

/// A place in the file system: a directory and a name that starts from it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    names: &'a [u8],
    state: path_state,
    name: Option<&'a [u8]>,
}

/// How much of a place is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known {
    /// All of it: the path is absolute.
    Whole,
    /// What it starts from is not.
    Relative,
    /// Its upper part is not: there are more directories than are followed.
    Cut,
    /// All of it, but what it starts from is deleted: nobody else can get there.
    Deleted,
}

impl<'a> Place<'a> {
    /// `names`: those of the directory, the last one first, each with a NUL, as path.bpf.h makes
    /// them; `name`: what the caller gave, or nothing.
    pub(crate) fn new(names: &'a [u8], state: u32, name: &'a [u8]) -> Self {
        Self { names, state: path_state(state), name: Some(name) }
    }

    /// The next `struct name` of a tail that is read piece by piece.
    pub(crate) fn next(rest: &mut &'a [u8], len: u32, base_len: u32, base_state: u32) -> Self {
        let name = Record::<Header>::piece(rest, len);
        let name = (!name.is_empty()).then(|| c_str(name));
        let names = Record::<Header>::piece(rest, base_len);
        Self { names, state: path_state(base_state), name }
    }

    /// The name as the caller gave it; `None` where it could not be read.
    pub fn name(&self) -> Option<&'a [u8]> {
        self.name
    }

    fn is_absolute(&self) -> bool {
        self.name.is_some_and(|name| name.first() == Some(&b'/'))
    }

    /// How much of it is known.
    pub fn known(&self) -> Known {
        match self.state {
            path_state::PATH_WHOLE | path_state::PATH_CONFINED => Known::Whole,
            path_state::PATH_CUT => Known::Cut,
            path_state::PATH_DELETED => Known::Deleted,
            // An absolute name starts from the root, whichever that is.
            _ if self.is_absolute() => Known::Whole,
            _ => Known::Relative,
        }
    }

    /// The path: absolute where it is known whole, else as far as it is known.
    pub fn bytes(&self) -> Cow<'a, [u8]> {
        let name = self.name.unwrap_or_default();
        if self.known() == Known::Relative {
            return Cow::Borrowed(name);
        }
        let mut path = Vec::with_capacity(self.names.len() + name.len() + 1);
        for name in self.directories() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if !self.is_absolute() && (path.is_empty() || !name.is_empty()) {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        if self.known() == Known::Cut {
            path.remove(0);
        }
        Cow::Owned(path)
    }

    /// The names of its directory, from the root down.
    fn directories(&self) -> impl Iterator<Item = &'a [u8]> {
        let names = self.names.strip_suffix(b"\0").unwrap_or(self.names);
        names.rsplit(|&byte| byte == 0).filter(|name| !name.is_empty())
    }

    /// The path without empty parts, `.` and `..`, which are taken by their names: links are not
    /// known here. Empty for an empty name; `None` where it cannot be told.
    pub(crate) fn normal(&self) -> Option<Vec<u8>> {
        let name = self.name?;
        if name.is_empty() {
            return Some(Vec::new());
        }
        let parts = || name.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
        let is_confined = self.state == path_state::PATH_CONFINED && !self.is_absolute();
        match self.known() {
            // Its own root may be anywhere above where it starts from.
            Known::Whole if is_confined && parts().any(|part| part == b"..") => return None,
            Known::Whole | Known::Deleted => {}
            Known::Relative | Known::Cut => return None,
        }
        let mut path = self.directories().collect::<Vec<_>>();
        // From a process's root `..` leads nowhere.
        let root = if self.is_absolute() { path.len() } else { 0 };
        for part in parts() {
            match part {
                b"." => {}
                b".." => path.truncate(root.max(path.len().saturating_sub(1))),
                part => path.push(part),
            }
        }
        Some([b"/", path.join(&b'/').as_slice()].concat())
    }
}

/// Bits that have names, like the flags of open.
#[derive(Clone, Copy, Debug)]
pub struct Flags {
    /// What stands first: the name of what is no bit but a number; nothing if empty.
    pub first: &'static str,
    /// The bits.
    pub bits: u64,
    /// Names and values; those that contain others come before them.
    pub known: &'static [(&'static str, u64)],
}

impl Flags {
    /// The names of the bits that are set; a number for those without one.
    pub fn names(self) -> impl Iterator<Item = Cow<'static, str>> {
        let mut rest = self.bits;
        let mut known = self.known.iter();
        let bits = std::iter::from_fn(move || {
            if let Some((name, value)) = known.find(|(_, value)| rest & value == *value) {
                rest &= !value;
                return Some(Cow::Borrowed(*name));
            }
            let number = std::mem::take(&mut rest);
            (number != 0).then(|| Cow::Owned(format!("{number:#x}")))
        });
        let first = Some(Cow::Borrowed(self.first)).filter(|first| !first.is_empty());
        first.into_iter().chain(bits)
    }
}

/// Addresses of hosts, as gethostlatency.bpf.c puts them into a tail.
#[derive(Clone, Copy, Debug)]
pub struct Addresses<'a> {
    bytes: &'a [u8],
    last: Option<IpAddr>,
}

impl<'a> Addresses<'a> {
    /// Each has the number of its family and 16 bytes. One that comes again, for another type of
    /// socket, is taken once.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, last: None }
    }
}

impl Iterator for Addresses<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        loop {
            let (family, rest) = self.bytes.split_first_chunk::<4>()?;
            let (bytes, rest) = rest.split_first_chunk::<16>()?;
            self.bytes = rest;
            let [a, b, c, d, ..] = *bytes;
            let address = match i32::from_ne_bytes(*family) {
                nix::libc::AF_INET => IpAddr::from(Ipv4Addr::new(a, b, c, d)),
                _ => IpAddr::from(Ipv6Addr::from(*bytes)),
            };
            if self.last.replace(address) != Some(address) {
                return Some(address);
            }
        }
    }
}

/// The ancestors of a process, from the parent up: pid and name.
#[derive(Clone, Copy, Debug)]
pub struct Ancestors<'a>(&'a [u8]);

impl<'a> Ancestors<'a> {
    const PID: usize = size_of::<u32>();
    /// The bytes of one: a pid, and a name padded with NULs.
    pub(crate) const LEN: u32 = 4 + 16;

    /// As the kernel side of execsnoop puts them into a tail.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Ancestors<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (one, rest) = self.0.split_at_checked(Self::LEN as usize)?;
        self.0 = rest;
        let (pid, comm) = one.split_at(Self::PID);
        Some((u32::from_ne_bytes(pid.try_into().ok()?), c_str(comm)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn args(bytes: &[u8], unreadable: u64) -> Vec<Option<&[u8]>> {
        Args::new(bytes, unreadable).collect()
    }

    #[test]
    fn splits_arguments() {
        assert_eq!(args(b"", 0), []);
        assert_eq!(args(b"\0", 0), [Some(&b""[..])]);
        assert_eq!(args(b"a\0\0bc\0", 0), [Some(&b"a"[..]), Some(b""), Some(b"bc")]);
        assert_eq!(args(b"a\0cut", 0), [Some(&b"a"[..]), Some(b"cut")]);
        assert_eq!(args(b"a\0\0b\0", 2), [Some(&b"a"[..]), None, Some(b"b")]);
    }

    #[test]
    fn names_errors() {
        assert_eq!(errno_name(-2), Some("ENOENT"));
        for number in [0, 5, -512, i64::MIN, i64::MAX] {
            assert_eq!(errno_name(number), None, "{number}");
        }
    }

    #[test]
    fn refuses_a_short_record() {
        let bytes = [0; size_of::<Header>() - 1];
        assert!(Record::<Header>::new(&bytes).is_none());
    }

    fn path(names: &[u8], state: path_state, name: &[u8]) -> (String, Known) {
        let place = Place::new(names, state.0, name);
        (String::from_utf8_lossy(&place.bytes()).into_owned(), place.known())
    }

    #[test]
    fn puts_paths_together() {
        use path_state as s;
        for (names, state, name, expected, known) in [
            (&b""[..], s::PATH_WHOLE, &b"/etc/x"[..], "/etc/x", Known::Whole),
            (b"jail\0srv\0", s::PATH_WHOLE, b"/etc/x", "/srv/jail/etc/x", Known::Whole),
            (b"b\0a\0", s::PATH_WHOLE, b"x", "/a/b/x", Known::Whole),
            (b"b\0a\0", s::PATH_WHOLE, b"", "/a/b", Known::Whole),
            (b"", s::PATH_WHOLE, b"x", "/x", Known::Whole),
            (b"", s::PATH_WHOLE, b"", "/", Known::Whole),
            (b"b\0a\0", s::PATH_CUT, b"x", "a/b/x", Known::Cut),
            (b"", s::PATH_CUT, b"/x", "x", Known::Cut),
            (b"", s::PATH_CUT, b"x", "x", Known::Cut),
            (b"b\0a\0", s::PATH_DELETED, b"x", "/a/b/x", Known::Deleted),
            (b"b\0a\0", s::PATH_CONFINED, b"x", "/a/b/x", Known::Whole),
            (b"", s::PATH_NONE, b"x", "x", Known::Relative),
            (b"", s::PATH_NONE, b"/x", "/x", Known::Whole),
        ] {
            assert_eq!(path(names, state, name), (expected.into(), known), "{names:?} {name:?}");
        }
    }

    #[test]
    fn takes_dots_out_of_paths() {
        use path_state as s;
        for (names, state, name, expected) in [
            (&b"b\0a\0"[..], s::PATH_WHOLE, &b"./x"[..], Some("/a/b/x")),
            (b"b\0a\0", s::PATH_WHOLE, b"../x//y/.", Some("/a/x/y")),
            (b"b\0a\0", s::PATH_WHOLE, b"../../../..", Some("/")),
            (b"", s::PATH_WHOLE, b"//etc/../x/", Some("/x")),
            (b"b\0a\0", s::PATH_WHOLE, b"/../x", Some("/a/b/x")),
            (b"b\0a\0", s::PATH_DELETED, b"x/...", Some("/a/b/x/...")),
            (b"b\0a\0", s::PATH_CONFINED, b"/../x", Some("/a/b/x")),
            (b"b\0a\0", s::PATH_CONFINED, b"x", Some("/a/b/x")),
            (b"b\0a\0", s::PATH_CONFINED, b"../x", None),
            (b"b\0a\0", s::PATH_CUT, b"x", None),
            (b"b\0a\0", s::PATH_WHOLE, b"", Some("")),
            (b"", s::PATH_NONE, b"x", None),
        ] {
            let normal = Place::new(names, state.0, name).normal();
            let normal = normal.map(|path| String::from_utf8_lossy(&path).into_owned());
            assert_eq!(normal.as_deref(), expected, "{names:?} {state:?} {name:?}");
        }
        assert_eq!(Place::next(&mut &b""[..], 0, 0, s::PATH_WHOLE.0).normal(), None);
    }

    #[test]
    fn names_flags() {
        let known = &[("AB", 3), ("B", 2), ("C", 4)];
        let names =
            |first, bits| Flags { first, bits, known }.names().collect::<Vec<_>>().join("|");
        assert_eq!(names("R", 0), "R");
        assert_eq!(names("R", 7), "R|AB|C");
        assert_eq!(names("", 2), "B");
        assert_eq!(names("", 0x16), "B|C|0x10");
    }

    #[test]
    fn reads_addresses() {
        let mut bytes = 2u32.to_ne_bytes().to_vec();
        bytes.extend([127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(10u32.to_ne_bytes());
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend(b"cut");
        let found = Addresses::new(&bytes).map(|address| address.to_string()).collect::<Vec<_>>();
        assert_eq!(found, ["127.0.0.1", "::1"]);
    }

    #[test]
    fn reads_ancestors() {
        let mut bytes = 7u32.to_ne_bytes().to_vec();
        bytes.extend(b"bash\0\0\0\0\0\0\0\0\0\0\0\0");
        bytes.extend(b"cut");
        assert_eq!(Ancestors::new(&bytes).collect::<Vec<_>>(), [(7, &b"bash"[..])]);
    }

    proptest! {
        #[test]
        fn any_place_has_a_path(names: Vec<u8>, state in 0..7u32, name in "[a./\\PC]{0,9}") {
            let name = name.into_bytes();
            // No file system has a directory with these in its name, or `..` as its name.
            let names = names.into_iter().filter(|byte| !b"/.".contains(byte)).collect::<Vec<_>>();
            let place = Place::new(&names, state, &name);
            let path = place.bytes();
            prop_assert!(place.known() != Known::Whole || path.first() == Some(&b'/'));
            prop_assert!(path.ends_with(name.strip_prefix(b"/").unwrap_or(&name)));
            let normal = place.normal().unwrap_or_default();
            prop_assert!(!normal.windows(2).any(|pair| pair == b"//"));
            prop_assert!(!normal.split(|&byte| byte == b'/').any(|part| part == b".."));
        }

        #[test]
        fn any_ancestors_can_be_read(bytes: Vec<u8>) {
            prop_assert_eq!(Ancestors::new(&bytes).count(), bytes.len() / 20);
        }

        #[test]
        fn arguments_lose_no_byte(bytes: Vec<u8>, unreadable: u64) {
            let total = args(&bytes, unreadable).len();
            let nuls = bytes.iter().filter(|&&byte| byte == 0).count();
            let open = usize::from(bytes.last().is_some_and(|&byte| byte != 0));
            prop_assert_eq!(total, nuls + open);
            let again = args(&bytes, 0).into_iter().flatten().collect::<Vec<_>>().join(&0);
            prop_assert_eq!(again, bytes.strip_suffix(b"\0").unwrap_or(&bytes));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
            if let Some(record) = Record::<Header>::new(&bytes) {
                prop_assert_eq!(record.tail.len(), bytes.len() - size_of::<Header>());
            }
        }
    }
}
