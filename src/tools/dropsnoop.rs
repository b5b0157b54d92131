//! dropsnoop: packets that the kernel drops, where and why.

mod reasons;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{LazyLock, Mutex};

use libbpf_rs::{MapCore as _, MapFlags, Object};
use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sys::statfs::{NSFS_MAGIC, statfs};

use super::packets;
use super::prelude::*;
use crate::attach::plan::{Attachment, Role};
use crate::bpf::dropsnoop::{DropsnoopSkelBuilder, types};
use crate::bpf::object;
use crate::bpf::programs::Program;
use crate::bpf::programs::dropsnoop::ON_DROP;
use crate::bpf::shared::types::collect;
use crate::error::{Context as _, Error};
use crate::escape;
use crate::filter::packets::{PacketRules, Rule};
use crate::filter::tasks::FilterOptions;
use crate::output::values;
use crate::record::{self, Record};
use crate::system::kernel;
use crate::system::lock::locked;
use crate::system::symbols::Kernel;
use crate::system::sys;
use reasons::Reasons;

/// Show packets that the kernel drops, where and why
#[derive(Args, Debug)]
#[command(mut_arg("command", |arg| arg.help("Run this command, show what is dropped in the network namespace that it starts in, which is that of ebtools, and exit when it does, with its exit code. For one that it enters, give --netns FILE. Its standard output goes to standard error")))]
pub(crate) struct Dropsnoop {
    /// Only packets that match: 1.1.1.1, 10.0.0.0/8, src:ADDRESS, dst:ADDRESS, port:53, or a protocol
    /// like tcp, icmp-echo, arp; may be repeated
    #[arg(long, value_name = "RULE")]
    only: Vec<Rule>,

    /// Only those that are dropped for these reasons, like NO_SOCKET or a part of a name; may be repeated
    #[arg(long, value_name = "REASON", value_delimiter = ',', conflicts_with = "not_reason")]
    reason: Vec<String>,

    /// None that are dropped for these reasons; may be repeated
    #[arg(long, value_name = "REASON", value_delimiter = ',')]
    not_reason: Vec<String>,

    /// Those that nobody misses too, and messages between sockets of this machine
    #[arg(long)]
    all: bool,

    /// Only packets of IPv4
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Only packets of IPv6
    #[arg(short = '6', long)]
    ipv6: bool,

    /// Only of the network interface of this name
    #[arg(long, value_name = "INTERFACE", value_parser = device)]
    dev: Option<String>,

    /// Only in the network namespace of this process, or in that of a file like /run/netns/NAME
    #[arg(long, value_name = "PID")]
    netns: Option<String>,

    /// The kernel's calls that led to each drop, the last one first
    #[arg(long)]
    stack: bool,

    #[command(flatten)]
    options: EventOptions,
}

/// `IFNAMSIZ`, with a NUL.
const DEVICE_LEN: usize = 16;

/// The most of a stack: 64 calls.
const STACK_LEN: usize = 64 * size_of::<u64>();

/// netinet/tcp.h
const TCP_FLAGS: &[(&str, u64)] = &[
    ("FIN", 1),
    ("SYN", 2),
    ("RST", 4),
    ("PSH", 8),
    ("ACK", 16),
    ("URG", 32),
    ("ECE", 64),
    ("CWR", 128),
];

fn device(name: &str) -> std::result::Result<String, String> {
    let is_one = (1..DEVICE_LEN).contains(&name.len());
    is_one.then(|| name.into()).ok_or_else(|| "an interface has a name of 1 to 15 bytes".into())
}

type Col = Column<types::event>;

const DROPS: Hook =
    Hook { name: "tracepoint kfree_skb", probes: &[Probe::events(ON_DROP, Point::Declared)] };

