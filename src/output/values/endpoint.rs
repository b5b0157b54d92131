//! An address and a port.

use std::io::Write as _;
use std::net::SocketAddr;

use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::STRING;

pub(super) fn text(to: &mut Cell<'_>, at: SocketAddr) {
    let _ = write!(to.text, "{at}");
}

pub(super) fn json(to: &mut Entry<'_>, at: SocketAddr) {
    to.value(format_args!("{at}"));
}
