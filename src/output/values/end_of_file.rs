//! There was no line, but the end of the input.

use crate::escape;
use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::NULL;

pub(super) fn text(to: &mut Cell<'_>) {
    to.text.extend_from_slice(escape::END_OF_FILE);
}

pub(super) fn json(to: &mut Entry<'_>) {
    to.null();
}
