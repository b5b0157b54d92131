//! Bits that have names, like the flags of open.

use std::borrow::Cow;

use serde::ser::{Serialize, Serializer};

use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::STRINGS;

pub(super) fn text(to: &mut Cell<'_>, flags: Flags) {
    for (i, name) in flags.names().enumerate() {
        if i > 0 {
            to.text.push(b'|');
        }
        to.text.extend_from_slice(name.as_bytes());
    }
}

pub(super) fn json(to: &mut Entry<'_>, flags: Flags) {
    to.value(flags);
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

impl Serialize for Flags {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.names())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
