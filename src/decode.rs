//! From the bytes of a record to its parts. Pure: knows nothing of libbpf.

use nix::errno::Errno;
use plain::Plain;

/// The start of every record; see `src/bpf/shared.bpf.h`.
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
}

impl<'a, E: Plain> Record<'a, E> {
    /// Reads a record; `None` if it is too short for `E` or not aligned for it.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let event = plain::from_bytes(bytes).ok()?;
        Some(Self {
            header: plain::from_bytes(bytes).ok()?,
            event,
            tail: bytes.get(size_of::<E>()..)?,
        })
    }
}

/// The bytes before the first NUL: all of them where there is none.
pub fn c_str(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

/// The name of a negative return value (`-2` is `ENOENT`), `None` if it is not an error that
/// user space has a name for.
pub fn errno_name(ret: i64) -> Option<String> {
    let number = ret.checked_neg().and_then(|number| i32::try_from(number).ok())?;
    match Errno::from_raw(number) {
        Errno::UnknownErrno => None,
        errno => Some(format!("{errno:?}")),
    }
}

/// The arguments of a program: strings that each end with a NUL.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    unreadable: u64,
    next: u32,
    /// The file of a failed call, which people want to see rather than the first argument.
    pub(crate) file: Option<&'a [u8]>,
}

impl<'a> Args<'a> {
    /// `unreadable`: bit n says that argument n could not be read and its place is empty.
    pub fn new(bytes: &'a [u8], unreadable: u64) -> Self {
        Self { bytes, unreadable, next: 0, file: None }
    }

    /// For people, `file` stands for the first argument; the arguments stay what they are.
    #[must_use]
    pub fn shown_as(mut self, file: &'a [u8]) -> Self {
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
        assert_eq!(errno_name(-2).as_deref(), Some("ENOENT"));
        for number in [0, 5, -512, i64::MIN, i64::MAX] {
            assert_eq!(errno_name(number), None, "{number}");
        }
    }

    #[test]
    fn refuses_a_short_record() {
        let bytes = [0; size_of::<Header>() - 1];
        assert!(Record::<Header>::new(&bytes).is_none());
    }

    proptest! {
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
