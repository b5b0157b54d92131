//! tcpsnoop: connections of TCP, whose they are, and how they went.

mod columns;
mod rtt;

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
use crate::run::options::{Format, REPORTS, milliseconds};

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

    /// Sum up the smoothed round-trip times of connections, one for each segment that comes, as a
    /// histogram: at the end, or with -i each interval
    #[arg(long, group = REPORTS, conflicts_with_all = ["events", "failed", "fields"])]
    rtt: bool,

    /// With --rtt: by this, or by several fields, like raddr,rport
    #[arg(long, value_name = "FIELD", value_delimiter = ',', requires = "rtt")]
    by: Vec<rtt::By>,

    /// tcprtt's options for what is so anyway.
    #[arg(short = 'm', long = "milliseconds", hide = true, requires = "rtt")]
    _milliseconds: bool,
    #[arg(short = 'e', long = "extension", hide = true, requires = "rtt")]
    _extension: bool,

    /// Only connects that take, accepts whose connection has waited, and states that have lasted at least
    /// MS milliseconds, or a time like 2s; with --rtt only such round-trip times
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
    #[arg(short = 'a', long, value_name = "NETWORK", value_delimiter = ',', value_parser = network)]
    laddr: Vec<Network>,

    /// Only connections with another end that has this address, or is in this network
    #[arg(short = 'A', long, value_name = "NETWORK", value_delimiter = ',', value_parser = network)]
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

/// What is seen where events are shown.
const STATES: [Probe<'_>; 3] = [
    Probe::clears_up(programs::ON_DESTROY),
    Probe::events(programs::ON_STATE, Point::Declared),
    Probe::events(programs::ON_CALL_EXIT, Point::Declared),
];
/// Where that only tells whose connections are.
const OWNERS: [Probe<'_>; 3] = [
    Probe::clears_up(programs::ON_DESTROY),
    Probe::owners(programs::ON_STATE, Point::Declared),
    Probe::owners(programs::ON_CALL_EXIT, Point::Declared),
];
const SEGMENTS: [Probe<'_>; 1] = [Probe::events(programs::ON_SEGMENT, Point::Declared)];
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
        ("-- curl -s example.org", "the connections of a command"),
        ("--rtt --by raddr -d 10", "how far away the other ends are"),
    ];
    const ANYWAY: &'static [(&'static str, char)] = &[("lossprobe", 'l')];
    const SUMMED_UP: Option<(&'static str, &'static [&'static Col])> = Some(("rtt", rtt::SUMS));
    const TASK: &'static [Col] = columns::TASK;
    const COLUMNS: &'static [Col] = columns::COLUMNS;

    fn run(self, host: &Host, shown: &[&Col]) -> Result<()> {
        self.check()?;
        let session = self.session(host)?;
        let networks = self.networks();
        let packets = PacketRules { drop: &[], only: &networks }.settings(0);
        let options =
            LoadOptions { packets, without: self.unused_maps(), ..LoadOptions::from(shown) };
        let probes = self.probes();
        let hook = Hook { name: self.hook_name(), probes: &probes };
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
        if self.rtt {
            let is_json = self.is_json();
            return rtt::show(&session, skel.object(), attached, &self.by, shown, is_json);
        }
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
        if !self.by.is_empty() && !self.rtt {
            return Err(Error::usage("--by", "only --rtt sums up"));
        }
        if self.slower > 0 && !self.rtt && !any(&[Event::Connect, Event::Accept, Event::State]) {
            return Err(Error::usage("--slower", "only connects, accepts and states take long"));
        }
        for address in self.laddr.iter().chain(&self.raddr).map(|network| network.address) {
            let is_ipv4 = address.to_canonical().is_ipv4();
            let (is_left_out, option) =
                if is_ipv4 { (self.ipv6, "--ipv6") } else { (self.ipv4, "--ipv4") };
            if is_left_out {
                return Err(Error::usage(option, format!("{address} is of the other version")));
            }
        }
        if self.failed && !any(&[Event::Connect, Event::Close, Event::Listen]) {
            return Err(Error::usage("--failed", "only connect, close and listen have a result"));
        }
        Ok(())
    }

    fn shows(&self, event: Event) -> bool {
        self.events.contains(&event)
    }

    fn is_json(&self) -> bool {
        self.options.common.run.output.format() == Format::Json
    }

    fn session<'h>(&'h self, host: &'h Host) -> Result<Session<'h>> {
        let session = Session::start(host, &self.options)?.kinds(Self::KINDS);
        Ok(match self.rtt {
            true => session.reporting(self.options.interval).counted("segments that come".into()),
            false => session,
        })
    }

    /// Are only the connections of some tasks wanted?
    fn has_owners(&self) -> bool {
        let common = &self.options.common;
        !common.filter.is_for_all() || !common.run.command.is_empty()
    }

    /// Must it be known whose connections are?
    fn needs_owners(&self) -> bool {
        !self.rtt || self.has_owners() || rtt::is_by_owner(&self.by)
    }

    fn unused_maps(&self) -> Vec<&'static str> {
        let conns = (!self.needs_owners()).then_some("conns");
        let sums = rtt::unused_maps(self.rtt.then_some(&self.by));
        sums.into_iter().chain(conns).collect()
    }

    fn hook_name(&self) -> &'static str {
        match (self.rtt, self.needs_owners()) {
            (false, _) => {
                "tracepoints of TCP's states, and sys_exit: io_uring's accepts are not seen"
            }
            (true, true) => "tracepoint tcp_probe, and those of TCP's states, and sys_exit",
            (true, false) => "tracepoint tcp_probe",
        }
    }

    fn probes(&self) -> Vec<Probe<'static>> {
        if self.rtt {
            let owners: &[_] = if self.needs_owners() { &OWNERS } else { &[] };
            return [owners, &SEGMENTS].concat();
        }
        let retransmits: &[_] = if self.shows(Event::Retransmit) { &RETRANSMITS } else { &[] };
        let resets: &[_] = if self.shows(Event::Reset) { &RESETS } else { &[] };
        [&STATES, retransmits, resets].concat()
    }

    fn configure(&self, constants: &mut types::rodata) {
        let events = self.events.iter().filter(|_| !self.rtt);
        constants.kinds = events.fold(0, |bits, event| bits | 1 << *event as u32);
        constants.rtt_by = rtt::bits(&self.by);
        constants.only_wanted = self.has_owners().into();
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
        self.tool.needs_owners().then_some((programs::ON_FILE, Role::Tracer)).into_iter().collect()
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
        match self.tool.needs_owners() {
            true => object::iterate(object, programs::ON_FILE, "looking for sockets"),
            false => Ok(()),
        }
    }
}
