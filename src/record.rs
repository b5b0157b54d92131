//! From the bytes of a record to its parts. Pure: knows nothing of libbpf.

use std::sync::LazyLock;

use nix::errno::Errno;
use plain::Plain;

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
    /// The container that the task is in.
    pub container: &'a Container,
    /// What it adds up, where it stands for several events.
    pub sums: &'a Sums,
    /// And how many of them took how long, by the slots of a histogram.
    pub times: &'a [u32],
}

/// What events add up to that are shown as one row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// How many there were.
    pub count: u64,
    /// How many of them failed.
    pub errors: u64,
    /// How long all took together, in nanoseconds as what follows: 0 where it is not known.
    pub total_ns: u64,
    /// The median.
    pub p50_ns: u64,
    /// The 99th percentile.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl Sums {
    /// Of a row that is one event.
    pub const NONE: &'static Self =
        &Self { count: 0, errors: 0, total_ns: 0, p50_ns: 0, p99_ns: 0, max_ns: 0 };
}

/// A container, as far as its machine knows it: what is not known is empty, and everything where there is
/// none.
#[derive(Clone, Debug, Default)]
pub struct Container {
    /// The engine's id.
    pub id: String,
    /// In Kubernetes the namespace that its pod is in.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// And what it is called in that.
    pub name: String,
}

impl Container {
    /// There is none, or it was not asked for.
    pub const NONE: &'static Self = &Self {
        id: String::new(),
        namespace: String::new(),
        pod: String::new(),
        name: String::new(),
    };
}

impl Header {
    /// Of a row that is not one task's: of an interval.
    pub fn at(time_ns: u64) -> Self {
        Self { time_ns, ..Self::default() }
    }
}

impl<'a, E> Record<'a, E> {
    /// A row that user space made.
    pub fn of(header: &'a Header, event: &'a E) -> Self {
        Self { header, event, tail: &[], container: Container::NONE, sums: Sums::NONE, times: &[] }
    }
}

impl<'a, E: Plain> Record<'a, E> {
    /// Reads a record; `None` if it is too short for `E` or not aligned for it.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let record = Self::of(plain::from_bytes(bytes).ok()?, plain::from_bytes(bytes).ok()?);
        Some(Self { tail: bytes.get(size_of::<E>()..)?, ..record })
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
            if let Some(record) = Record::<Header>::new(&bytes) {
                prop_assert_eq!(record.tail.len(), bytes.len() - size_of::<Header>());
            }
        }
    }
}
