//! Why packets are dropped, as the running kernel calls it: the numbers are others in each version.

use std::sync::OnceLock;

use super::{Dropsnoop, types};
use crate::error::{Error, Result};
use crate::system::kernel_types;

/// Nobody misses these: others' packets, what has come before, and what is left when a queue is
/// thrown away, like that of a socket that is closed.
const NORMAL: &[&str] = &[
    "OTHERHOST",
    "IPV6_NDISC_NS_OTHERHOST",
    "DUP_FRAG",
    "TCP_OLD_DATA",
    "TCP_OLD_ACK",
    "TCP_OFOMERGE",
    "QUEUE_PURGE",
    "SOCKET_CLOSE",
    "UNIX_DISCONNECT",
    "UNIX_SKIP_OOB",
];

/// What packets have that are not dropped.
const CONSUMED: &str = "SKB_CONSUMED";
const PREFIX: &str = "SKB_DROP_REASON_";
/// Above the number that a part of the kernel gives, there is the number of that part.
const PART_SHIFT: u32 = 16;

const SHOWN: u8 = types::verdict::VERDICT_SHOWN.0 as u8;
const HIDDEN: u8 = types::verdict::VERDICT_HIDDEN.0 as u8;
const UNWANTED: u8 = types::verdict::VERDICT_UNWANTED.0 as u8;

/// Of a run, for its rows.
static REASONS: OnceLock<Reasons> = OnceLock::new();

/// Names and numbers.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    /// Those of the kernel itself.
    own: Vec<(String, u32)>,
    /// Parts that have reasons of their own.
    parts: Vec<(String, u32)>,
    /// That of what is not dropped.
    consumed: Option<u32>,
}

/// What becomes of packets.
pub(super) struct Verdicts {
    /// By the number of the reason.
    pub(super) known: Vec<(u32, u8)>,
    /// For all other reasons.
    pub(super) others: u8,
}

impl Reasons {
    /// Those of the running kernel; none before Linux 5.17.
    pub(super) fn of_kernel() -> &'static Self {
        REASONS.get_or_init(|| {
            let names = ["skb_drop_reason", "skb_drop_reason_subsys"];
            let mut found = kernel_types::enumerators_of(&names).into_iter();
            let mut next = || found.next().unwrap_or_default();
            Self::new(next(), next())
        })
    }

    fn new(all: Vec<(String, u32)>, parts: Vec<(String, u32)>) -> Self {
        let consumed = all.iter().find(|(name, _)| name == CONSUMED).map(|(_, number)| *number);
        let is_limit = |name: &str| matches!(name, "MAX" | "SUBSYS_MASK" | "SUBSYS_NUM");
        let named = |all: Vec<(String, u32)>, prefix: &str| {
            let short = |(name, number): (String, u32)| {
                let name = name.strip_prefix(PREFIX)?;
                let is_one = !is_limit(name);
                is_one.then(|| (name.strip_prefix(prefix).unwrap_or(name).into(), number))
            };
            all.into_iter().filter_map(short).collect()
        };
        Self { own: named(all, ""), parts: named(parts, "SUBSYS_"), consumed }
    }

    /// `NETFILTER_DROP`, `OPENVSWITCH:3`; just its number where it has no name.
    fn name(&self, number: u32) -> String {
        let find = |of: &[(String, u32)], number| {
            of.iter().find(|(_, one)| *one == number).map(|(name, _)| name.clone())
        };
        let (part, rest) = (number >> PART_SHIFT, number & ((1 << PART_SHIFT) - 1));
        match (find(&self.own, number), find(&self.parts, part)) {
            (Some(name), _) => name,
            (None, Some(part_name)) if part > 0 => format!("{part_name}:{rest}"),
            _ => number.to_string(),
        }
    }

    /// The numbers of those whose names contain one of `words`.
    fn named(&self, words: &[String]) -> Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for word in words {
            let wanted = word.to_ascii_uppercase();
            let exact = self.own.iter().filter(|(name, _)| *name == wanted).collect::<Vec<_>>();
            let found = match exact.is_empty() {
                true => self.own.iter().filter(|(name, _)| name.contains(&wanted)).collect(),
                false => exact,
            };
            if found.is_empty() || wanted.is_empty() {
                return Err(self.unknown(word));
            }
            numbers.extend(found.into_iter().map(|(_, number)| *number));
        }
        Ok(numbers)
    }

    fn unknown(&self, word: &str) -> Error {
        let cause = format!("this kernel has no reason '{word}'");
        let error = Error::usage("dropsnoop", cause);
        if self.own.is_empty() {
            return error.hint("it names none: Linux 5.17 is the first that does");
        }
        let names = self.own.iter().map(|(name, _)| &**name).collect::<Vec<_>>();
        error.hint(format!("it has {}", names.join(", ")))
    }

    /// What becomes of packets, as the options say.
    pub(super) fn verdicts(&self, tool: &Dropsnoop) -> Result<Verdicts> {
        let with = |numbers: Vec<u32>, verdict| numbers.into_iter().map(move |one| (one, verdict));
        let consumed = with(self.consumed.into_iter().collect(), UNWANTED);
        if !tool.reason.is_empty() {
            let wanted = with(self.named(&tool.reason)?, SHOWN);
            return Ok(Verdicts { known: wanted.chain(consumed).collect(), others: UNWANTED });
        }
        let is_normal = |name: &str| !tool.all && NORMAL.contains(&name);
        let normal = self.own.iter().filter(|(name, _)| is_normal(name));
        let normal = with(normal.map(|(_, number)| *number).collect(), HIDDEN);
        let unwanted = with(self.named(&tool.not_reason)?, UNWANTED);
        Ok(Verdicts { known: normal.chain(unwanted).chain(consumed).collect(), others: SHOWN })
    }
}

