//! tcpsnoop: connections of TCP, whose they are, and how they went.

mod columns;

use std::sync::LazyLock;

use clap::ValueEnum;
use libbpf_rs::{MapCore as _, MapFlags, Object};

use super::prelude::*;
use crate::attach::plan::{Attachment, Role};
use crate::bpf::object;
use crate::bpf::programs::{Program, tcpsnoop as programs};
use crate::bpf::tcpsnoop::{TcpsnoopSkelBuilder, types};
use crate::error::{Context as _, Error};
use crate::filter::packets::{Network, PacketRules, Rule};
use crate::run::options::milliseconds;

/// Show TCP connections, whose they are, and how they went
#[derive(Args, Debug)]
pub(crate) struct Tcpsnoop {
    /// What to show
    #[arg(
        long,
        value_name = "EVENT",
        value_delimiter = ',',
        default_value = "connect,accept,close"
    )]
    events: Vec<Event>,

    /// Show only what fails: connects, listens, connections that end by an error or a reset
    #[arg(short = 'x', long)]
    failed: bool,

    /// Only connects that take, and accepts whose connection has waited, at least MS milliseconds, or a
    /// time like 2s
    #[arg(long, value_name = "MS", default_value = "0", value_parser = milliseconds)]
    slower: u64,

    /// Only connections from or to this port; may be several
    #[arg(short = 'P', long, value_name = "PORT", value_delimiter = ',', value_parser = port())]
    port: Vec<u16>,

    /// Only connections with this port here
    #[arg(short = 'L', long, value_name = "PORT", value_delimiter = ',', value_parser = port())]
    lport: Vec<u16>,

    /// Only connections with this port at the other end
    #[arg(short = 'D', long, value_name = "PORT", value_delimiter = ',', value_parser = port())]
    rport: Vec<u16>,

    /// Only connections with an address here that is this, or in this network
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', value_parser = network)]
    laddr: Vec<Network>,

    /// Only connections with another end that has this address, or is in this network
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', value_parser = network)]
    raddr: Vec<Network>,

    /// Only IPv4
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Only IPv6
    #[arg(short = '6', long)]
    ipv6: bool,

    #[command(flatten)]
    options: EventOptions,
}

/// What is shown, numbered as `enum kind` of tcpsnoop.bpf.c.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Event {
    /// A connect that is done, or has failed
    Connect,
    /// A connection is accepted
    Accept,
    /// A connection has ended
    Close,
    /// A program listens
    Listen,
    /// Something is sent again
    Retransmit,
    /// A reset is sent or received
    Reset,
    /// A socket is in another state
    State,
}

fn port() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

fn network(text: &str) -> std::result::Result<Network, String> {
    Network::read(text).ok_or_else(|| "an address is needed, or a network like 10.0.0.0/8".into())
}

type Col = Column<types::event>;

/// What is seen in any case.
const STATES: [Probe<'_>; 3] = [
    Probe::clears_up(programs::ON_DESTROY),
    Probe::events(programs::ON_STATE, Point::Declared),
    Probe::events(programs::ON_CALL_EXIT, Point::Declared),
];
const RETRANSMITS: [Probe<'_>; 2] = [
    Probe::events(programs::ON_RETRANSMIT, Point::Declared),
    Probe::events(programs::ON_RETRANSMIT_SYNACK, Point::Declared),
];
const RESETS: [Probe<'_>; 2] = [
    Probe::events(programs::ON_RESET_SENT, Point::Declared),
    Probe::events(programs::ON_RESET_RECEIVED, Point::Declared),
];

