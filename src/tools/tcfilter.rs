//! tcfilter: what an interface sends, whose it is, and what if some of it came late or never.

mod hooks;

use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use clap::ValueEnum;

use hooks::{Hooks, Sender, look};

use super::packets::{self, PacketField, Row};
use super::prelude::*;
use crate::attach::interface::Interface;
use crate::bpf::shared::types::{owned_key, packet_key, packet_value};
use crate::bpf::tcfilter::{TcfilterSkelBuilder, types};
use crate::error::Error;
use crate::escape;
use crate::filter::cgroups;
use crate::filter::packets::{PacketRules, Rule};
use crate::run::options::{self, CommonOptions};
use crate::run::tables::Tables;
use crate::run::task_key::{self, TaskField, TaskKeys};

/// Count the packets that an interface sends, drop some, or let some come late or never
#[derive(Args, Debug)]
pub(crate) struct Tcfilter {
    /// The network interface, like eth0
    #[arg(value_name = "INTERFACE")]
    interface: String,

    /// Count by this in addition to the protocol, or by several fields, like dst,comm
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    by: Vec<By>,

    /// Only packets that match: 1.1.1.1, 10.0.0.0/8, src:ADDRESS, dst:ADDRESS, port:53, or a protocol
    /// like icmp, icmp-echo, udp, arp; may be repeated
    #[arg(long, value_name = "RULE")]
    only: Vec<Rule>,

    /// Drop what matches; may be repeated
    #[arg(long, value_name = "RULE")]
    drop: Vec<Rule>,

    /// Lose so many of a hundred packets, by chance
    #[arg(long, value_name = "PERCENT", value_parser = percent, requires = "lasting")]
    lose: Option<f64>,

    /// Send packets so much later, like 50ms; the interface must have the queueing discipline fq
    #[arg(long, value_name = "TIME", value_parser = delay, requires = "lasting")]
    delay: Option<Duration>,

    /// Send so many bits a second at the most, like 500K or 1M; the interface must have the queueing
    /// discipline fq
    #[arg(long, value_name = "BITS", value_parser = rate, requires = "lasting")]
    rate: Option<u64>,

    /// How long packets are lost, delayed or slowed down; then it ends, unless -d or a command says
    /// otherwise
    #[arg(long = "for", id = "lasting", value_name = "SECONDS", value_parser = options::seconds)]
    lasting: Option<Duration>,

    #[command(flatten)]
    options: IntervalOptions,
}

/// What packets are counted by.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum By {
    /// The source address
    Src,
    /// The destination address
    Dst,
    /// The destination port
    Port,
    /// The process whose socket sends it
    Pid,
    /// Its user
    Uid,
    /// Its name
    Comm,
    /// Its cgroup (v2)
    Cgroup,
    /// Its container
    Container,
}

impl By {
    /// What of the packet it is, or else of its owner.
    fn field(self) -> std::result::Result<PacketField, TaskField> {
        match self {
            By::Src => Ok(PacketField::Src),
            By::Dst => Ok(PacketField::Dst),
            By::Port => Ok(PacketField::Port),
            By::Pid => Err(TaskField::Pid),
            By::Uid => Err(TaskField::Uid),
            By::Comm => Err(TaskField::Comm),
            By::Cgroup => Err(TaskField::Cgroup),
            By::Container => Err(TaskField::Container),
        }
    }
}

/// Of a hundred packets.
fn percent(text: &str) -> std::result::Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>();
    let percent = number.ok().filter(|percent| *percent > 0.0 && *percent <= 100.0);
    percent.ok_or_else(|| "more than 0 and at most 100 percent, like 1% or 0.5".into())
}

/// fq drops packets that are to wait longer than 10 s, and there are --rate and TCP's own pacing besides.
const DELAY_MAX: Duration = Duration::from_secs(8);

fn delay(text: &str) -> std::result::Result<Duration, String> {
    let delay = options::seconds(text)?;
    (delay <= DELAY_MAX).then_some(delay).ok_or_else(|| {
        format!("at most {} seconds, which fq lets packets wait", DELAY_MAX.as_secs())
    })
}

