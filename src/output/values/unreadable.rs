//! There is one, but it could not be read.

use crate::escape;
use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::NULL;

pub(super) fn text(to: &mut Cell<'_>) {
    to.text.extend_from_slice(escape::UNREADABLE);
}

pub(super) fn json(to: &mut Entry<'_>) {
    to.null();
}
