//! xdpfilter: what an interface receives, and what of it is dropped.

use std::time::Duration;

use clap::ValueEnum;
use libbpf_rs::Object;

use super::packets::{self, PacketField, Row};
use super::prelude::*;
use crate::attach::interface::{Interface, XdpMode};
use crate::attach::plan::{Attachment, Role};
use crate::bpf::programs::Program;
use crate::bpf::programs::xdpfilter::ON_PACKET;
use crate::bpf::shared::types::{packet_key, packet_value};
use crate::bpf::xdpfilter::XdpfilterSkelBuilder;
use crate::filter::packets::{PacketRules, Rule};
use crate::run::options::{self, RunOptions};
use crate::run::tables::Tables;

/// Count the packets that an interface receives, and drop some
#[derive(Args, Debug)]
#[command(mut_arg("command", |arg| arg.help("Run this command, and exit when it does. Its standard output goes to standard error")))]
pub(crate) struct Xdpfilter {
    /// The network interface, like eth0
    #[arg(value_name = "INTERFACE")]
    interface: String,

    /// Count by this in addition to the protocol, or by several fields, like src,port
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    by: Vec<PacketField>,

    /// Drop what matches: 1.1.1.1, 10.0.0.0/8, src:ADDRESS, dst:ADDRESS, port:53, or a protocol
    /// like icmp, icmp-echo, udp, arp; may be repeated
    #[arg(long, value_name = "RULE")]
    drop: Vec<Rule>,

    /// Where the program runs: in the driver, or after it
    #[arg(long, value_name = "MODE", default_value = "auto")]
    mode: Mode,

    /// Seconds between reports
    #[arg(short, long, value_name = "SECONDS", value_parser = options::seconds, default_value = "1")]
    interval: Duration,

    #[command(flatten)]
    run: RunOptions,
}

/// Where the program runs.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Mode {
    /// Native where the driver supports it, otherwise generic
    Auto,
    /// In the driver
    Native,
    /// In the kernel's network stack, for any interface
    Generic,
}

type Col = Column<Row>;

const PACKETS: Hook = Hook { name: "XDP", probes: &[] };

impl Tool for Xdpfilter {
    type Row = Row;
    const ROWS: Rows = Rows::Intervals;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("eth0", "what comes in, by protocol, every second"),
        ("eth0 --by src -i 10", "who sends it, every 10 seconds"),
        ("lo --drop icmp-echo -- ping -c 3 127.0.0.1", "an interface that does not answer pings"),
        ("eth0 --drop 1.1.1.1 --drop port:53", "what to do without"),
    ];
    const COLUMNS: &'static [Col] = &[
        Col::TIME,
        packets::PROTOCOL,
        packets::SRC,
        packets::DST,
        packets::PORT,
        packets::ACTION,
        packets::PACKETS,
        packets::BYTES,
    ];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        let by = packets::bits(self.by.iter().copied());
        let session = Session::start_of_no_process(host, &self.run, self.interval)?;
        let interface = Interface::named(&self.interface, &host.messages)?;
        let filter = Filter { tool: &self, interface };
        let mut storage = Storage::new();
        let (skel, attached) = session.attach::<XdpfilterSkelBuilder>(
            &mut storage,
            LoadOptions { packets: self.rules().settings(by), ..LoadOptions::default() },
            Plan::new(&[&PACKETS]).and(filter),
            |_| {},
        )?;
        let mut tables = Packets::of(skel.object(), "packet_table")?;
        session.run_summary(skel.object(), attached, columns, |rows, _| {
            tables.turn(|key, value| {
                let action = if key.action == 0 { "pass" } else { "drop" };
                rows.row(Row::new(&key, by, action)).add(&value);
            })
        })
    }
}

type Packets<'o> = Tables<'o, packet_key, packet_value>;

/// The rules, and the interface that they are for.
struct Filter<'a> {
    tool: &'a Xdpfilter,
    interface: Interface,
}

impl Attachment for Filter<'_> {
    fn programs(&self) -> Vec<(Program, Role)> {
        vec![(ON_PACKET, Role::Events)]
    }

    fn prepare(&mut self, object: &Object) -> Result<()> {
        self.tool.rules().fill(object)
    }

    fn attach(&mut self, object: &Object) -> Result<()> {
        self.interface.attach_xdp(object, ON_PACKET, self.tool.modes())
    }

    fn refresh(&mut self, _: &Object) -> Result<()> {
        self.interface.check()
    }
}

impl Xdpfilter {
    fn rules(&self) -> PacketRules<'_> {
        PacketRules { drop: &self.drop, only: &[] }
    }

    /// The first of these that works.
    fn modes(&self) -> &'static [XdpMode] {
        match self.mode {
            Mode::Auto => &[XdpMode::Native, XdpMode::Generic],
            Mode::Native => &[XdpMode::Native],
            Mode::Generic => &[XdpMode::Generic],
        }
    }
}