/// The name of the reason with these bytes.
pub(super) fn name_in(number: &[u8]) -> Vec<u8> {
    let number = number.try_into().map_or(0, u32::from_ne_bytes);
    let name = REASONS.get().map_or_else(|| number.to_string(), |reasons| reasons.name(number));
    name.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons() -> Reasons {
        let own = [
            ("SKB_NOT_DROPPED_YET", 0),
            ("SKB_CONSUMED", 1),
            ("SKB_DROP_REASON_NOT_SPECIFIED", 2),
            ("SKB_DROP_REASON_NO_SOCKET", 3),
            ("SKB_DROP_REASON_SOCKET_RCVBUFF", 6),
            ("SKB_DROP_REASON_MAX", 7),
            ("SKB_DROP_REASON_SUBSYS_MASK", 0xffff_0000),
        ];
        let parts = [
            ("SKB_DROP_REASON_SUBSYS_CORE", 0),
            ("SKB_DROP_REASON_SUBSYS_OPENVSWITCH", 2),
            ("SKB_DROP_REASON_SUBSYS_NUM", 3),
        ];
        let named = |all: &[(&str, u32)]| all.iter().map(|(a, b)| ((*a).into(), *b)).collect();
        Reasons::new(named(&own), named(&parts))
    }

    #[test]
    fn names_are_those_of_the_kernel() {
        for (number, name) in [
            (3, "NO_SOCKET"),
            (7, "7"),
            (0x2_0005, "OPENVSWITCH:5"),
            (0x5_0005, "327685"),
            (0xffff_0000, "4294901760"),
        ] {
            assert_eq!(reasons().name(number), name);
        }
        assert_eq!(Reasons::default().name(5), "5");
    }

    #[test]
    fn reasons_are_found_by_a_part_of_their_names() {
        let found = |word: &str| reasons().named(&[word.into()]).map_err(|error| error.line());
        assert_eq!(found("socket"), Ok(vec![3, 6]));
        assert_eq!(found("NO_SOCKET"), Ok(vec![3]));
        assert_eq!(found(""), Err("dropsnoop: this kernel has no reason ''".into()));
        assert_eq!(found("MAX"), Err("dropsnoop: this kernel has no reason 'MAX'".into()));
    }
}
