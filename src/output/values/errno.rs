//! The name of the error in a return value.

use super::ret;
use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;
use crate::record::errno_name;

pub(super) const SHAPE: Shape = Shape::STRING;

pub(super) fn text(to: &mut Cell<'_>, ret: i64) {
    ret::text(to, ret);
}

pub(super) fn json(to: &mut Entry<'_>, ret: i64) {
    if let Some(name) = errno_name(ret) {
        to.string(name.as_bytes());
    }
}
