//! The entries of a JSON object: keys, and values that may be shown on a terminal.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::ser::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::Clock;
use crate::escape;

/// What a value is written to. The key comes with it: there is none for a value that writes
/// nothing.
#[derive(Debug)]
pub(crate) struct Entry<'o> {
    /// The line so far.
    pub(crate) line: &'o mut Vec<u8>,
    pub(crate) clock: &'o Clock,
    /// The key as it stands in the line, with what stands around it.
    pub(crate) key: &'o [u8],
    /// What a key beside it begins with.
    pub(crate) name: &'o str,
}

impl Entry<'_> {
    pub(crate) fn null(&mut self) {
        self.value(());
    }

    pub(crate) fn number(&mut self, number: impl itoa::Integer) {
        self.line.extend_from_slice(self.key);
        self.line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// What needs no escapes.
    pub(crate) fn quoted(&mut self, write: impl FnOnce(&mut Vec<u8>, &Clock)) {
        self.line.extend_from_slice(self.key);
        self.line.push(b'"');
        write(self.line, self.clock);
        self.line.push(b'"');
    }

    /// Any bytes; where they are no text, they stand beside it as they are.
    pub(crate) fn string(&mut self, bytes: &[u8]) {
        // What most are; no need to ask the serializer.
        if is_plain(bytes) {
            return self.quoted(|line, _| line.extend_from_slice(bytes));
        }
        self.value(String::from_utf8_lossy(bytes));
        if std::str::from_utf8(bytes).is_err() {
            self.beside("_base64", BASE64.encode(bytes));
        }
    }

    pub(crate) fn value(&mut self, value: impl Serialize) {
        self.line.extend_from_slice(self.key);
        value_into(self.line, value);
    }

    /// After the value: the same key with `suffix`.
    pub(crate) fn beside(&mut self, suffix: &str, value: impl Serialize) {
        key(self.line, self.name, suffix);
        value_into(self.line, value);
    }
}

/// Is it in quotes what it stands for?
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

/// Our own keys need no escapes.
pub(super) fn key(out: &mut Vec<u8>, key: &str, suffix: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    out.extend_from_slice(b"\":");
}

pub(super) fn value_into(out: &mut Vec<u8>, value: impl Serialize) {
    // Errors come from writers that fail and keys that are no strings: there are none here.
    let _ = value.serialize(&mut Serializer::with_formatter(out, Safe));
}

pub(super) fn entry(out: &mut Vec<u8>, name: &str, content: impl Serialize) {
    key(out, name, "");
    value_into(out, content);
}

pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n");
}

/// JSON that may be shown on a terminal as it is: the characters that a table escapes are escaped,
/// not only those that JSON forbids.
struct Safe;

impl Formatter for Safe {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        to: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if fragment.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return to.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(escape::is_hostile) {
            let (safe, from) = rest.split_at(at);
            to.write_all(safe.as_bytes())?;
            let mut chars = from.chars();
            let hostile = chars.next().unwrap_or_default();
            for unit in hostile.encode_utf16(&mut [0; 2]) {
                write!(to, "\\u{unit:04x}")?;
            }
            rest = chars.as_str();
        }
        to.write_all(rest.as_bytes())
    }
}
