//! A number with a fraction.

use std::io::Write as _;

use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::NUMBER;

pub(super) fn text(to: &mut Cell<'_>, number: f64) {
    let _ = write!(to.text, "{number:.1}");
}

pub(super) fn json(to: &mut Entry<'_>, number: f64) {
    // A part of nothing is no number.
    if number.is_finite() {
        to.value((number * 1000.0).round() / 1000.0);
    }
}
