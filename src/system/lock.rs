//! Locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is in there stays right when a thread panics in the middle: nothing is written in parts.
pub(crate) fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
