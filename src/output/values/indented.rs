//! Text from outside, some steps to the right.

use crate::escape;
use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::BYTES;

pub(super) fn text(to: &mut Cell<'_>, steps: usize, bytes: &[u8]) {
    to.text.extend(std::iter::repeat_n(b' ', 2 * steps));
    escape::text_into(to.text, bytes);
}

pub(super) fn json(to: &mut Entry<'_>, _: usize, bytes: &[u8]) {
    to.string(bytes);
}
