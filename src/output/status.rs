//! The line at the bottom of a terminal that says what is going on. It is replaced, and gone when
//! anything else is written there.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::output::sink::Stream;
use crate::output::{fit, screen};
use crate::system::lock::locked;

/// To the beginning of the line, and nothing is there any more.
const CLEAR: &str = "\r\x1b[K";

/// So many of the last messages wait.
const HELD_MAX: usize = 1000;

/// The line of a process, which all have who write to its terminal.
#[derive(Clone, Debug)]
pub(crate) struct Status(Arc<State>);

/// Those that wait, and how many have come.
#[derive(Debug, Default)]
struct Held {
    lines: Vec<String>,
    all: u64,
}

#[derive(Debug)]
struct State {
    to: Arc<Stream>,
    is_wanted: bool,
    is_shown: Mutex<bool>,
    /// Lines that wait until the terminal is not drawn on any more.
    held: Arc<Mutex<Option<Held>>>,
}

impl Status {
    /// On this terminal, if it is one, and nobody else writes there what comes of the `rows`.
    pub(crate) fn new(to: Arc<Stream>, rows: &Stream) -> Self {
        // Who reads a pipe may write to the same terminal.
        let is_wanted = screen::obeys() && to.size().is_some() && !rows.has_reader();
        Self(Arc::new(State { to, is_wanted, is_shown: Mutex::default(), held: Arc::default() }))
    }

    /// Nothing is shown: `--quiet`.
    pub(crate) fn silent(&self) -> Self {
        let (to, held) = (self.0.to.clone(), self.0.held.clone());
        Self(Arc::new(State { to, is_wanted: false, is_shown: Mutex::default(), held }))
    }

    /// Is there anybody to see it?
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.is_wanted && !self.is_held()
    }

    /// The whole terminal is drawn on: messages have to wait.
    pub(crate) fn hold(&self) {
        self.clear();
        self.held().get_or_insert_default();
    }

    /// Do they?
    pub(crate) fn is_held(&self) -> bool {
        self.held().is_some()
    }

    /// Keeps a line that has to wait. Gives it back where it need not: nobody draws, or not there.
    pub(crate) fn keep(&self, line: String) -> Option<String> {
        let is_elsewhere = self.0.to.size().is_none();
        match &mut *self.held() {
            Some(held) => {
                held.all += 1;
                // The last line of a run has the sums.
                let gone = held.lines.len().saturating_sub(HELD_MAX - 1);
                held.lines.drain(..gone);
                held.lines.push(line.clone());
                is_elsewhere.then_some(line)
            }
            None => Some(line),
        }
    }

    /// How many have had to wait, and the last of them.
    pub(crate) fn kept(&self, most: usize) -> (u64, Vec<String>) {
        let held = self.held();
        let Some(Held { all, lines }) = &*held else { return Default::default() };
        (*all, lines[lines.len().saturating_sub(most)..].to_vec())
    }

    /// They need not wait any more: those that have not been written.
    pub(crate) fn release(&self) -> Vec<String> {
        let held = self.held().take().unwrap_or_default();
        if self.0.to.size().is_some() { held.lines } else { Vec::new() }
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        locked(&self.0.held)
    }

    /// Puts this text there, which has no hostile characters any more.
    pub(crate) fn show(&self, text: &str) {
        let Some((width, _)) = self.0.to.size().filter(|_| self.0.to.is_ours()) else { return };
        let mut is_shown = locked(&self.0.is_shown);
        // The last column would start another line in some terminals.
        let text = fit::text(text, width.saturating_sub(1));
        let _ = self.0.to.write(format!("{CLEAR}{text}").as_bytes());
        *is_shown = true;
    }

    /// Takes it away.
    pub(crate) fn clear(&self) {
        let mut is_shown = locked(&self.0.is_shown);
        if std::mem::take(&mut *is_shown) {
            let _ = self.0.to.write(CLEAR.as_bytes());
        }
    }
}

/// `1,024`
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_digits() {
        for (number, text) in [(0, "0"), (999, "999"), (1024, "1,024"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
