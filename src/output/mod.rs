//! From rows to lines, and to who reads them. A tool has one table of columns; the text table and JSON
//! are both made from it, so that they cannot drift. Knows nothing of BPF.

use crate::decode::Record;

pub mod fields;
pub mod histogram;
pub mod json;
pub mod table;
pub mod values;

pub(crate) mod buffer;
pub(crate) mod hist;
pub(crate) mod messages;
pub(crate) mod page;
pub(crate) mod sink;

mod cell;
mod column;
mod entry;
mod task;
mod time;

pub use column::{Asked, Column, Shown, Source};
pub(crate) use task::Task;
pub use time::{Clock, is_zone_of_system};
pub use values::Value;

/// Makes the lines of one kind of row.
#[derive(Debug)]
pub struct Lines<'a, E> {
    columns: &'a [&'a Column<E>],
    json: Option<json::Keys>,
}

impl<'a, E> Lines<'a, E> {
    /// Lines of the text table.
    pub fn table(columns: &'a [&'a Column<E>]) -> Self {
        Self { columns, json: None }
    }

    /// JSON Lines; `kind` is their type.
    pub fn json(kind: &str, tool: &str, columns: &'a [&'a Column<E>]) -> Self {
        Self { columns, json: Some(json::Keys::new(kind, tool, columns)) }
    }

    /// Appends the line that stands above all others, if there is one.
    pub fn header(&self, out: &mut Vec<u8>) {
        if self.json.is_none() {
            table::header(out, self.columns);
        }
    }

    /// Appends the line of one row.
    pub fn row(&self, out: &mut Vec<u8>, clock: &Clock, record: &Record<'_, E>) {
        match &self.json {
            Some(keys) => json::row(out, keys, self.columns, clock, record),
            None => table::row(out, self.columns, clock, record),
        }
    }
}
