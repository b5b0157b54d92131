//! Attacks by files, maps and stacks that are made to mislead `profile`.

use crate::behaviours::Behaviour;

pub(crate) const CASES: &[(&str, Behaviour)] = &[];