impl Tool for Tcpsnoop {
    type Row = types::event;
    const KINDS: &'static [&'static str] = columns::KINDS;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("-x", "connects that fail, connections that are reset"),
        ("--slower 100 --events connect", "who waits long for a connection"),
        ("-P 5432 --json", "connections from and to a port, as JSON Lines"),
        ("-- curl -s example.org", "the connections of a command"),
    ];
    const ANYWAY: &'static [(&'static str, char)] = &[("lossprobe", 'l')];
    const TASK: &'static [Col] = columns::TASK;
    const COLUMNS: &'static [Col] = columns::COLUMNS;

    fn run(self, host: &Host, shown: &[&Col]) -> Result<()> {
        self.check()?;
        let session = Session::start(host, &self.options)?.kinds(Self::KINDS);
        let networks = self.networks();
        let packets = PacketRules { drop: &[], only: &networks }.settings(0);
        let options = LoadOptions { packets, ..LoadOptions::from(shown) };
        let probes = self.probes();
        let name = "tracepoints of TCP's states, and sys_exit: io_uring's accepts are not seen";
        let hook = Hook { name, probes: &probes };
        let mut storage = Storage::new();
        let (skel, attached) = session.attach::<TcpsnoopSkelBuilder>(
            &mut storage,
            options,
            Plan::new(&[&hook]).and(Sockets { tool: &self, networks: &networks }),
            |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    self.configure(constants);
                }
            },
        )?;
        if self.shows(Event::Reset) {
            // The run may not look into the kernel's types any more.
            LazyLock::force(&columns::RESET_REASONS);
        }
        session.run(skel.object(), attached, shown, |_| true)
    }
}

impl Tcpsnoop {
    /// Would it show anything?
    fn check(&self) -> Result<()> {
        let any = |events: &[Event]| events.iter().any(|event| self.shows(*event));
        if self.slower > 0 && !any(&[Event::Connect, Event::Accept]) {
            return Err(Error::usage("--slower", "only connects and accepts take long"));
        }
        if self.failed && !any(&[Event::Connect, Event::Close, Event::Listen]) {
            return Err(Error::usage("--failed", "only connect, close and listen have a result"));
        }
        Ok(())
    }

    fn shows(&self, event: Event) -> bool {
        self.events.contains(&event)
    }

    fn probes(&self) -> Vec<Probe<'static>> {
        let retransmits: &[_] = if self.shows(Event::Retransmit) { &RETRANSMITS } else { &[] };
        let resets: &[_] = if self.shows(Event::Reset) { &RESETS } else { &[] };
        [&STATES, retransmits, resets].concat()
    }

    fn configure(&self, constants: &mut types::rodata) {
        let common = &self.options.common;
        constants.kinds = self.events.iter().fold(0, |bits, event| bits | 1 << *event as u32);
        constants.only_wanted =
            (!common.filter.is_for_all() || !common.run.command.is_empty()).into();
        constants.only_failed = self.failed.into();
        constants.only_family = if self.ipv4 { 4 } else { u8::from(self.ipv6) * 6 };
        constants.slower_ns = self.slower;
        constants.by_ports = self.ports().fold(0, |bits, (at, _)| bits | 1 << at.0);
    }

    /// What is looked for, and where.
    fn ports(&self) -> impl Iterator<Item = (types::port_at, u16)> {
        use types::port_at;
        let lists = [
            (port_at::PORT_AT_EITHER, &self.port),
            (port_at::PORT_AT_LOCAL, &self.lport),
            (port_at::PORT_AT_REMOTE, &self.rport),
        ];
        lists.into_iter().flat_map(|(at, ports)| ports.iter().map(move |port| (at, *port)))
    }

    fn networks(&self) -> Vec<Rule> {
        let of = |network: &Network, src| Rule::Network { network: *network, src, dst: !src };
        let local = self.laddr.iter().map(|network| of(network, true));
        local.chain(self.raddr.iter().map(|network| of(network, false))).collect()
    }
}

/// What is to be known before events are seen: filters, and the sockets that are there already.
struct Sockets<'a> {
    tool: &'a Tcpsnoop,
    networks: &'a [Rule],
}

impl Attachment for Sockets<'_> {
    fn programs(&self) -> Vec<(Program, Role)> {
        vec![(programs::ON_FILE, Role::Tracer)]
    }

    fn prepare(&mut self, object: &Object) -> Result<()> {
        PacketRules { drop: &[], only: self.networks }.fill(object)?;
        let ports = object::map(object, "ports")?;
        for (at, port) in self.tool.ports() {
            let key = at.0 << 16 | u32::from(port);
            ports.update(&key.to_ne_bytes(), &[1], MapFlags::ANY).doing("filling the ports")?;
        }
        Ok(())
    }

    fn attach(&mut self, object: &Object) -> Result<()> {
        object::iterate(object, programs::ON_FILE, "looking for sockets")
    }
}
