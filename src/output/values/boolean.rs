//! Yes or no.

use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::BOOLEAN;

pub(super) fn text(to: &mut Cell<'_>, is_so: bool) {
    to.text.extend_from_slice(if is_so { b"yes" } else { b"no" });
}

pub(super) fn json(to: &mut Entry<'_>, is_so: bool) {
    to.value(is_so);
}
