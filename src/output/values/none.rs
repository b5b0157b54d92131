//! There is none: `-` in the table, no key in JSON.

use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::NOTHING;

pub(super) fn text(to: &mut Cell<'_>) {
    to.text.push(b'-');
}

pub(super) fn json(_: &mut Entry<'_>) {}
