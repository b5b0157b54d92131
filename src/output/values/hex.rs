//! An address.

use std::io::Write as _;

use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::STRING;

pub(super) fn text(to: &mut Cell<'_>, number: u64) {
    let _ = write!(to.text, "{number:#x}");
}

pub(super) fn json(to: &mut Entry<'_>, number: u64) {
    to.value(format_args!("{number:#x}"));
}
