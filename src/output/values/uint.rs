//! A number.

use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::UNSIGNED;

pub(super) fn text(to: &mut Cell<'_>, number: u64) {
    to.number(number);
}

pub(super) fn json(to: &mut Entry<'_>, number: u64) {
    to.number(number);
}
