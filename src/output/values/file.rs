//! The path of a file that is known by its name: on a terminal the name alone.

use crate::escape;
use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::BYTES;

pub(super) fn text(to: &mut Cell<'_>, path: &[u8]) {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    let shown = if to.is_narrow() && !name.is_empty() { name } else { path };
    escape::value_into(to.text, shown);
}

pub(super) fn json(to: &mut Entry<'_>, path: &[u8]) {
    to.string(path);
}