impl Tool for Dropsnoop {
    type Row = types::event;
    const OF_TASKS: bool = false;
    const SUMMARY: &'static [(&'static str, &'static str)] =
        &[("hidden", "how many drops were not shown without --all")];
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("-T --only port:5432", "what is dropped of a database's packets"),
        ("--count=reason,location -i 10", "why and where, every ten seconds"),
        ("--netns 1234 --json", "a container's drops, by one of its processes, as JSON Lines"),
        ("--reason NETFILTER_DROP --stack", "what the firewall drops, and on which way"),
    ];
    const TASK: &'static [Col] = &[
        Col::TIME_IF_ASKED,
        Col {
            about: "the user of the packet's socket, by number; without one, of who drops it",
            value: |r| if_known(r, types::known::KNOWN_UID, Value::Uint(r.header.uid.into())),
            ..Col::UID_IF_ASKED
        },
        Col {
            about: "the number of the cgroup (v2) of the socket; without one, of who drops it",
            value: |r| some(r.header.cgroup_id),
            ..Col::CGROUP
        },
        Col::CONTAINER,
        Col::NAMESPACE,
        Col::POD,
        Col::CONTAINER_NAME,
    ];
    const COLUMNS: &'static [Col] = &[
        Col::made("PROTOCOL", "protocol", 18, "of IP, or else the type of the frame", protocol),
        Col::made("SRC", "src", 15, "the address that it comes from", |r| {
            if_known(r, types::known::KNOWN_IP, Value::Made(packets::src_in, packet(r)))
        }),
        Col::uint("SPORT", "src_port", 5, "the port that it comes from", |r| {
            some(r.event.src_port.into())
        }),
        Col::made("DST", "dst", 15, "the address that it goes to", |r| {
            if_known(r, types::known::KNOWN_IP, Value::Made(packets::dst_in, packet(r)))
        }),
        Col::uint("DPORT", "dst_port", 5, "the port that it goes to", |r| {
            some(r.event.packet.port.into())
        }),
        Col::flags("FLAGS", "tcp_flags", 7, "the flags of TCP", |r| {
            let (first, bits, known) = ("", r.event.tcp_flags.into(), TCP_FLAGS);
            let flags = Value::Flags(values::Flags { first, bits, known });
            if_known(r, types::known::KNOWN_TCP, flags)
        })
        .json_only(),
        Col::uint("BYTES", "bytes", 5, "how long it is, from its IP header on", |r| {
            Value::Uint(r.event.len.into())
        })
        .derived(),
        Col::uint("SEGMENTS", "segments", 8, "how many packets it is on the wire", |r| {
            Value::Uint(r.event.segments.into())
        })
        .json_only()
        .derived(),
        Col::text("DEV", "dev", 8, "the network interface", |r| {
            match record::c_str(&r.event.dev) {
                b"" => Value::None,
                name => Value::Text(name),
            }
        }),
        Col::uint("NETNS", "netns", 10, "the number of the network namespace", |r| {
            some(r.event.netns.into())
        })
        .json_only(),
        Col::made(
            "REASON",
            "reason",
            16,
            "why, as this kernel calls it; nothing before Linux 5.17",
            |r| match r.event.reason {
                0 => Value::None,
                _ => Value::Made(reasons::name_in, sys::bytes_of(&r.event.reason)),
            },
        ),
        Col::made("LOCATION", "location", 28, "the kernel's function that drops it", |r| {
            Value::Made(place_in, sys::bytes_of(&r.event.location))
        }),
        Col::uint("PID", "pid", 7, "the process that drops it, if it is not the kernel", |r| {
            some(r.header.pid.into())
        }),
        Col::text("COMM", "comm", 0, "the name of its thread", |r| match r.header.pid {
            0 => Value::None,
            _ => Value::Text(record::c_str(&r.header.comm)),
        }),
        Col::stack("STACK", "stack", 0, "the kernel's calls that led to it, the last first", |r| {
            Value::Stack(call_in, stack_of(r))
        })
        .hidden()
        .added_by("--stack")
        .collect(collect::COLLECT_STACK),
    ];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        self.check_rules()?;
        let session = Session::start_of_packets(host, &self.options)?;
        let interrupts = interrupts();
        self.check_processes(interrupts)?;
        self.look_for_device(host);
        let netns = self.netns()?;
        let reasons = Reasons::of_kernel();
        let verdicts = reasons.verdicts(&self)?;
        let packets = self.rules().settings(0);
        let options = LoadOptions { packets, ..LoadOptions::from(columns) };
        let plan = Plan::new(&[&DROPS]).and(Rules { tool: &self, verdicts: verdicts.known });
        let mut storage = Storage::new();
        let (skel, attached) =
            session.attach::<DropsnoopSkelBuilder>(&mut storage, options, plan, |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    constants.other_verdict = verdicts.others;
                    constants.with_messages = (self.all || !self.reason.is_empty()).into();
                    constants.only_netns = netns;
                    constants.only_ethertype = self.ethertype();
                    (constants.cpus, constants.interrupts) = interrupts;
                    let name = self.dev.as_deref().unwrap_or_default().bytes();
                    constants.only_dev.iter_mut().zip(name).for_each(|(to, from)| *to = from);
                }
            })?;
        session.run(skel.object(), attached, columns, |_| true)
    }
}

