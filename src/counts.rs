//! `--count`: the kernel counts, a report each interval.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::thread::sleep;
use std::time::{Duration, Instant};

use libbpf_rs::{Map, MapCore as _, MapFlags, Object};

use crate::bpf::shared::types::count_key;
use crate::decode::{Header, Record, c_str};
use crate::ending::Ending;
use crate::error::{Context as _, Error, Result};
use crate::hooks::{self, Attached};
use crate::options::CountBy;
use crate::render::{Column, Lines, Value};
use crate::report::{Report, boottime_ns};

/// How long the end of the command, or a signal, may go unnoticed.
const TICK: Duration = Duration::from_millis(50);
/// Entries that are read at once.
const BATCH: u32 = 4096;

/// Maps of count.bpf.h.
pub(crate) const COUNT_TABLE: &str = "count_table";
pub(crate) const COUNT_TABLE_A: &str = "count_table_a";
pub(crate) const COUNT_TABLE_B: &str = "count_table_b";

/// One line of a report.
#[derive(Debug)]
struct Count {
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

const COUNT: Column<Count> = Column::new("COUNT", "count", 8, "", |r| Value::Uint(r.event.count));
const KIND: Column<Count> = Column::new("KIND", "kind", 7, "", |r| Value::Word(r.event.kind.1));
const TIME: Column<Count> = Column::TIME;
const COMM: Column<Count> =
    Column::new("COMM", "comm", 16, "", |r| Value::Text(c_str(&r.event.key)));
const UID: Column<Count> = Column::new("UID", "uid", 6, "", |r| Value::Uint(r.event.number()));
const PID: Column<Count> = Column::new("PID", "pid", 7, "", |r| Value::Uint(r.event.number()));

/// The columns of a report.
fn columns(by: CountBy, kinds: &[&'static str]) -> Vec<&'static Column<Count>> {
    let by = match by {
        CountBy::All => None,
        CountBy::Comm => Some(&COMM),
        CountBy::Uid => Some(&UID),
        CountBy::Pid => Some(&PID),
    };
    let kind = (!kinds.is_empty()).then_some(&KIND);
    [Some(&TIME), by, kind, Some(&COUNT)].into_iter().flatten().collect()
}

/// Reports each interval until the end is reached, detaches, and reports the rest.
pub(crate) fn intervals<A: Attached>(
    object: &Object,
    mut attached: A,
    by: CountBy,
    kinds: &[&'static str],
    interval: Duration,
    mut report: Report,
    mut ending: Ending,
) -> Result<()> {
    let columns = columns(by, kinds);
    let mut tables = Tables::of(object)?;
    let lines = report.lines("interval", &columns);
    let mut next = Instant::now() + interval;
    while !ending.reached() && !report.has_failed() {
        let now = Instant::now();
        if now < next {
            sleep(TICK.min(next - now));
            continue;
        }
        // No burst of reports after the machine slept.
        next = (next + interval).max(now);
        show(&mut report, by, kinds, &lines, tables.turn(kinds)?);
        report.lost(object)?;
        attached.refresh(object)?;
    }
    drop(attached);
    show(&mut report, by, kinds, &lines, tables.turn(kinds)?);
    report.finish(object)
}

fn show(
    report: &mut Report,
    by: CountBy,
    kinds: &[&'static str],
    lines: &Lines<'_, Count>,
    mut counts: Vec<Count>,
) {
    if by == CountBy::All {
        // That there were none is told too.
        for number in 0..kinds.len().max(1) {
            let kind = kind(kinds, u32::try_from(number).unwrap_or(0));
            if counts.iter().all(|count| count.kind != kind) {
                counts.push(Count { key: [0; 16], kind, count: 0 });
            }
        }
    }
    counts.sort_by(|a, b| b.count.cmp(&a.count).then(a.key.cmp(&b.key)).then(a.kind.cmp(&b.kind)));
    let header = Header { time_ns: boottime_ns(), ..Header::default() };
    for count in &counts {
        let record = Record { header: &header, event: count, tail: &[], container: "" };
        report.row(lines, &record, count.count);
    }
    report.flush();
}

fn kind(kinds: &[&'static str], number: u32) -> (u32, &'static str) {
    (number, kinds.get(number as usize).copied().unwrap_or_default())
}

/// The two tables that the kernel counts in by turns; see count.bpf.h.
struct Tables<'o> {
    in_use: Map<'o>,
    idle: Map<'o>,
    selector: Map<'o>,
}

impl<'o> Tables<'o> {
    fn of(object: &'o Object) -> Result<Self> {
        let find = |name| hooks::map(object, name);
        Ok(Self {
            in_use: find(COUNT_TABLE_A)?,
            idle: find(COUNT_TABLE_B)?,
            selector: find(COUNT_TABLE)?,
        })
    }

    /// Lets the kernel count in the other table, and empties the one that it has left.
    fn turn(&mut self, kinds: &[&'static str]) -> Result<Vec<Count>> {
        let doing = "reading counts";
        std::mem::swap(&mut self.in_use, &mut self.idle);
        let fd = self.in_use.as_fd().as_raw_fd().to_ne_bytes();
        self.selector.update(&0u32.to_ne_bytes(), &fd, MapFlags::ANY).doing(doing)?;
        let entries = self.idle.lookup_and_delete_batch(BATCH, MapFlags::ANY, MapFlags::ANY);
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let key = plain::from_bytes::<count_key>(&key)
                .map_err(|_| Error::new(doing, "a key of another size"))?;
            let count =
                value.try_into().map_err(|_| Error::new(doing, "a count of another size"))?;
            let kind = kind(kinds, key.kind);
            Ok(Count { key: key.bytes, kind, count: u64::from_ne_bytes(count) })
        };
        entries.doing(doing)?.map(read).collect()
    }
}
