//! Text from outside that was cut.

use crate::escape;
use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::{Beside, Shape};

pub(super) const SHAPE: Shape =
    Shape { beside: &[Beside::BASE64, Beside::TRUNCATED], ..Shape::STRING };

pub(super) fn text(to: &mut Cell<'_>, bytes: &[u8]) {
    escape::text_into(to.text, bytes);
    to.text.extend_from_slice(escape::CUT);
}

pub(super) fn json(to: &mut Entry<'_>, bytes: &[u8]) {
    to.string(bytes);
    to.beside("_truncated", true);
}
