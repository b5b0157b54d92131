//! What a value of a table is written to.

use super::Clock;

/// The cell of a row, and what else its text takes.
#[derive(Debug)]
pub(crate) struct Cell<'o> {
    /// The line so far.
    pub(crate) text: &'o mut Vec<u8>,
    pub(crate) clock: &'o Clock,
}

impl Cell<'_> {
    pub(crate) fn number(&mut self, number: impl itoa::Integer) {
        self.text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}
