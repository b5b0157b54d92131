//! xdpfilter: what an interface receives, and what of it is dropped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use libbpf_rs::{MapCore as _, MapFlags, Object};
use nix::libc;

use super::prelude::*;
use crate::attach::interface::{Interface, XdpMode};
use crate::attach::plan::{Attachment, Role};
use crate::bpf::object;
use crate::bpf::programs::Program;
use crate::bpf::programs::xdpfilter::ON_PACKET;
use crate::bpf::xdpfilter::{XdpfilterSkelBuilder, types};
use crate::error::Context as _;
use crate::record::{self, Header, Record};
use crate::run::options::{self, RunOptions};
use crate::run::summary::Sum;
use crate::run::tables::{self, Tables};
use crate::system::sys;

/// Count the packets that an interface receives, and drop some
#[derive(Args, Debug)]
#[command(mut_arg("command", |arg| arg.help("Run this command, and exit when it does. Its standard output goes to standard error")))]
pub(crate) struct Xdpfilter {
    /// The network interface, like eth0
    #[arg(value_name = "INTERFACE")]
    interface: String,

    /// Count by this in addition to the protocol
    #[arg(long, value_name = "FIELD")]
    by: Option<By>,

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

/// What packets are counted by.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum By {
    /// The source address
    Src,
    /// The destination address
    Dst,
    /// The destination port
    Port,
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

/// What is dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// A network, by its address and how many bits of it count: where packets come from, go to.
    Network {
        address: IpAddr,
        bits: u8,
        src: bool,
        dst: bool,
    },
    /// Packets from or to this port.
    Port(u16),
    /// IP packets of this protocol.
    Protocol(u8),
    /// Echo requests and replies.
    Echo,
    Echo6,
    Arp,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if let Some(port) = text.strip_prefix("port:") {
            return match port.parse() {
                Ok(port @ 1..) => Ok(Rule::Port(port)),
                _ => Err("a port is a number from 1 to 65535".into()),
            };
        }
        let (src, dst, network) = match text.split_once(':') {
            Some(("src", network)) => (true, false, network),
            Some(("dst", network)) => (false, true, network),
            _ => (true, true, text),
        };
        if let Some((address, bits)) = network_of(network) {
            return Ok(Rule::Network { address, bits, src, dst });
        }
        match text {
            "icmp-echo" => return Ok(Rule::Echo),
            "icmp6-echo" => return Ok(Rule::Echo6),
            "arp" => return Ok(Rule::Arp),
            _ => {}
        }
        let known = PROTOCOLS.iter().find(|(_, name)| *name == text);
        known.map(|(number, _)| Rule::Protocol(*number)).ok_or_else(|| {
            let names = PROTOCOLS.iter().filter(|(number, _)| *number != PROTOCOL_CUT);
            let names = names.map(|(_, name)| *name).collect::<Vec<_>>();
            format!(
                "neither an address, a network, port:NUMBER nor a protocol: arp, icmp-echo, \
                 icmp6-echo, {}",
                names.join(", ")
            )
        })
    }
}

/// `10.0.0.0/8`, `::1`.
fn network_of(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address = address.parse::<IpAddr>().ok()?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(all);
    (bits <= all).then_some((address, bits))
}

/// The header of IP is cut off.
const PROTOCOL_CUT: u8 = types::protocol::PROTOCOL_CUT.0 as u8;

/// IP protocols by their numbers: linux/in.h.
const PROTOCOLS: &[(u8, &str)] = &[
    (libc::IPPROTO_ICMP as u8, "icmp"),
    (libc::IPPROTO_IGMP as u8, "igmp"),
    (libc::IPPROTO_IPIP as u8, "ipip"),
    (libc::IPPROTO_TCP as u8, "tcp"),
    (libc::IPPROTO_UDP as u8, "udp"),
    (libc::IPPROTO_DCCP as u8, "dccp"),
    (libc::IPPROTO_IPV6 as u8, "ipv6-in-ip"),
    (libc::IPPROTO_GRE as u8, "gre"),
    (libc::IPPROTO_ESP as u8, "esp"),
    (libc::IPPROTO_AH as u8, "ah"),
    (libc::IPPROTO_ICMPV6 as u8, "icmp6"),
    (libc::IPPROTO_SCTP as u8, "sctp"),
    (libc::IPPROTO_UDPLITE as u8, "udplite"),
    (PROTOCOL_CUT, "ip-cut"),
];

/// Types of Ethernet frames that are no IP packets: linux/if_ether.h.
const ETHERTYPES: &[(u16, &str)] = &[
    (libc::ETH_P_ARP as u16, "arp"),
    (libc::ETH_P_SLOW as u16, "lacp"),
    (libc::ETH_P_PAE as u16, "eapol"),
    (libc::ETH_P_8021Q as u16, "vlan"),
    (libc::ETH_P_8021AD as u16, "vlan-outer"),
    (libc::ETH_P_MPLS_UC as u16, "mpls"),
    (libc::ETH_P_PPP_SES as u16, "pppoe"),
    (0x88cc, "lldp"),
];

