//! A time of the day: local in the table, RFC 3339 in UTC in JSON.

use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::TIME;

pub(super) fn text(to: &mut Cell<'_>, ns: u64) {
    to.clock.local_into(to.text, ns);
}

pub(super) fn json(to: &mut Entry<'_>, ns: u64) {
    to.quoted(|text, clock| clock.rfc3339_into(text, ns));
}
