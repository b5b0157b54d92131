//! Attacks by what the kernel does not tell, and blocked callers.

use crate::behaviours::Behaviour;

pub(crate) const CASES: &[(&str, Behaviour)] = &[];
