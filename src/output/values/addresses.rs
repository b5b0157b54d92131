//! Addresses of hosts.

use std::io::Write as _;
use std::net::IpAddr;

use serde::ser::{Serialize, Serializer};

use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;
use crate::system::protocols;

pub(super) const SHAPE: Shape = Shape::STRINGS;

pub(super) fn text(to: &mut Cell<'_>, addresses: Addresses<'_>) {
    for (i, address) in addresses.enumerate() {
        let _ = write!(to.text, "{}{address}", if i > 0 { "," } else { "" });
    }
}

pub(super) fn json(to: &mut Entry<'_>, addresses: Addresses<'_>) {
    to.value(addresses);
}

/// Addresses of hosts, as gethostlatency.bpf.c puts them into a tail.
#[derive(Clone, Copy, Debug)]
pub struct Addresses<'a> {
    bytes: &'a [u8],
    last: Option<IpAddr>,
}

impl<'a> Addresses<'a> {
    /// Each has the number of its family and 16 bytes. One that comes again, for another type of
    /// socket, is taken once.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, last: None }
    }
}

impl Iterator for Addresses<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        loop {
            let (family, rest) = self.bytes.split_first_chunk::<4>()?;
            let (bytes, rest) = rest.split_first_chunk::<16>()?;
            self.bytes = rest;
            let is_ipv4 = i32::from_ne_bytes(*family) == nix::libc::AF_INET;
            let address = protocols::address(*bytes, is_ipv4);
            if self.last.replace(address) != Some(address) {
                return Some(address);
            }
        }
    }
}

impl Serialize for Addresses<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses() {
        let mut bytes = 2u32.to_ne_bytes().to_vec();
        bytes.extend([127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(10u32.to_ne_bytes());
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend(b"cut");
        let found = Addresses::new(&bytes).map(|address| address.to_string()).collect::<Vec<_>>();
        assert_eq!(found, ["127.0.0.1", "::1"]);
    }
}
