//! Are we allowed to? Asked before anything else, so that the answer is quick and plain.

use caps::{CapSet, Capability};

use crate::error::{Error, Result};

/// For BPF programs that trace, and for their maps.
pub(crate) const BPF: &[Capability] = &[Capability::CAP_BPF, Capability::CAP_PERFMON];
/// tracefs, which names the tracepoints of system calls, is closed to all but root.
pub(crate) const TRACEFS: &[Capability] = &[Capability::CAP_DAC_READ_SEARCH];
/// uprobes through perf.
pub(crate) const UPROBE: &[Capability] = &[Capability::CAP_SYS_ADMIN];

/// Succeeds if this process has all of `needs`.
///
/// # Errors
///
/// One line that names those that are missing.
pub(crate) fn check(tool: &str, needs: &[&[Capability]]) -> Result<()> {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(true);
    // CAP_SYS_ADMIN contains the two newer ones, which were split off it in Linux 5.8.
    let admin = has(Capability::CAP_SYS_ADMIN);
    let missing = needs
        .iter()
        .copied()
        .flatten()
        .filter(|&&need| !(has(need) || admin && BPF.contains(&need)))
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::new(tool, format!("not permitted: needs {}", missing.join(" and ")))
        .hint(format!("run it as root: sudo ebtools {tool}")))
}
