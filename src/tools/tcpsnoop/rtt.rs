//! `--rtt`: smoothed round-trip times, one for each segment that comes, summed up by the kernel side.

use clap::ValueEnum;
use libbpf_rs::Object;

use super::Col;
use crate::attach::plan::Attached;
use crate::bpf::shared::types::count_by;
use crate::bpf::tcpsnoop::types::{event, rtt_by, rtt_key, rtt_value};
use crate::error::Result;
use crate::filter::cgroups::Cgroups;
use crate::output::{Value, fields};
use crate::record::{Header, Record};
use crate::run::groups::Groups;
use crate::run::session::Session;
use crate::run::tables::Tables;

/// Where the kernel side sums up: by nothing, by ends of connections, by their owners too.
const TABLES: [[&str; 3]; 3] = [
    ["rtt_table", "rtt_table_a", "rtt_table_b"],
    ["rtt_end_table", "rtt_end_table_a", "rtt_end_table_b"],
    ["rtt_owner_table", "rtt_owner_table_a", "rtt_owner_table_b"],
];

/// What is summed up by: the keys of columns.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum By {
    Laddr,
    Lport,
    Raddr,
    Rport,
    Comm,
    Pid,
    Uid,
    Cgroup,
    Container,
    Namespace,
    Pod,
    ContainerName,
}

impl By {
    /// Bits of `enum rtt_by` and `enum count_by`.
    fn bits(self) -> u32 {
        match self {
            Self::Laddr => rtt_by::RTT_BY_LADDR.0,
            Self::Lport => rtt_by::RTT_BY_LPORT.0,
            Self::Raddr => rtt_by::RTT_BY_RADDR.0,
            Self::Rport => rtt_by::RTT_BY_RPORT.0,
            Self::Comm => count_by::COUNT_COMM.0,
            Self::Pid => count_by::COUNT_PID.0,
            Self::Uid => count_by::COUNT_UID.0,
            Self::Cgroup | Self::Container | Self::Namespace | Self::Pod | Self::ContainerName => {
                count_by::COUNT_CGROUP.0
            }
        }
    }
}

/// What the kernel side is told.
pub(super) fn bits(by: &[By]) -> u32 {
    by.iter().fold(0, |bits, by| bits | by.bits())
}

/// Is it of the owner of connections?
pub(super) fn is_by_owner(by: &[By]) -> bool {
    bits(by) & rtt_by::RTT_BY_OWNER.0 > 0
}

/// Which of the tables it is.
fn table(by: &[By]) -> usize {
    if is_by_owner(by) { 2 } else { usize::from(!by.is_empty()) }
}

/// The maps of the others, or of all where there is no `--rtt`.
pub(super) fn unused_maps(by: Option<&[By]>) -> Vec<&'static str> {
    let used = by.map(table);
    let unused = TABLES.iter().enumerate().filter(|(number, _)| Some(*number) != used);
    unused.flat_map(|(_, maps)| *maps).collect()
}

/// Behind what is summed up by.
pub(super) const SUMS: &[&Col] = &[
    &Col { about: "how many segments came", ..Col::COUNT },
    &Col { about: "all round-trip times together, for a mean of several reports", ..Col::TOTAL }
        .json_only(),
    &Col { about: "the mean of them", ..Col::MEAN },
    &Col { about: "half of the round-trip times were no more, to within 5 %", ..Col::P50 },
    &Col { about: "99 of a hundred of them were no more, to within 5 %", ..Col::P99 },
    &Col { about: "the longest of them", ..Col::MAX },
    &Col::histogram(
        "SLOTS",
        "histogram",
        5,
        "how many round-trip times were in which range, of nanoseconds",
        |r| Value::Histogram(r.times),
    )
    .json_only(),
];

/// Shows them, by these columns, each interval.
pub(super) fn show(
    session: &Session<'_>,
    object: &Object,
    attached: Attached<'_>,
    by: &[By],
    shown: &[&Col],
    is_json: bool,
) -> Result<()> {
    let mut tables = Tables::<rtt_key, rtt_value>::of(object, TABLES[table(by)][0])?;
    let (mut groups, mut cgroups) = (Groups::by(shown).drawn(), Cgroups::of_columns(shown));
    let sums = fields::choose(SUMS, is_json, &[], |_| false)?;
    let columns = [&[&Col::TIME][..], shown, &sums].concat();
    session.run_intervals(object, attached, &columns, |report, lines, _| {
        let read = tables.turn(|key, value| {
            let (header, event) = parts(&key);
            let container = cgroups.container(header.cgroup_id);
            let record = Record { container, ..Record::of(&header, &event) };
            report.counted(value.count);
            match groups.group(&record) {
                Some(group) => {
                    let rtts = &value.histogram;
                    group.add_times(value.count, value.total_ns).add(
                        &rtts.slots,
                        rtts.min,
                        rtts.max,
                    );
                }
                None => report.no_room(value.count),
            }
        });
        groups.show(report, lines);
        read
    })
}

/// The connections of a key, as an event would show them.
fn parts(key: &rtt_key) -> (Header, event) {
    let task = &key.task;
    let header = Header {
        cgroup_id: task.cgroup_id,
        pid: task.pid,
        uid: task.uid,
        comm: task.comm,
        ..Header::default()
    };
    let ends = &key.ends;
    let has_owner = u8::from(ends.has_owner != 0);
    let event = event { local: ends.local, remote: ends.remote, has_owner, ..event::default() };
    (header, event)
}
