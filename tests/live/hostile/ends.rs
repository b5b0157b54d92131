//! Attacks by signals, outputs that block, the end of the command.

use crate::behaviours::Behaviour;

pub(crate) const CASES: &[(&str, Behaviour)] = &[];
