//! Attacks: each case has a real attacker, another user or a process made to do harm, and failed
//! before what it shows was mended.

mod accounts;
mod calls;
mod ends;
mod files;
mod images;
mod kernel;
mod profiles;
mod rights;

use crate::behaviours::Behaviour;

/// The cases, by what they attack.
pub(crate) const ALL: &[&[(&str, Behaviour)]] = &[
    accounts::CASES,
    calls::CASES,
    ends::CASES,
    files::CASES,
    kernel::CASES,
    profiles::CASES,
    rights::CASES,
];
