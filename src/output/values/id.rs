//! A long number that somebody gave: on a terminal its first characters, by which it is known.

use crate::escape;
use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

/// As container engines show theirs.
const SHORT: usize = 12;

pub(super) const SHAPE: Shape = Shape::STRING;

pub(super) fn text(to: &mut Cell<'_>, id: &str) {
    let shown = if to.is_narrow() { id.get(..SHORT).unwrap_or(id) } else { id };
    escape::value_into(to.text, shown.as_bytes());
}

pub(super) fn json(to: &mut Entry<'_>, id: &str) {
    to.string(id.as_bytes());
}
