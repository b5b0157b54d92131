//! What guard's rules say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use super::{CONNECT, RULE_LEN};
use crate::filter::packets::Network;

/// What rules are of, as `enum act` of guard.bpf.h numbers them.
pub(super) const ACTS: &[&str] = &["open", "exec", "delete", "rename", "connect"];
pub(super) const OPEN: usize = 0;
pub(super) const EXEC: usize = 1;
pub(super) const DELETE: usize = 2;
pub(super) const RENAME: usize = 3;

/// With its NUL it is shorter than the room for it: its length is told by as many bits.
const TEXT_MAX: usize = RULE_LEN - 2;

/// A rule as the user gave it, and what it means.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) text: String,
    pub(super) what: What,
}

impl Rule {
    /// What it is of: an index of [`ACTS`].
    pub(super) fn act(&self) -> usize {
        match self.what {
            What::File { act, .. } => act,
            What::Connect { .. } => CONNECT,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// An act on a file, or on what is below a directory.
    File { act: usize, path: PathBuf, is_below: bool },
    /// To one of these networks; to this port, if it is one.
    Connect { networks: Vec<Network>, port: u16 },
}

type Parsed<T> = Result<T, String>;

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        if text.len() > TEXT_MAX {
            return Err(format!("a rule has at most {TEXT_MAX} bytes"));
        }
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        let what = match ACTS.iter().position(|act| *act == word) {
            Some(act) if word != "connect" => file(act, rest)?,
            Some(_) => connect(rest)?,
            None => {
                return Err("a rule is open:PATH, exec:PATH, delete:PATH, rename:PATH or \
                            connect:ADDRESS"
                    .into());
            }
        };
        Ok(Self { text: text.into(), what })
    }
}

fn file(act: usize, text: &str) -> Parsed<What> {
    let (path, is_below) = match text.strip_suffix("/*") {
        Some("") => ("/", true),
        Some(dir) => (dir, true),
        None => (text, false),
    };
    if !path.starts_with('/') {
        return Err("a path from the root is needed, like /etc/shadow".into());
    }
    if path.contains(['*', '?']) {
        return Err(
            "/* at the end stands for all that is below a directory, and there are no other \
                    wildcards"
                .into(),
        );
    }
    let path = Path::new(path);
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("a path without .. is needed".into());
    }
    if !is_below && path.file_name().is_none() {
        return Err("/* stands for all that is below the root directory".into());
    }
    // Without slashes at its end, or two for one.
    Ok(What::File { act, path: path.components().collect(), is_below })
}

/// `10.0.0.0/8`, `10.0.0.1:443`, `::1`, `[fe80::/10]:80`, `port:53`.
fn connect(text: &str) -> Parsed<What> {
    if let Some(port) = text.strip_prefix("port:") {
        let any = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let networks = any.map(|address: IpAddr| Network { address, bits: 0 }).to_vec();
        return Ok(What::Connect { networks, port: port_of(port)? });
    }
    let (network, port) = parts(text).unwrap_or(("", None));
    let port = port.map_or(Ok(0), port_of)?;
    let network = Network::read(network).map(as_ipv4);
    let network = network.ok_or(
        "neither an address nor a network: there are 10.0.0.1, 10.0.0.0/8, 10.0.0.1:443, ::1, \
         [fe80::/10]:80 and port:53",
    )?;
    Ok(What::Connect { networks: vec![network], port })
}

/// The network, and what is behind its colon.
fn parts(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (network, behind) = rest.split_once(']')?;
        let port = behind.strip_prefix(':');
        return (port.is_some() || behind.is_empty()).then_some((network, port));
    }
    match text.split_once(':') {
        Some((network, port)) if !port.contains(':') => Some((network, Some(port))),
        _ => Some((text, None)),
    }
}

fn port_of(text: &str) -> Parsed<u16> {
    match text.parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err("a port is a number from 1 to 65535".into()),
    }
}

/// An IPv4 network that is written as one of IPv6, `::ffff:10.0.0.0/104`: connects to it are looked
/// up as those of IPv4.
fn as_ipv4(network: Network) -> Network {
    match (network.address, network.bits.checked_sub(96)) {
        (IpAddr::V6(v6), Some(bits)) => match v6.to_ipv4_mapped() {
            Some(v4) => Network { address: v4.into(), bits },
            None => network,
        },
        _ => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rules_of_files() {
        for (text, act, path, is_below) in [
            ("open:/etc/shadow", 0, "/etc/shadow", false),
            ("exec:/tmp/*", 1, "/tmp", true),
            ("delete:/*", DELETE, "/", true),
            ("rename://a//./b/", RENAME, "/a/b", false),
            ("open:/usr/bin/[", 0, "/usr/bin/[", false),
            ("open:/a:b", 0, "/a:b", false),
        ] {
            let what = What::File { act, path: path.into(), is_below };
            assert_eq!(text.parse(), Ok(Rule { text: text.into(), what }), "{text}");
        }
        let longest = format!("open:/{}", "x".repeat(TEXT_MAX - 6));
        assert_eq!(longest.parse().map(|rule: Rule| rule.text.len()), Ok(254));
        let long = format!("{longest}x");
        for text in [
            "",
            "open",
            "open:",
            "open:/",
            "open:etc/shadow",
            "open:/etc/*.conf",
            "open:/*/shadow",
            "open:/etc/?",
            "open:/etc/../shadow",
            "read:/etc/shadow",
            "/etc/shadow",
            long.as_str(),
        ] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }

    #[test]
    fn reads_rules_of_connects() {
        for (text, network, bits, port) in [
            ("10.0.0.0/8", "10.0.0.0", 8, 0),
            ("10.0.0.1", "10.0.0.1", 32, 0),
            ("10.0.0.1:443", "10.0.0.1", 32, 443),
            ("10.0.0.0/8:443", "10.0.0.0", 8, 443),
            ("::1", "::1", 128, 0),
            ("::", "::", 128, 0),
            ("::/0", "::", 0, 0),
            ("[::1]", "::1", 128, 0),
            ("[fe80::/10]:80", "fe80::", 10, 80),
            ("::ffff:10.0.0.0/104", "10.0.0.0", 8, 0),
            ("0.0.0.0/0", "0.0.0.0", 0, 0),
        ] {
            let text = format!("connect:{text}");
            let networks = vec![Network { address: network.parse().unwrap(), bits }];
            let rule = text.parse::<Rule>().unwrap();
            assert_eq!(rule.what, What::Connect { networks, port }, "{text}");
        }
        let any = "connect:port:53".parse::<Rule>().unwrap();
        assert!(matches!(any.what, What::Connect { networks, port: 53 } if networks.len() == 2));
        for text in [
            "",
            "host",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.1:",
            "10.0.0.1:0",
            "10.0.0.1:x",
            "port:",
            "port:0",
            "port:65536",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[::1]:0",
            "[::1]80",
        ] {
            assert!(format!("connect:{text}").parse::<Rule>().is_err(), "{text}");
        }
    }
}
