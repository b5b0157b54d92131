//! Text that is made of other bytes when it is shown: most rows do not show it.

use super::text;
use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = text::SHAPE;

pub(super) fn text(to: &mut Cell<'_>, make: fn(&[u8]) -> Vec<u8>, bytes: &[u8]) {
    text::text(to, &make(bytes));
}

pub(super) fn json(to: &mut Entry<'_>, make: fn(&[u8]) -> Vec<u8>, bytes: &[u8]) {
    text::json(to, &make(bytes));
}
