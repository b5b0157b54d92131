//! Attacks by everything that could make a number leave the accounts, and outputs that fail.

use crate::behaviours::Behaviour;

pub(crate) const CASES: &[(&str, Behaviour)] = &[];
