//! Attacks by files, libraries and programs that belong to somebody else.

use crate::behaviours::Behaviour;

pub(crate) const CASES: &[(&str, Behaviour)] = &[];
