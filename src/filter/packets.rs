//! Which packets something is done with: the user side of packet.bpf.h.

use std::net::IpAddr;
use std::str::FromStr;

use libbpf_rs::{MapCore as _, MapFlags, Object};

use crate::bpf::object;
use crate::bpf::shared::types::{self, packet_settings};
use crate::error::{Context as _, Result};
use crate::system::protocols;
use crate::system::sys;

/// Packets that something is to be done with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// Of a network: where packets come from, go to.
    Network {
        network: Network,
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
        if let Some(network) = Network::read(network) {
            return Ok(Rule::Network { network, src, dst });
        }
        match text {
            "icmp-echo" => return Ok(Rule::Echo),
            "icmp6-echo" => return Ok(Rule::Echo6),
            "arp" => return Ok(Rule::Arp),
            _ => {}
        }
        let known = protocols::PROTOCOLS.iter().find(|(_, name)| *name == text);
        known.map(|(number, _)| Rule::Protocol(*number)).ok_or_else(|| {
            let names = protocols::PROTOCOLS.iter().filter(|(number, _)| *number != protocols::CUT);
            let names = names.map(|(_, name)| *name).collect::<Vec<_>>();
            format!(
                "neither an address, a network, port:NUMBER nor a protocol: arp, icmp-echo, \
                 icmp6-echo, {}",
                names.join(", ")
            )
        })
    }
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Network {
    pub(crate) address: IpAddr,
    /// How many bits count.
    pub(crate) bits: u8,
}

impl Network {
    /// `10.0.0.0/8`, `::1`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        (bits <= all).then_some(Self { address, bits })
    }

    /// Is all of the other one in it?
    fn contains(self, other: Self) -> bool {
        let begins_alike = |one: &[u8], other: &[u8]| {
            let (bytes, rest) = (usize::from(self.bits / 8), self.bits % 8);
            let differs = |at: usize| rest > 0 && (one[at] ^ other[at]) >> (8 - rest) != 0;
            one[..bytes] == other[..bytes] && !differs(bytes)
        };
        self.bits <= other.bits
            && match (self.address, other.address) {
                (IpAddr::V4(one), IpAddr::V4(other)) => {
                    begins_alike(&one.octets(), &other.octets())
                }
                (IpAddr::V6(one), IpAddr::V6(other)) => {
                    begins_alike(&one.octets(), &other.octets())
                }
                _ => false,
            }
    }

    /// 4 or 6, and the address; one of IPv4 is in the first four bytes.
    pub(crate) fn bytes(self) -> (u8, [u8; 16]) {
        match self.address {
            IpAddr::V4(four) => {
                let mut address = [0; 16];
                address[..4].copy_from_slice(&four.octets());
                (4, address)
            }
            IpAddr::V6(six) => (6, six.octets()),
        }
    }

    /// As the kernel's tries have it.
    fn key(self) -> types::network {
        let (family, address) = self.bytes();
        let bits = 8 + u32::from(self.bits);
        types::network { bits, family, address, ..types::network::default() }
    }
}

/// Both sides mean the same by it.
const _: () = assert!(protocols::CUT as u32 == types::ip_protocol::PROTOCOL_CUT.0);

const RULE_DROP: u8 = types::rule::RULE_DROP.0 as u8;
const RULE_ONLY: u8 = types::rule::RULE_ONLY.0 as u8;

/// The rules of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PacketRules<'a> {
    /// What is dropped.
    pub(crate) drop: &'a [Rule],
    /// All others pass, and are not counted.
    pub(crate) only: &'a [Rule],
}

