//! A number that may be negative.

use crate::output::cell::Cell;
use crate::output::entry::Entry;

pub(super) fn text(to: &mut Cell<'_>, number: i64) {
    to.number(number);
}

pub(super) fn json(to: &mut Entry<'_>, number: i64) {
    to.number(number);
}