impl Dropsnoop {
    fn rules(&self) -> PacketRules<'_> {
        PacketRules { drop: &[], only: &self.only }
    }

    /// Of all that are wanted, in the packet's order; 0 for any.
    fn ethertype(&self) -> u16 {
        match (self.ipv4, self.ipv6) {
            (true, _) => (libc::ETH_P_IP as u16).to_be(),
            (_, true) => (libc::ETH_P_IPV6 as u16).to_be(),
            _ => 0,
        }
    }

    /// Can any packet of this version of IP match a rule?
    fn check_rules(&self) -> Result<()> {
        let version = if self.ipv4 { 4 } else { 6 };
        let can_match = |rule: &Rule| match rule {
            Rule::Arp => false,
            Rule::Echo => self.ipv4,
            Rule::Echo6 => self.ipv6,
            Rule::Network { network, .. } => network.address.is_ipv4() == self.ipv4,
            Rule::Port(_) | Rule::Protocol(_) => true,
        };
        let is_any = !self.ipv4 && !self.ipv6 || self.only.is_empty();
        if is_any || self.only.iter().any(can_match) {
            return Ok(());
        }
        Err(Error::usage("--only", format!("no packet of IPv{version} matches that")))
    }

    /// Is it known which process drops a packet, if that is asked for?
    fn check_processes(&self, (_, count): (u64, u64)) -> Result<()> {
        let FilterOptions { pid, tid, name, .. } = &self.options.common.filter;
        let is_asked = !pid.is_empty() || !tid.is_empty() || name.is_some();
        if !is_asked || count > 0 || cfg!(target_arch = "aarch64") {
            return Ok(());
        }
        let cause = "this kernel does not tell which process drops a packet, so that -p, --tid and \
                     -n would show none (CONFIG_KALLSYMS_ALL)";
        Err(Error::new("dropsnoop", cause)
            .hint("-u and --cgroup are for the packet's socket, --netns for a network namespace"))
    }

    /// It may come later, or be that of another network namespace.
    fn look_for_device(&self, host: &Host) {
        let Some(name) = self.dev.as_deref().filter(|_| self.netns.is_none()) else { return };
        if if_nametoindex(name).is_err() {
            let name = escape::text(name.as_bytes());
            let text = format!("there is no interface {name} in this network namespace now");
            host.messages.say(text);
        }
    }

    /// The number of the one that is asked for; of a command it is our own. 0 for any.
    fn netns(&self) -> Result<u32> {
        let file = match self.netns.as_deref() {
            Some(pid) if pid.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("/proc/{pid}/ns/net")
            }
            Some(file) => file.into(),
            None if self.options.common.run.command.is_empty() => return Ok(0),
            None => "/proc/self/ns/net".into(),
        };
        let doing =
            || format!("looking for the network namespace {}", escape::text(file.as_bytes()));
        let found = fs::metadata(&file).doing(doing())?;
        let kind = statfs(file.as_str()).doing(doing())?.filesystem_type();
        let number = u32::try_from(found.ino()).ok().filter(|_| kind == NSFS_MAGIC);
        number.ok_or_else(|| Error::new(doing(), "this file is no namespace"))
    }
}

/// Which packets, and which reasons.
struct Rules<'a> {
    tool: &'a Dropsnoop,
    verdicts: Vec<(u32, u8)>,
}

impl Attachment for Rules<'_> {
    fn programs(&self) -> Vec<(Program, Role)> {
        Vec::new()
    }

    fn prepare(&mut self, object: &Object) -> Result<()> {
        let map = object::map(object, "verdicts")?;
        for (reason, verdict) in &self.verdicts {
            let done = map.update(&reason.to_ne_bytes(), &[*verdict], MapFlags::ANY);
            done.doing("filling the reasons")?;
        }
        self.tool.rules().fill(object)
    }

    fn attach(&mut self, _: &Object) -> Result<()> {
        Ok(())
    }
}

/// Without the calls of the tracepoint and of who frees it: from the location on, where that is a call.
fn stack_of<'a>(record: &Record<'a, types::event>) -> &'a [u8] {
    let location = record.event.location.to_ne_bytes();
    let at = record.tail.chunks_exact(location.len()).position(|call| call == location);
    let stack = at.map_or(record.tail, |calls| &record.tail[calls * location.len()..]);
    &stack[..stack.len().min(STACK_LEN)]
}

fn packet<'a>(record: &Record<'a, types::event>) -> &'a [u8] {
    sys::bytes_of(&record.event.packet)
}

/// Of what is no packet there is none.
fn protocol<'a>(record: &Record<'a, types::event>) -> Value<'a> {
    match record.event.packet.ethertype {
        0 => Value::None,
        _ => Value::Made(packets::protocol_in, packet(record)),
    }
}

/// The value, if it is known.
fn if_known<'a>(
    record: &Record<'a, types::event>,
    known: types::known,
    value: Value<'a>,
) -> Value<'a> {
    if u32::from(record.event.known) & known.0 > 0 { value } else { Value::None }
}

fn some(number: u64) -> Value<'static> {
    if number == 0 { Value::None } else { Value::Uint(number) }
}

/// Where the kernel keeps the memory of each CPU, and in that the count of interrupts; 0 for what it does
/// not tell. Since Linux 6.2, up to 6.14, the count is in a struct.
fn interrupts() -> (u64, u64) {
    let [cpus, of_struct, own] =
        kernel::addresses(["__per_cpu_offset", "pcpu_hot", "__preempt_count"]);
    let count = if of_struct > 0 { of_struct } else { own };
    (cpus, if cpus > 0 { count } else { 0 })
}

/// Read when the first address is looked for.
static KERNEL: LazyLock<Mutex<Kernel>> = LazyLock::new(|| Mutex::new(Kernel::read()));

fn place_in(address: &[u8]) -> Vec<u8> {
    locked(&KERNEL).place(address_of(address))
}

fn call_in(address: &[u8]) -> Vec<u8> {
    locked(&KERNEL).call(address_of(address))
}

fn address_of(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_ne_bytes)
}
