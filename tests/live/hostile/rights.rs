//! Attacks by capabilities, and what another user can do.

use crate::behaviours::Behaviour;

pub(crate) const CASES: &[(&str, Behaviour)] = &[];
