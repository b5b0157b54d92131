//! From rows to lines, and to who reads them. A tool has one table of columns; the text table and JSON
//! are both made from it, so that they cannot drift. Knows nothing of BPF.

use std::collections::HashMap;

use crate::record::Record;

pub mod fields;
pub mod histogram;
pub mod json;
pub(crate) mod schema;
pub mod values;

pub(crate) mod buffer;
pub(crate) mod fit;
pub(crate) mod hist;
pub(crate) mod live;
pub(crate) mod messages;
pub(crate) mod order;
pub(crate) mod page;
pub(crate) mod screen;
pub(crate) mod series;
pub(crate) mod sink;
pub(crate) mod status;

mod cell;
mod column;
pub(crate) mod entry;
mod keys;
pub(crate) mod names;
mod shape;
pub(crate) mod sums;
mod table;
mod task;
mod time;

pub use column::{Asked, Column, Part, Shown, Source};
use live::Live;
pub use names::Names;
pub use screen::Screen;
use series::Series;
use table::Layout;
pub(crate) use task::Task;
pub use time::{Clock, is_zone_of_system};
pub use values::{Kind, Value};

/// Makes the lines of one kind of row.
#[derive(Debug)]
pub struct Lines<'a, E> {
    columns: Vec<&'a Column<E>>,
    /// What they are called: the same for rows of all types.
    names: Vec<Name>,
    /// How wide each is in the table.
    widths: Vec<usize>,
    json: Option<json::Keys>,
    /// What stands below a row of the table.
    below: Option<&'a Column<E>>,
    /// Is each of them an event, not a part of a report?
    is_event: bool,
}

/// What a column is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    key: &'static str,
    title: &'static str,
}

/// What these are called.
pub(crate) fn names<E>(columns: &[&Column<E>]) -> Vec<Name> {
    columns.iter().map(|column| Name { key: column.key, title: column.title }).collect()
}

impl<'a, E> Lines<'a, E> {
    /// Lines of the text table.
    pub fn table(columns: &[&'a Column<E>]) -> Self {
        let is_below = |column: &&Column<E>| column.kind == Kind::Stack;
        let (below, columns) = columns.iter().copied().partition::<Vec<_>, _>(is_below);
        Self { below: below.first().copied(), ..Self::of(columns) }
    }

    fn of(columns: Vec<&'a Column<E>>) -> Self {
        let (names, widths) =
            (names(&columns), columns.iter().map(|column| column.width).collect());
        Self { columns, names, widths, json: None, below: None, is_event: true }
    }

    /// JSON Lines; `kind` is their type, `names` what their keys are called.
    pub fn json(kind: &str, tool: &str, names: Names, columns: &[&'a Column<E>]) -> Self {
        let json = Some(json::Keys::new(kind, tool, names, columns));
        Self { json, ..Self::of(columns.to_vec()) }
    }

    /// The same for a run that is called otherwise than its tool.
    #[must_use]
    pub(crate) fn named(self, names: Names, name: Option<&str>) -> Self {
        match (self.json, name) {
            (Some(json), Some(name)) => Self { json: Some(json.named(names, name)), ..self },
            (json, _) => Self { json, ..self },
        }
    }

    /// The same for rows of reports.
    #[must_use]
    pub(crate) fn of_reports(self) -> Self {
        Self { is_event: false, ..self }
    }

    /// Is each of them an event?
    pub(crate) fn is_event(&self) -> bool {
        self.is_event
    }

    /// Those of the text table, with the columns that have a value in one of these rows.
    #[must_use]
    pub fn filled(&self, records: &[Record<'_, E>]) -> Self {
        let has_value =
            |column: &&&Column<E>| records.iter().any(|record| !(column.value)(record).is_none());
        let columns = self.columns.iter().filter(has_value).copied().collect::<Vec<_>>();
        Self { is_event: self.is_event, below: self.below, ..Self::of(columns) }
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
            table::header(out, &self.names, self.layout(screen));
        }
    }

    /// Adds a row of a report to those before it.
    pub(crate) fn add_up(&self, series: &mut Series, clock: &Clock, record: &Record<'_, E>) {
        let values =
            self.columns.iter().map(|column| (column.key, column.part, (column.value)(record)));
        series.add(clock, values);
    }

    /// The number of the column that is called like this.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        find(&self.names, name)
    }

    /// The numbers of rows in the order of that column.
    pub(crate) fn order(
        &self,
        column: usize,
        clock: &Clock,
        records: &[Record<'_, E>],
    ) -> Vec<usize> {
        let value = self.columns[column].value;
        order::of(records.len(), clock, &mut |number| value(&records[number]))
    }

    /// Shows these columns on a screen that is drawn again.
    pub(crate) fn begin_live(&self, live: &mut Live, sort: Option<usize>) {
        live.set_columns(&self.names, &self.widths, sort);
    }

    /// Shows a row there.
    pub(crate) fn row_live(&self, live: &mut Live, clock: &Clock, record: &Record<'_, E>) {
        let mut value = |number: usize| (self.columns[number].value)(record);
        live.take(self.columns.len(), clock, &mut value);
    }

    /// Appends the line of one row. JSON is the same on any screen, and has its number in the run, if
    /// it is in one.
    pub fn row(
        &self,
        out: &mut Vec<u8>,
        clock: &Clock,
        screen: Screen,
        seq: Option<u64>,
        record: &Record<'_, E>,
    ) {
        match &self.json {
            Some(keys) => json::row(out, keys, &self.columns, clock, seq, record),
            None => {
                table::row(out, &self.columns, self.layout(screen), clock, record);
                self.below(out, screen, record);
            }
        }
    }

    /// Appends the lines that stand below that of the row.
    pub(crate) fn below(&self, out: &mut Vec<u8>, screen: Screen, record: &Record<'_, E>) {
        if let Some(column) = self.below {
            table::below((column.value)(record), out, screen);
        }
    }
}

/// The number of the one with this key, or else title.
pub(crate) fn find(names: &[Name], name: &str) -> Option<usize> {
    let keyed = names.iter().position(|one| one.key == name);
    keyed.or_else(|| names.iter().position(|one| one.title.eq_ignore_ascii_case(name)))
}
