//! Calls, the last one first.

use crate::escape;
use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::STRINGS;

/// Where they are on a line, as ancestors are; elsewhere each has its own.
pub(super) fn text(to: &mut Cell<'_>, name: fn(&[u8]) -> Vec<u8>, calls: &[u8]) {
    for (i, call) in names(name, calls).enumerate() {
        if i > 0 {
            to.text.push(b'<');
        }
        escape::text_into(to.text, &call);
    }
}

pub(super) fn json(to: &mut Entry<'_>, name: fn(&[u8]) -> Vec<u8>, calls: &[u8]) {
    let names = names(name, calls).map(|call| String::from_utf8_lossy(&call).into_owned());
    to.value(names.collect::<Vec<_>>());
}

/// What each address is called.
pub(in crate::output) fn names(
    name: fn(&[u8]) -> Vec<u8>,
    calls: &[u8],
) -> impl Iterator<Item = Vec<u8>> {
    calls.chunks_exact(size_of::<u64>()).map(name)
}
