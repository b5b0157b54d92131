//! Rows of packets that were counted together: what xdpfilter and tcfilter show.

use clap::ValueEnum;
use nix::libc;

use crate::bpf::shared::types::{echo, owned_key, packet_key, packet_value, packets_by};
use crate::output::{Column, Value};
use crate::record::{self, Header, Record};
use crate::run::summary::Sum;
use crate::run::tables;
use crate::run::task_key::{OfTasks, TaskField, TaskKey, TaskKeys};
use crate::system::protocols;

/// The sum of all CPUs.
#[derive(Debug, Default)]
pub(crate) struct Row {
    protocol: String,
    src: String,
    dst: String,
    port: u16,
    /// Whose they are, where that is known and they are counted by it.
    owner: TaskKey,
    action: &'static str,
    packets: u64,
    bytes: u64,
}

impl record::Row for Row {
    fn of_any(bytes: &[u8], show: &mut dyn FnMut(&Record<'_, Self>)) {
        let (key, value) = tables::entry_of::<owned_key, _>(bytes);
        let owner = TaskKeys::by([TaskField::Pid, TaskField::Uid]).key(&key.task);
        for by in [0, 7] {
            let mut row = Self::new(&key.packet, by, "pass").of(owner.clone());
            row.add(&value);
            show(&Record::of(&Header::default(), &row));
        }
    }
}

impl OfTasks for Row {
    fn task(&self) -> &TaskKey {
        &self.owner
    }
}

impl Sum for Row {
    type Id = (String, String, String, u16, TaskKey, &'static str);

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
    /// `by`: bits of `enum packets_by`.
    pub(super) fn new(key: &packet_key, by: u8, action: &'static str) -> Self {
        let has = |bit: packets_by| u32::from(by) & bit.0 > 0;
        let address = |is, address| if is { self::address(key, address) } else { String::new() };
        let src = address(has(packets_by::PACKETS_BY_SRC), key.src);
        let dst = address(has(packets_by::PACKETS_BY_DST), key.dst);
        Self { protocol: protocol(key), src, dst, port: key.port, action, ..Self::default() }
    }

    /// The same, of an owner.
    pub(super) fn of(self, owner: TaskKey) -> Self {
        Self { owner, ..self }
    }

    pub(super) fn add(&mut self, value: &packet_value) {
        self.packets += value.packets;
        self.bytes += value.bytes;
    }
}

/// What packets are counted by that tools which see them have in common.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(super) enum PacketField {
    /// The source address
    Src,
    /// The destination address
    Dst,
    /// The destination port
    Port,
}

impl PacketField {
    /// A bit of `enum packets_by`.
    fn bit(self) -> u32 {
        match self {
            Self::Src => packets_by::PACKETS_BY_SRC.0,
            Self::Dst => packets_by::PACKETS_BY_DST.0,
            Self::Port => packets_by::PACKETS_BY_PORT.0,
        }
    }
}

/// What the kernel side is told of them.
pub(super) fn bits(by: impl IntoIterator<Item = PacketField>) -> u8 {
    u8::try_from(by.into_iter().fold(0, |bits, field| bits | field.bit())).unwrap_or(0)
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

/// As it is counted by: of IP, or else the type of the frame.
pub(super) fn protocol_in(bytes: &[u8]) -> Vec<u8> {
    protocol(&tables::typed(bytes)).into_bytes()
}

/// The address that it comes from.
pub(super) fn src_in(bytes: &[u8]) -> Vec<u8> {
    let key = tables::typed::<packet_key>(bytes);
    address(&key, key.src).into_bytes()
}

/// The address that it goes to.
pub(super) fn dst_in(bytes: &[u8]) -> Vec<u8> {
    let key = tables::typed::<packet_key>(bytes);
    address(&key, key.dst).into_bytes()
}

fn known(address: &str) -> Value<'_> {
    if address.is_empty() { Value::None } else { Value::Text(address.as_bytes()) }
}

fn address(key: &packet_key, address: [u8; 16]) -> String {
    if key.protocol == protocols::CUT || !protocols::is_ip(key.ethertype) {
        return String::new();
    }
    let is_ipv4 = i32::from(key.ethertype) == libc::ETH_P_IP;
    protocols::address(address, is_ipv4).to_string()
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