/// The sum of all CPUs.
#[derive(Debug)]
pub(crate) struct Row {
    by: Option<By>,
    protocol: String,
    address: String,
    port: u16,
    dropped: bool,
    packets: u64,
    bytes: u64,
}

impl record::Row for Row {
    fn of_any(bytes: &[u8], show: &mut dyn FnMut(&Record<'_, Self>)) {
        let (key, value) = tables::entry_of(bytes);
        for by in [None, Some(By::Src), Some(By::Dst), Some(By::Port)] {
            let mut row = Self::new(&key, by);
            row.add(&value);
            show(&Record::of(&Header::default(), &row));
        }
    }
}

impl Sum for Row {
    type Id = (String, String, u16, bool);

    fn id(&self) -> Self::Id {
        (self.protocol.clone(), self.address.clone(), self.port, self.dropped)
    }

    fn weight(&self) -> u64 {
        self.packets
    }

    fn events(&self) -> u64 {
        self.packets
    }
}

impl Row {
    fn new(key: &types::packet_key, by: Option<By>) -> Self {
        let (protocol, address) = (protocol(key), shown_address(key, by));
        let (port, dropped) = (key.port, key.dropped != 0);
        Self { by, protocol, address, port, dropped, packets: 0, bytes: 0 }
    }

    fn add(&mut self, value: &types::packet_value) {
        self.packets += value.packets;
        self.bytes += value.bytes;
    }
}

type Col = Column<Row>;

fn address<'a>(record: &Record<'a, Row>, by: By) -> Value<'a> {
    match record.event.address.as_str() {
        "" => Value::None,
        _ if record.event.by != Some(by) => Value::None,
        address => Value::Text(address.as_bytes()),
    }
}

const PACKETS: Hook = Hook { name: "XDP", probes: &[] };

impl Tool for Xdpfilter {
    type Row = Row;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("eth0", "what comes in, by protocol, every second"),
        ("eth0 --by src -i 10", "who sends it, every 10 seconds"),
        ("lo --drop icmp-echo -- ping -c 3 127.0.0.1", "an interface that does not answer pings"),
        ("eth0 --drop 1.1.1.1 --drop port:53", "what to do without"),
    ];
    const COLUMNS: &'static [Col] = &[
        Col::TIME,
        Col::new("PROTOCOL", "protocol", 18, "of IP, or else the type of the frame", |r| {
            Value::Text(r.event.protocol.as_bytes())
        }),
        Col::new("SRC", "src", 16, "the address that they come from", |r| address(r, By::Src))
            .hidden()
            .with(&["--by=src"]),
        Col::new("DST", "dst", 16, "the address that they go to", |r| address(r, By::Dst))
            .hidden()
            .with(&["--by=dst"]),
        Col::new("PORT", "port", 6, "the port that they go to", |r| match r.event.port {
            0 => Value::None,
            port => Value::Uint(port.into()),
        })
        .hidden()
        .with(&["--by=port"]),
        Col::new("ACTION", "action", 6, "pass or drop", |r| {
            Value::Word(if r.event.dropped { "drop" } else { "pass" })
        }),
        Col::new("PACKETS", "count", 10, "how many packets", |r| Value::Uint(r.event.packets)),
        Col::new("BYTES", "bytes", 12, "how many bytes, Ethernet headers too", |r| {
            Value::Uint(r.event.bytes)
        }),
    ];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        let session = Session::start_of_no_process(host, &self.run, self.interval)?;
        let interface = Interface::named(&self.interface, &host.messages)?;
        let filter = Filter { tool: &self, interface };
        let mut storage = Storage::new();
        let (skel, attached) = session.attach::<XdpfilterSkelBuilder>(
            &mut storage,
            LoadOptions::default(),
            Plan::new(&[&PACKETS]).and(filter),
            |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    self.configure(constants);
                }
            },
        )?;
        let mut tables = Packets::of(skel.object(), "packet_table")?;
        session.run_summary(skel.object(), attached, columns, |rows, _| {
            tables.turn(|key, value| rows.row(Row::new(&key, self.by)).add(&value))
        })
    }
}

type Packets<'o> = Tables<'o, types::packet_key, types::packet_value>;

/// The rules, and the interface that they are for.
struct Filter<'a> {
    tool: &'a Xdpfilter,
    interface: Interface,
}

impl Attachment for Filter<'_> {
    fn programs(&self) -> Vec<(Program, Role)> {
        vec![(ON_PACKET, Role::Events)]
    }

    /// With its rules, from the first packet on.
    fn attach(&mut self, object: &Object) -> Result<()> {
        self.tool.fill(object)?;
        self.interface.attach_xdp(object, ON_PACKET, self.tool.modes())
    }

    fn refresh(&mut self, _: &Object) -> Result<()> {
        self.interface.check()
    }
}

