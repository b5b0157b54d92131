//! The ancestors of a process.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::escape;
use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;
use crate::record::c_str;

pub(super) const SHAPE: Shape = Shape {
    also: r#""items":{"type":"object","required":["pid","comm"],"properties":{"pid":{"type":"integer","minimum":0},"comm":{"type":"string"}}}"#,
    ..Shape::STRINGS
};

/// `bash(12)<sshd(7)<systemd(1)`
pub(super) fn text(to: &mut Cell<'_>, ancestors: Ancestors<'_>) {
    for (i, (pid, comm)) in ancestors.enumerate() {
        if i > 0 {
            to.text.push(b'<');
        }
        escape::text_into(to.text, comm);
        to.text.push(b'(');
        to.number(pid);
        to.text.push(b')');
    }
}

pub(super) fn json(to: &mut Entry<'_>, ancestors: Ancestors<'_>) {
    to.value(ancestors);
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

impl Serialize for Ancestors<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.map(Ancestor))
    }
}

/// One process of a chain; a name that is no UTF-8 has U+FFFD.
struct Ancestor<'a>((u32, &'a [u8]));

impl Serialize for Ancestor<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (pid, comm) = self.0;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("pid", &pid)?;
        map.serialize_entry("comm", &String::from_utf8_lossy(comm))?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_ancestors() {
        let mut bytes = 7u32.to_ne_bytes().to_vec();
        bytes.extend(b"bash\0\0\0\0\0\0\0\0\0\0\0\0");
        bytes.extend(b"cut");
        assert_eq!(Ancestors::new(&bytes).collect::<Vec<_>>(), [(7, &b"bash"[..])]);
    }

    proptest! {
        #[test]
        fn any_ancestors_can_be_read(bytes: Vec<u8>) {
            prop_assert_eq!(Ancestors::new(&bytes).count(), bytes.len() / 20);
        }
    }
}
