//! Names of protocols: those of IP by their numbers (linux/in.h), and types of Ethernet frames.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::libc;

/// The header of IP is cut off: a number that IP leaves free.
pub(crate) const CUT: u8 = 255;

/// Protocols of IP.
pub(crate) const PROTOCOLS: &[(u8, &str)] = &[
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
    (CUT, "ip-cut"),
];

/// Ethernet frames that are no IP packets: linux/if_ether.h.
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

/// A protocol of IP: `ip-99` for one without a name.
pub(crate) fn of_ip(number: u8) -> String {
    let known = PROTOCOLS.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("ip-{number}"), |(_, name)| (*name).into())
}

/// A type of frames: `ethernet-0x1234` for one without a name.
pub(crate) fn of_ethernet(number: u16) -> String {
    let known = ETHERTYPES.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("ethernet-{number:#06x}"), |(_, name)| (*name).into())
}

/// An address of IPv4 is in the first four bytes.
pub(crate) fn address(bytes: [u8; 16], is_ipv4: bool) -> IpAddr {
    let [a, b, c, d, ..] = bytes;
    if is_ipv4 { Ipv4Addr::new(a, b, c, d).into() } else { Ipv6Addr::from(bytes).into() }
}

/// Is it a frame with an IP packet?
pub(crate) fn is_ip(ethertype: u16) -> bool {
    matches!(i32::from(ethertype), libc::ETH_P_IP | libc::ETH_P_IPV6)
}