impl PacketRules<'_> {
    /// All rules, with their bits of `enum rule`.
    fn all(&self) -> impl Iterator<Item = (Rule, u8)> {
        let drop = self.drop.iter().map(|rule| (*rule, RULE_DROP));
        drop.chain(self.only.iter().map(|rule| (*rule, RULE_ONLY)))
    }

    /// The bits of those that are meant.
    fn bits(&self, is_meant: impl Fn(Rule) -> bool) -> u8 {
        let meant = self.all().filter(|(rule, _)| is_meant(*rule));
        meant.fold(0, |all, (_, bit)| all | bit)
    }

    /// Is this port named?
    pub(crate) fn have_port(&self, port: u16) -> bool {
        self.bits(|rule| rule == Rule::Port(port)) != 0
    }

    /// The rules of a network, and of all that it is in, of sources or of destinations: the kernel
    /// looks at the smallest network alone.
    fn of_network(&self, wanted: Network, of_src: bool) -> u8 {
        self.bits(|rule| match rule {
            Rule::Network { network, src, dst } => {
                network.contains(wanted) && if of_src { src } else { dst }
            }
            _ => false,
        })
    }

    /// Before the programs are loaded: what they are to count by, and what there are rules of.
    pub(crate) fn settings(&self, by: u8) -> packet_settings {
        let with_only = (!self.only.is_empty()).into();
        let mut settings = packet_settings { by, with_only, ..packet_settings::default() };
        for (rule, bit) in self.all() {
            match rule {
                Rule::Network { src, dst, .. } => {
                    settings.with_src |= u8::from(src);
                    settings.with_dst |= u8::from(dst);
                }
                Rule::Port(_) => settings.with_ports = 1,
                Rule::Protocol(number) => {
                    let protocols = match bit {
                        RULE_DROP => &mut settings.protocols,
                        _ => &mut settings.only_protocols,
                    };
                    protocols[usize::from(number / 64)] |= 1 << (number % 64);
                }
                Rule::Echo => settings.echo |= bit,
                Rule::Echo6 => settings.echo6 |= bit,
                Rule::Arp => settings.arp |= bit,
            }
        }
        settings
    }

    /// Fills the maps of networks and ports.
    ///
    /// # Errors
    ///
    /// When there are more than they have room for.
    pub(crate) fn fill(&self, object: &Object) -> Result<()> {
        let update = |map: &str, key: &[u8], bits: u8| {
            object::map(object, map)?.update(key, &[bits], MapFlags::ANY).doing("filling the rules")
        };
        for (rule, _) in self.all() {
            match rule {
                Rule::Network { network, src, dst } => {
                    let key = network.key();
                    if src {
                        let bits = self.of_network(network, true);
                        update("rules_of_src", sys::bytes_of(&key), bits)?;
                    }
                    if dst {
                        let bits = self.of_network(network, false);
                        update("rules_of_dst", sys::bytes_of(&key), bits)?;
                    }
                }
                Rule::Port(port) => {
                    let bits = self.bits(|other| other == rule);
                    update("rules_of_ports", &port.to_ne_bytes(), bits)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rules() {
        let network = |text: &str| Network::read(text).unwrap();
        for (text, rule) in [
            ("1.1.1.1", Rule::Network { network: network("1.1.1.1/32"), src: true, dst: true }),
            (
                "src:10.0.0.0/8",
                Rule::Network { network: network("10.0.0.0/8"), src: true, dst: false },
            ),
            ("dst:::1", Rule::Network { network: network("::1/128"), src: false, dst: true }),
            ("fe80::/10", Rule::Network { network: network("fe80::/10"), src: true, dst: true }),
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

    #[test]
    fn networks_have_the_rules_of_those_around_them() {
        let rules =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Rule>>();
        let (drop, only) = (rules(&["10.0.0.0/8", "::/0"]), rules(&["10.1.0.0/16", "0.0.0.0/0"]));
        let rules = PacketRules { drop: &drop, only: &only };
        let network = |text: &str| Network::read(text).unwrap();
        for (text, bits) in [("10.0.0.0/8", 3), ("10.1.0.0/16", 3), ("0.0.0.0/0", 2), ("::/0", 1)] {
            assert_eq!(rules.of_network(network(text), true), bits, "{text}");
        }
    }
}