/// Bits a second, at least a byte.
fn rate(text: &str) -> std::result::Result<u64, String> {
    let units = [('K', 1_000), ('M', 1_000_000), ('G', 1_000_000_000)];
    let of_unit = |(unit, factor): (char, u64)| {
        let number = text.strip_suffix([unit, unit.to_ascii_lowercase()])?;
        Some((number, factor))
    };
    let (number, factor) = units.into_iter().find_map(of_unit).unwrap_or((text, 1));
    let bits = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    bits.filter(|bits| (8..=1_000_000_000_000).contains(bits))
        .ok_or_else(|| "bits a second are needed, from 8 to 1000G, like 500K or 1M".into())
}

/// In nanoseconds; the time is added to it.
const FOR_EVER: u64 = u64::MAX / 2;

/// The longest that a packet waits for its turn with --rate; those after it are lost.
const WAIT: Duration = Duration::from_secs(1);

type Col = Column<Row>;

impl Tool for Tcfilter {
    type Row = Row;
    const ROWS: Rows = Rows::Intervals;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("eth0 --by pid", "who sends how much, every second"),
        ("eth0 --drop dst:10.0.0.7", "what to do without"),
        (
            "eth0 --only port:5432 --delay 50ms --for 60",
            "a database that answers late, for a minute",
        ),
        ("lo --lose 1% --for 30 -- ./client", "a command whose packets are lost at times"),
    ];
    const TASK: &'static [Col] = &task_key::columns(
        "the process whose socket sends them",
        "the name of the thread that made the socket",
    );
    const COLUMNS: &'static [Col] = &[
        packets::PROTOCOL,
        packets::SRC,
        packets::DST,
        packets::PORT,
        Col {
            about: "pass, drop, lose, delay, or overrun: more than --rate lets wait",
            ..packets::ACTION
        },
        packets::PACKETS,
        Col {
            about: "how many bytes, of whole frames; before Linux 6.6 from the header of IP on",
            ..packets::BYTES
        },
    ];

    fn run(mut self, host: &Host, columns: &[&Col]) -> Result<()> {
        self.check(host.tool)?;
        let run = &mut self.options.common.run;
        if run.command.is_empty() {
            run.duration = run.duration.or(self.lasting);
        }
        let session = Session::start_intervals(host, &self.options, Some(Duration::from_secs(1)))?;
        let mut owners = TaskKeys::by(self.owner_fields());
        let session = session.keeping(owners.needs());
        let interface = Interface::named(&self.interface, &host.messages)?;
        let index = interface.index();
        let root = self.root()?;
        let hooks = Hooks::new(&self, index, root.as_ref().map(AsFd::as_fd));
        let (tcx, of_sockets) = (hooks.tcx(), hooks.of_sockets());
        let by = packets::bits(self.by.iter().filter_map(|by| by.field().ok()));
        let packets = self.rules().settings(by);
        let options = LoadOptions { packets, ..LoadOptions::default() };
        let mut storage = Storage::new();
        let (skel, attached) = session.attach::<TcfilterSkelBuilder>(
            &mut storage,
            options,
            Plan::new(&[&tcx, &of_sockets][..hooks.len()]).and(Sender { tool: &self, interface }),
            |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    self.configure(constants);
                    constants.owners_by = owners.bits();
                }
            },
        )?;
        let mut tables = Packets::of(skel.object(), "packet_table")?;
        // Faults last from now on.
        let before = look(skel.object(), index, true)?;
        let done = session.run_summary(skel.object(), attached, columns, |rows, _| {
            tables.turn(|key, value| {
                let owner = owners.key(&key.task);
                rows.row(Row::new(&key.packet, by, action(&key.packet)).of(owner)).add(&value);
            })
        });
        if self.lets_wait() {
            // It may be gone.
            let dropped = look(skel.object(), index, false).map_or(0, |after| after.dropped);
            self.tell_dropped(host, dropped.saturating_sub(before.dropped));
        }
        done
    }
}

type Packets<'o> = Tables<'o, owned_key, packet_value>;

