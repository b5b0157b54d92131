//! Rows of packets that were counted together: what xdpfilter and tcfilter show.

use nix::libc;

use crate::bpf::shared::types::{echo, packet_key, packet_value, packets_by};
use crate::output::{Column, Value};
use crate::record::{self, Header, Record};
use crate::run::summary::Sum;
use crate::run::tables;
use crate::system::protocols;

/// The sum of all CPUs.
#[derive(Debug, Default)]
pub(crate) struct Row {
    protocol: String,
    src: String,
    dst: String,
    port: u16,
    /// Whose they are, where that is known and they are counted by it.
    pub(super) owner: Owner,
    action: &'static str,
    packets: u64,
    bytes: u64,
}

/// Whose packets are, as far as they are counted by it.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Owner {
    pub(super) pid: u32,
    pub(super) comm: [u8; 16],
    pub(super) cgroup: u64,
    /// The path of that cgroup.
    pub(super) path: Vec<u8>,
}

impl record::Row for Row {
    fn of_any(bytes: &[u8], show: &mut dyn FnMut(&Record<'_, Self>)) {
        let (key, value) = tables::entry_of(bytes);
        for by in [
            packets_by::PACKETS_BY_PROTOCOL,
            packets_by::PACKETS_BY_SRC,
            packets_by::PACKETS_BY_DST,
            packets_by::PACKETS_BY_PORT,
        ] {
            let mut row = Self::new(&key, by, "pass");
            row.owner.pid = key.cpu;
            row.owner.comm = key.address;
            row.add(&value);
            show(&Record::of(&Header::default(), &row));
        }
    }
}

impl Sum for Row {
    type Id = (String, String, String, u16, Owner, &'static str);

    fn id(&self) -> Self::Id {
        let (protocol, src, dst) = (self.protocol.clone(), self.src.clone(), self.dst.clone());
        (protocol, src, dst, self.port, self.owner.clone(), self.action)
    }

    fn weight(&self) -> u64 {
        self.packets
    }

    fn events(&self) -> u64 {
        self.packets
    }
}

impl Row {
    pub(super) fn new(key: &packet_key, by: packets_by, action: &'static str) -> Self {
        let row = Self { protocol: protocol(key), port: key.port, action, ..Self::default() };
        match by {
            packets_by::PACKETS_BY_SRC => Self { src: address(key), ..row },
            packets_by::PACKETS_BY_DST => Self { dst: address(key), ..row },
            _ => row,
        }
    }

    pub(super) fn add(&mut self, value: &packet_value) {
        self.packets += value.packets;
        self.bytes += value.bytes;
    }
}

type Col = Column<Row>;

pub(super) const PROTOCOL: Col =
    Col::text("PROTOCOL", "protocol", 18, "of IP, or else the type of the frame", |r| {
        Value::Text(r.event.protocol.as_bytes())
    });

pub(super) const SRC: Col =
    Col::text("SRC", "src", 16, "the address that they come from", |r| known(&r.event.src))
        .hidden()
        .with(&["--by=src"]);

pub(super) const DST: Col =
    Col::text("DST", "dst", 16, "the address that they go to", |r| known(&r.event.dst))
        .hidden()
        .with(&["--by=dst"]);

pub(super) const PORT: Col =
    Col::uint("PORT", "port", 6, "the port that they go to", |r| match r.event.port {
        0 => Value::None,
        port => Value::Uint(port.into()),
    })
    .hidden()
    .with(&["--by=port"]);

pub(super) const ACTION: Col =
    Col::word("ACTION", "action", 6, "pass or drop", |r| Value::Word(r.event.action));

pub(super) const PACKETS: Col =
    Col::uint("PACKETS", "count", 10, "how many packets", |r| Value::Uint(r.event.packets)).sum();

pub(super) const BYTES: Col =
    Col::uint("BYTES", "bytes", 12, "how many bytes, Ethernet headers too", |r| {
        Value::Uint(r.event.bytes)
    })
    .sum();

fn known(address: &str) -> Value<'_> {
    if address.is_empty() { Value::None } else { Value::Text(address.as_bytes()) }
}

fn address(key: &packet_key) -> String {
    if key.protocol == protocols::CUT || !protocols::is_ip(key.ethertype) {
        return String::new();
    }
    let is_ipv4 = i32::from(key.ethertype) == libc::ETH_P_IP;
    protocols::address(key.address, is_ipv4).to_string()
}

fn protocol(key: &packet_key) -> String {
    if !protocols::is_ip(key.ethertype) {
        return protocols::of_ethernet(key.ethertype);
    }
    let name = protocols::of_ip(key.protocol);
    match echo(key.echo.into()) {
        echo::ECHO_ASKS => name + "-echo-request",
        echo::ECHO_ANSWERS => name + "-echo-reply",
        _ => name,
    }
}
