//! What a value of a table is written to.

use super::{Clock, Screen};

/// The cell of a row, and what else its text takes.
#[derive(Debug)]
pub(crate) struct Cell<'o> {
    /// The line so far.
    pub(crate) text: &'o mut Vec<u8>,
    pub(crate) clock: &'o Clock,
    pub(crate) screen: Screen,
}

impl Cell<'_> {
    /// Is there little room: what is long is to be shown by a part of it?
    pub(crate) fn is_narrow(&self) -> bool {
        self.screen.width.is_some()
    }

    pub(crate) fn number(&mut self, number: impl itoa::Integer) {
        self.text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}
