//! One of the tool's own words.

use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::STRING;

pub(super) fn text(to: &mut Cell<'_>, word: &'static str) {
    to.text.extend_from_slice(word.as_bytes());
}

pub(super) fn json(to: &mut Entry<'_>, word: &'static str) {
    to.string(word.as_bytes());
}