impl Xdpfilter {
    fn configure(&self, constants: &mut types::rodata) {
        let by = match self.by {
            None => types::by::BY_PROTOCOL,
            Some(By::Src) => types::by::BY_SRC,
            Some(By::Dst) => types::by::BY_DST,
            Some(By::Port) => types::by::BY_PORT,
        };
        constants.count_by = u8::try_from(by.0).unwrap_or(0);
        for rule in &self.drop {
            match *rule {
                Rule::Network { src, dst, .. } => {
                    constants.with_src |= u8::from(src);
                    constants.with_dst |= u8::from(dst);
                }
                Rule::Port(_) => constants.with_ports = 1,
                Rule::Protocol(number) => {
                    constants.drop_protocols[usize::from(number / 64)] |= 1 << (number % 64);
                }
                Rule::Echo => constants.drop_echo = 1,
                Rule::Echo6 => constants.drop_echo6 = 1,
                Rule::Arp => constants.drop_arp = 1,
            }
        }
    }

    /// Fills the maps of what is dropped.
    fn fill(&self, object: &Object) -> Result<()> {
        let update = |map: &str, key: &[u8]| {
            object::map(object, map)?.update(key, &[1], MapFlags::ANY).doing("filling the rules")
        };
        for rule in &self.drop {
            match *rule {
                Rule::Network { address, bits, src, dst } => {
                    let network = network(address, bits);
                    let key = sys::bytes_of(&network);
                    if src {
                        update("drop_src", key)?;
                    }
                    if dst {
                        update("drop_dst", key)?;
                    }
                }
                Rule::Port(port) => update("drop_ports", &port.to_ne_bytes())?,
                _ => {}
            }
        }
        Ok(())
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

fn shown_address(key: &types::packet_key, by: Option<By>) -> String {
    let [a, b, c, d, ..] = key.address;
    match (by, i32::from(key.ethertype)) {
        _ if key.protocol == PROTOCOL_CUT => String::new(),
        (Some(By::Src | By::Dst), libc::ETH_P_IP) => Ipv4Addr::new(a, b, c, d).to_string(),
        (Some(By::Src | By::Dst), libc::ETH_P_IPV6) => Ipv6Addr::from(key.address).to_string(),
        _ => String::new(),
    }
}

/// As the kernel's tries have it.
fn network(address: IpAddr, bits: u8) -> types::network {
    let mut bytes = [0; 16];
    let family = match address {
        IpAddr::V4(address) => {
            bytes[..4].copy_from_slice(&address.octets());
            4
        }
        IpAddr::V6(address) => {
            bytes = address.octets();
            6
        }
    };
    types::network {
        bits: 8 + u32::from(bits),
        family,
        address: bytes,
        ..types::network::default()
    }
}

fn protocol(key: &types::packet_key) -> String {
    let ethertype = i32::from(key.ethertype);
    if !matches!(ethertype, libc::ETH_P_IP | libc::ETH_P_IPV6) {
        let known = ETHERTYPES.iter().find(|(number, _)| *number == key.ethertype);
        return known
            .map_or_else(|| format!("ethernet-{ethertype:#06x}"), |(_, name)| (*name).into());
    }
    let known = PROTOCOLS.iter().find(|(number, _)| *number == key.protocol);
    let name = known.map_or_else(|| format!("ip-{}", key.protocol), |(_, name)| (*name).into());
    match types::echo(key.echo.into()) {
        types::echo::ECHO_ASKS => name + "-echo-request",
        types::echo::ECHO_ANSWERS => name + "-echo-reply",
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rules() {
        let v4 = |text: &str| text.parse::<IpAddr>().unwrap();
        for (text, rule) in [
            ("1.1.1.1", Rule::Network { address: v4("1.1.1.1"), bits: 32, src: true, dst: true }),
            (
                "src:10.0.0.0/8",
                Rule::Network { address: v4("10.0.0.0"), bits: 8, src: true, dst: false },
            ),
            ("dst:::1", Rule::Network { address: v4("::1"), bits: 128, src: false, dst: true }),
            ("fe80::/10", Rule::Network { address: v4("fe80::"), bits: 10, src: true, dst: true }),
            ("port:53", Rule::Port(53)),
            ("icmp", Rule::Protocol(1)),
            ("icmp-echo", Rule::Echo),
            ("arp", Rule::Arp),
        ] {
            assert_eq!(text.parse(), Ok(rule), "{text}");
        }
        for text in [
            "",
            "port:0",
            "port:65536",
            "port:x",
            "1.1.1",
            "1.1.1.1/33",
            "::/129",
            "src:tcp",
            "ICMP",
        ] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }
}
