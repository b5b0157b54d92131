//! What a run has told of itself so far, for those who ask while it goes on; and how much it may show.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::output::series::Series;
use crate::run::loss::Accounts;
use crate::system::lock::locked;

/// The state of one run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The most events that are shown in a second; 0 for all.
    limit: AtomicU32,
    accounts: Mutex<Accounts>,
    /// What its reports add up to, where somebody wants to know.
    series: Option<Mutex<Series>>,
}

impl Tally {
    /// One that adds up reports.
    pub(crate) fn of_reports() -> Self {
        Self { series: Some(Mutex::default()), ..Self::default() }
    }

    /// From now on at most so many events a second are shown, or all.
    pub(crate) fn set_limit(&self, limit: Option<u32>) {
        self.limit.store(limit.unwrap_or(0), Ordering::Relaxed);
    }

    pub(crate) fn limit(&self) -> Option<u32> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
    }

    pub(crate) fn set_accounts(&self, accounts: &Accounts) {
        accounts.clone_into(&mut locked(&self.accounts));
    }

    /// As they were last told of: within the last second, or at the end.
    pub(crate) fn accounts(&self) -> Accounts {
        locked(&self.accounts).clone()
    }

    /// Adds something to the sums of reports, if somebody wants them.
    pub(crate) fn add_up(&self, add: impl FnOnce(&mut Series)) {
        if let Some(series) = &self.series {
            add(&mut locked(series));
        }
    }

    /// Those up to now.
    pub(crate) fn series(&self) -> Series {
        self.series.as_ref().map(|series| locked(series).clone()).unwrap_or_default()
    }
}
