//! From rows to lines, and to who reads them. A tool has one table of columns; the text table and JSON
//! are both made from it, so that they cannot drift. Knows nothing of BPF.

use std::collections::HashMap;

use crate::decode::Record;

pub mod fields;
pub mod histogram;
pub mod json;
pub mod values;

pub(crate) mod buffer;
pub(crate) mod hist;
pub(crate) mod live;
pub(crate) mod messages;
pub(crate) mod page;
pub(crate) mod screen;
pub(crate) mod sink;
pub(crate) mod status;

mod cell;
mod column;
mod entry;
pub(crate) mod fit;
pub(crate) mod order;
mod table;
mod task;
mod time;

pub use column::{Asked, Column, Shown, Source};
use live::{Head, Live};
pub use screen::Screen;
use table::Layout;
pub(crate) use task::Task;
pub use time::{Clock, is_zone_of_system};
pub use values::Value;

/// Makes the lines of one kind of row.
#[derive(Debug)]
pub struct Lines<'a, E> {
    columns: Vec<&'a Column<E>>,
    /// How wide each is in the table.
    widths: Vec<usize>,
    json: Option<json::Keys>,
}

impl<'a, E> Lines<'a, E> {
    /// Lines of the text table.
    pub fn table(columns: &[&'a Column<E>]) -> Self {
        let widths = columns.iter().map(|column| column.width).collect();
        Self { columns: columns.to_vec(), widths, json: None }
    }

    /// JSON Lines; `kind` is their type.
    pub fn json(kind: &str, tool: &str, columns: &[&'a Column<E>]) -> Self {
        let json = Some(json::Keys::new(kind, tool, columns));
        Self { json, ..Self::table(columns) }
    }

    /// Those of the text table, with the columns that have a value in one of these rows.
    #[must_use]
    pub fn filled(&self, records: &[Record<'_, E>]) -> Self {
        let has_value =
            |column: &&&Column<E>| records.iter().any(|record| !(column.value)(record).is_none());
        Self::table(&self.columns.iter().filter(has_value).copied().collect::<Vec<_>>())
    }

    /// Where columns are wider together than the screen, gives each what its text takes in these rows,
    /// and what it is `known` to have taken in others.
    pub fn narrow(
        &mut self,
        screen: Screen,
        clock: &Clock,
        records: &[Record<'_, E>],
        known: &mut HashMap<&'static str, usize>,
    ) {
        let all = self.widths.iter().map(|width| width + 1).sum::<usize>();
        if screen.width.is_none_or(|width| all <= width + 1) {
            return;
        }
        for (column, width) in self.columns.iter().zip(&mut self.widths).filter(|(_, w)| **w > 0) {
            let width_of = |record| {
                let mut text = Vec::new();
                table::cell((column.value)(record), &mut text, clock, screen);
                table::width(&text)
            };
            let widths = records.iter().map(width_of);
            let known = known.entry(column.key).or_insert(column.title.len());
            *known = widths.max().unwrap_or(0).max(*known).min(*width);
            *width = *known;
        }
    }

    fn layout(&self, screen: Screen) -> Layout<'_> {
        Layout { widths: &self.widths, screen }
    }

    /// Appends the line that stands above all others, if there is one.
    pub fn header(&self, out: &mut Vec<u8>, screen: Screen) {
        if self.json.is_none() {
            table::header(out, &self.columns, self.layout(screen));
        }
    }

    /// The number of the column with this key, or title.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let is_it =
            |column: &&Column<E>| column.key == name || column.title.eq_ignore_ascii_case(name);
        self.columns.iter().position(is_it)
    }

    /// The places of rows that are sorted by that column.
    pub(crate) fn places(
        &self,
        column: usize,
        clock: &Clock,
        records: &[Record<'_, E>],
    ) -> Vec<order::Place> {
        let value = self.columns[column].value;
        records.iter().map(|record| value(record).place(clock)).collect()
    }

    /// Shows these columns on a screen that is drawn again.
    pub(crate) fn begin_live(&self, live: &mut Live, sort: Option<usize>) {
        let head =
            |(column, width): (&&Column<E>, &usize)| Head { title: column.title, width: *width };
        live.set_columns(self.columns.iter().zip(&self.widths).map(head).collect(), sort);
    }

    /// Shows a row there.
    pub(crate) fn row_live(&self, live: &mut Live, clock: &Clock, record: &Record<'_, E>) {
        live.take(
            self.columns
                .iter()
                .map(|column| live::Shown::of((column.value)(record), clock))
                .collect(),
        );
    }

    /// Appends the line of one row; JSON is the same on any screen.
    pub fn row(&self, out: &mut Vec<u8>, clock: &Clock, screen: Screen, record: &Record<'_, E>) {
        match &self.json {
            Some(keys) => json::row(out, keys, &self.columns, clock, record),
            None => table::row(out, &self.columns, self.layout(screen), clock, record),
        }
    }
}
