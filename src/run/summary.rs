//! Sums of an interval: what the CPUs counted is added up by key, sorted, cut to the first rows and
//! shown.

use std::collections::BTreeMap;

use crate::output::{Lines, order};
use crate::record::{Header, Record};
use crate::run::report::{Report, boottime_ns};

/// A row of a summary: a sum of events that have something in common.
pub(crate) trait Sum {
    /// What that is. Rows of the same weight are in its order.
    type Id: Ord;

    fn id(&self) -> Self::Id;

    /// Those with the most come first.
    fn weight(&self) -> u64;

    /// How many events it stands for.
    fn events(&self) -> u64;

    /// Appends what stands below it in a table, whose lines are at most so wide.
    fn draw(&self, _: &mut Vec<u8>, _width: Option<usize>) {}
}

/// The rows of an interval.
#[derive(Debug)]
pub(crate) struct Summary<R: Sum> {
    rows: BTreeMap<R::Id, R>,
    top: usize,
    is_counted: bool,
}

impl<R: Sum> Summary<R> {
    pub(crate) fn new() -> Self {
        Self { rows: BTreeMap::new(), top: usize::MAX, is_counted: true }
    }

    /// The row to which something is to be added: the one that is there, or this one.
    pub(crate) fn row(&mut self, new: R) -> &mut R {
        self.rows.entry(new.id()).or_insert(new)
    }

    /// The one that is there.
    pub(crate) fn find(&mut self, id: &R::Id) -> Option<&mut R> {
        self.rows.get_mut(id)
    }

    /// All of them.
    pub(crate) fn rows_mut(&mut self) -> impl Iterator<Item = &mut R> {
        self.rows.values_mut()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Only so many rows are to be shown.
    pub(crate) fn cut_to(&mut self, top: usize) {
        self.top = top;
    }

    /// The kernel side has not put these events into its counters.
    pub(crate) fn is_not_counted(&mut self) {
        self.is_counted = false;
    }

    /// Shows them; all are in the accounts.
    pub(crate) fn show(self, report: &mut Report, lines: &Lines<'_, R>) {
        self.show_as(
            report,
            lines,
            |_, now_ns| Header::at(now_ns),
            |row, header| Record::of(header, row),
        );
    }

    /// The same, as other rows: with the header that a sum has now, and what is shown of it.
    pub(crate) fn show_as<E>(
        self,
        report: &mut Report,
        lines: &Lines<'_, E>,
        header: fn(&R, u64) -> Header,
        record: for<'a> fn(&'a R, &'a Header) -> Record<'a, E>,
    ) {
        let rows = self.rows.into_values().collect::<Vec<_>>();
        if !self.is_counted {
            report.counted(rows.iter().map(R::events).sum());
        }
        // Those of the same weight stay in order.
        let mut order =
            order::sorted(rows.len(), &|one, other| rows[other].weight().cmp(&rows[one].weight()));
        let now = boottime_ns();
        let headers = rows.iter().map(|row| header(row, now)).collect::<Vec<_>>();
        let record = |number: &usize| record(&rows[*number], &headers[*number]);
        let mut records = order.iter().map(record).collect::<Vec<_>>();
        if let Some(wanted) = report.order(lines, &records) {
            order = wanted.into_iter().map(|number| order[number]).collect();
            records = order.iter().map(record).collect();
        }
        let top = self.top.min(rows.len());
        report.begin();
        let on_screen = report.lines_on_screen(lines, &records[..top]);
        let (lines, width) = (on_screen.as_ref().unwrap_or(lines), report.width());
        for (record, number) in records.iter().zip(&order).take(top) {
            report.row(lines, record, rows[*number].events());
            report.text(0, |out| rows[*number].draw(out, width));
        }
        report.left_out(order[top..].iter().map(|number| rows[*number].events()).sum());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Column, Value};
    use crate::run::options::Format;
    use crate::run::report::tests::{Disk, report_to};

    struct Row {
        name: &'static str,
        count: u64,
    }

    impl Sum for Row {
        type Id = &'static str;

        fn id(&self) -> Self::Id {
            self.name
        }

        fn weight(&self) -> u64 {
            self.count
        }

        fn events(&self) -> u64 {
            self.count
        }

        fn draw(&self, out: &mut Vec<u8>, _: Option<usize>) {
            out.extend(b"below\n");
        }
    }

    const COLUMNS: &[&Column<Row>] = &[
        &Column::word("NAME", "name", 4, "", |r| Value::Word(r.event.name)),
        &Column::uint("COUNT", "count", 0, "", |r| Value::Uint(r.event.count)),
    ];

    fn shown(top: usize) -> (String, u64) {
        let disk = Disk::with_room(usize::MAX);
        let mut report = report_to(&disk, Format::Table);
        let lines = report.lines_of_summary(COLUMNS);
        let mut rows = Summary::new();
        for (name, count) in [("b", 2), ("c", 3), ("a", 5), ("c", 2), ("none", 0)] {
            rows.row(Row { name, count: 0 }).count += count;
        }
        rows.cut_to(top);
        rows.show(&mut report, &lines);
        report.flush();
        (disk.text(), report.delivered())
    }

    #[test]
    fn rows_are_added_up_and_sorted() {
        let expected = "NAME COUNT\na    5\nbelow\nc    5\nbelow\nb    2\nbelow\nnone 0\nbelow\n";
        assert_eq!(shown(usize::MAX), (expected.into(), 12));
    }

    #[test]
    fn rows_that_are_not_shown_are_in_the_accounts() {
        assert_eq!(shown(1), ("NAME COUNT\na    5\nbelow\n".into(), 12));
        assert_eq!(shown(0), ("NAME COUNT\n".into(), 12));
    }
}
