//! Text from outside.

use crate::escape;
use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::BYTES;

pub(super) fn text(to: &mut Cell<'_>, bytes: &[u8]) {
    escape::value_into(to.text, bytes);
}

pub(super) fn json(to: &mut Entry<'_>, bytes: &[u8]) {
    to.string(bytes);
}