impl Tcfilter {
    /// What clap does not know of options that need others.
    fn check(&self, tool: &'static str) -> Result<()> {
        let has_faults = self.lose.is_some() || self.lets_wait();
        if self.lasting.is_some() && !has_faults {
            return Err(Error::usage(tool, "--for says how long packets are lost or late")
                .hint("add --lose, --delay or --rate"));
        }
        if has_faults && self.only.is_empty() && !self.is_for_some() {
            return Err(Error::usage(tool, "whose packets are to be lost or late?").hint(
                "--only RULE, -p PID, --cgroup PATH or a command; --only 0.0.0.0/0 for all of IPv4",
            ));
        }
        Ok(())
    }

    /// Only packets of some processes?
    fn is_for_some(&self) -> bool {
        let CommonOptions { filter, run } = &self.options.common;
        !filter.is_for_all() || !run.command.is_empty()
    }

    fn knows_owners(&self) -> bool {
        self.is_for_some() || self.owner_fields().next().is_some()
    }

    /// What of their owners packets are counted by.
    fn owner_fields(&self) -> impl Iterator<Item = TaskField> {
        self.by.iter().filter_map(|by| by.field().err())
    }

    /// Do packets wait in the queues of the interface?
    fn lets_wait(&self) -> bool {
        self.delay.is_some() || self.rate.is_some()
    }

    fn rules(&self) -> PacketRules<'_> {
        PacketRules { drop: &self.drop, only: &self.only }
    }

    /// Where programs go that see sockets.
    fn root(&self) -> Result<Option<File>> {
        match cgroups::root() {
            Err(error) if self.knows_owners() => Err(error),
            root => Ok(root.ok()),
        }
    }

    fn configure(&self, constants: &mut types::rodata) {
        let nanoseconds = |time: Duration| {
            u64::try_from(time.as_nanos()).map_or(FOR_EVER, |time| time.min(FOR_EVER))
        };
        constants.with_owners = self.knows_owners().into();
        constants.only_wanted = self.is_for_some().into();
        constants.spared_port = if self.rules().have_port(SSH) { 0 } else { SSH };
        constants.lose = (self.lose.unwrap_or(0.0) / 100.0 * 4_294_967_296.0).ceil() as u64;
        constants.delay_ns = self.delay.map_or(0, nanoseconds);
        constants.rate = self.rate.unwrap_or(0) / 8;
        constants.wait_ns = nanoseconds(WAIT);
        constants.for_ns = self.lasting.map_or(0, nanoseconds);
    }

    /// Nobody else knows of these.
    fn tell_dropped(&self, host: &Host, packets: u64) {
        if packets > 0 {
            let name = escape::text(self.interface.as_bytes());
            host.messages.say(format_args!(
                "{name}: its queues were full, and dropped {packets} packets besides"
            ));
        }
    }
}

/// The port that is spared unless a rule names it.
const SSH: u16 = 22;

fn action(key: &packet_key) -> &'static str {
    match types::action(key.action.into()) {
        types::action::ACTION_DROP => "drop",
        types::action::ACTION_LOSE => "lose",
        types::action::ACTION_DELAY => "delay",
        types::action::ACTION_OVERRUN => "overrun",
        _ => "pass",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_percents() {
        assert_eq!(percent("1%"), Ok(1.0));
        assert_eq!(percent("0.5"), Ok(0.5));
        assert_eq!(percent("100"), Ok(100.0));
        for text in ["", "%", "0", "-1", "101%", "nan", "inf", "1%%", "one"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_rates() {
        for (text, bits) in
            [("8", 8), ("500K", 500_000), ("1m", 1_000_000), ("1000G", 1_000_000_000_000)]
        {
            assert_eq!(rate(text), Ok(bits), "{text}");
        }
        for text in ["", "K", "7", "1.5M", "-1", "1001G", "99999999999999999999", "1T"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_delays() {
        assert_eq!(delay("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(delay("8"), Ok(DELAY_MAX));
        for text in ["", "0", "8.1", "10s", "1h", "soon"] {
            assert!(delay(text).is_err(), "{text}");
        }
    }
}
