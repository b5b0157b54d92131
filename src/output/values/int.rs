//! A number that may be negative.

use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::INTEGER;

pub(super) fn text(to: &mut Cell<'_>, number: i64) {
    to.number(number);
}

pub(super) fn json(to: &mut Entry<'_>, number: i64) {
    to.number(number);
}
