//! A return value: the number, or in the table the name of the error.

use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;
use crate::record::errno_name;

pub(super) const SHAPE: Shape = Shape::INTEGER;

pub(super) fn text(to: &mut Cell<'_>, ret: i64) {
    match errno_name(ret) {
        Some(name) => to.text.extend_from_slice(name.as_bytes()),
        None => to.number(ret),
    }
}

pub(super) fn json(to: &mut Entry<'_>, ret: i64) {
    to.number(ret);
}
