//! `--count`: the kernel counts, a report each interval.

use std::cell::RefCell;

use libbpf_rs::{Object, OpenMapMut};

use crate::bpf::shared::types::count_key;
use crate::error::Result;
use crate::output::schema::Key;
use crate::output::{Column, Value};
use crate::record::{self, Header, Record, c_str};
use crate::run::lifecycle::{Counted, Source};
use crate::run::options::CountBy;
use crate::run::report::Report;
use crate::run::summary::{Sum, Summary};
use crate::run::tables::Tables;

/// The tables of count.bpf.h.
const COUNT_TABLE: &str = "count_table";

/// Leaves its maps out where nothing `is_counted`. A start is faster then: the kernel waits until one is
/// in the other.
pub(crate) fn prepare(
    name: &str,
    map: &mut OpenMapMut<'_>,
    is_counted: bool,
) -> libbpf_rs::Result<()> {
    if is_counted || !name.starts_with(COUNT_TABLE) { Ok(()) } else { map.set_autocreate(false) }
}

/// One line of a report.
#[derive(Debug)]
pub(crate) struct Count {
    key: [u8; 16],
    /// Which of the tool's kinds, by number and name.
    kind: (u32, &'static str),
    count: u64,
}

impl Count {
    fn number(&self) -> u64 {
        let [a, b, c, d, ..] = self.key;
        u32::from_ne_bytes([a, b, c, d]).into()
    }
}

impl record::Row for Count {
    fn of_any(bytes: &[u8], show: &mut dyn FnMut(&Record<'_, Self>)) {
        let mut key = [0; 16];
        key.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        show(&Record::of(&Header::default(), &none(key, &["a"], 0)));
    }
}

impl Sum for Count {
    type Id = ([u8; 16], u32);

    fn id(&self) -> Self::Id {
        (self.key, self.kind.0)
    }

    fn weight(&self) -> u64 {
        self.count
    }

    fn events(&self) -> u64 {
        self.count
    }
}

const COUNT: Column<Count> =
    Column::<Count>::uint("COUNT", "count", 8, "how many events", |r| Value::Uint(r.event.count))
        .sum();
const KIND: Column<Count> =
    Column::word("KIND", "kind", 7, "of which kind", |r| Value::Word(r.event.kind.1));
const TIME: Column<Count> = Column::TIME;
const COMM: Column<Count> = Column::text("COMM", "comm", 16, "the name of the thread", |r| {
    Value::Text(c_str(&r.event.key))
});
const UID: Column<Count> =
    Column::uint("UID", "uid", 6, "the user's number", |r| Value::Uint(r.event.number()));
const PID: Column<Count> =
    Column::uint("PID", "pid", 7, "the process", |r| Value::Uint(r.event.number()));

/// The columns of a report.
pub(crate) fn columns(by: CountBy, kinds: &[&'static str]) -> Vec<&'static Column<Count>> {
    let by = match by {
        CountBy::All => None,
        CountBy::Comm => Some(&COMM),
        CountBy::Uid => Some(&UID),
        CountBy::Pid => Some(&PID),
    };
    let kind = (!kinds.is_empty()).then_some(&KIND);
    [Some(&TIME), by, kind, Some(&COUNT)].into_iter().flatten().collect()
}

/// The keys of reports by all that can be counted by.
pub(crate) fn keys(kinds: &[&str]) -> Vec<Key> {
    let kind = (!kinds.is_empty()).then_some(&KIND);
    [Some(&TIME), Some(&COMM), Some(&UID), Some(&PID), kind, Some(&COUNT)]
        .into_iter()
        .flatten()
        .map(Key::from)
        .collect()
}

/// Counts events, and shows them each interval.
pub(crate) fn of<'a>(
    object: &'a Object,
    by: CountBy,
    kinds: &'static [&'static str],
    columns: &'a [&'a Column<Count>],
    report: &'a RefCell<Report>,
    silent: Option<String>,
) -> Result<impl Source + 'a> {
    let mut tables = Tables::<count_key, u64>::of(object, COUNT_TABLE)?;
    let lines = report.borrow_mut().lines_of_summary(columns);
    let show = move |report: &mut Report, _| {
        let mut rows = Summary::new();
        let read = tables.turn(|key, count| {
            rows.row(none(key.bytes, kinds, key.kind)).count += count;
        });
        // That there were none is told too.
        let told = if by == CountBy::All { 0..kinds.len().max(1) } else { 0..0 };
        for number in told {
            rows.row(none([0; 16], kinds, u32::try_from(number).unwrap_or(0)));
        }
        rows.show(report, &lines);
        read
    };
    Ok(Counted { report, silent, show })
}

fn none(key: [u8; 16], kinds: &[&'static str], number: u32) -> Count {
    let kind = (number, kinds.get(number as usize).copied().unwrap_or_default());
    Count { key, kind, count: 0 }
}
