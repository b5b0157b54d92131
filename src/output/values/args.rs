//! Arguments of a program.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::ser::{Serialize, Serializer};

use crate::escape;
use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::{Beside, Shape};
use crate::record::c_str;

pub(super) const SHAPE: Shape =
    Shape { name: "array", also: OR_NULL, beside: &[BASE64_OF_EACH, Beside::TRUNCATED] };

/// Those that could not be read are null.
const OR_NULL: &str = r#""items":{"type":["string","null"]}"#;
const BASE64_OF_EACH: Beside =
    Beside { schema: r#""type":"array","items":{"type":["string","null"]}"#, ..Beside::BASE64 };

/// As a shell would read them; `[?]` for one that could not be read, `[...]` where some are
/// missing.
pub(super) fn text(to: &mut Cell<'_>, args: Args<'_>, more: bool) {
    let word_into = |out: &mut Vec<u8>, word: Option<&[u8]>| match word {
        Some(word) => escape::shell_word_into(out, word),
        None => out.extend_from_slice(escape::UNREADABLE),
    };
    let file = args.file;
    if let (Some(file), None) = (file, { args }.next()) {
        word_into(to.text, file);
    }
    for (i, arg) in args.enumerate() {
        if i > 0 {
            to.text.push(b' ');
        }
        word_into(to.text, file.filter(|_| i == 0).unwrap_or(arg));
    }
    if more {
        to.text.extend_from_slice(escape::CUT);
    }
}

/// Beside them, where one is no text, the exact bytes of all.
pub(super) fn json(to: &mut Entry<'_>, args: Args<'_>, more: bool) {
    to.value(args);
    if { args }.flatten().any(|arg| std::str::from_utf8(arg).is_err()) {
        let encoded = args.map(|arg| arg.map(|bytes| BASE64.encode(bytes)));
        to.beside("_base64", encoded.collect::<Vec<_>>());
    }
    if more {
        to.beside("_truncated", true);
    }
}

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

impl Serialize for Args<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.map(|arg| arg.map(String::from_utf8_lossy)))
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
    }
}
