//! `--live`: rows on the whole terminal, drawn again when they change, or somebody presses a key.

use std::time::{Duration, Instant};

use crate::output::buffer::Output;
use crate::output::fit;
use crate::output::live::{Live, Pressed};
use crate::output::screen::LOSS;
use crate::run::host::Host;
use crate::run::options::OutputOptions;

/// It is drawn no more often than that, unless a key was pressed.
const PAUSE: Duration = Duration::from_millis(250);
/// So many messages are shown.
const MESSAGES: usize = 3;

/// To the beginning of the screen. What is there in the rest of the line goes, or of the screen.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";

/// Rows, and the terminal that they are drawn on.
#[derive(Debug)]
pub(crate) struct Drawing {
    pub(crate) rows: Live,
    pub(crate) is_changed: bool,
    host: Host,
    options: OutputOptions,
    /// When, and how large the terminal was.
    drawn: Option<(Instant, (usize, usize))>,
    /// Messages that had come then.
    told: u64,
}

impl Drawing {
    pub(crate) fn new(host: &Host, options: &OutputOptions) -> Self {
        let (host, options) = (host.clone(), options.clone());
        Self {
            rows: Live::new(options.wide),
            is_changed: true,
            host,
            options,
            drawn: None,
            told: 0,
        }
    }

    /// Draws it, if it is time to, and the terminal is this process's: the shell may have it.
    pub(crate) fn draw(&mut self, output: &mut Output) {
        let Some(size) = self.host.size().filter(|_| !self.rows.is_over() && self.host.may_draw())
        else {
            return;
        };
        if self.drawn.is_none() {
            self.host.take_terminal();
        }
        let (keys, is_back) = self.host.keys();
        let pressed = self.rows.press(&keys);
        if pressed == Pressed::End {
            self.host.end();
        }
        let told = self.host.messages.waiting(0).0;
        let is_due = match self.drawn {
            None => true,
            Some((_, before)) if before != size || pressed == Pressed::Changed || is_back => true,
            Some((at, _)) => at.elapsed() >= PAUSE && (self.is_changed || told != self.told),
        };
        if is_due {
            self.drawn = Some((Instant::now(), size));
            (self.is_changed, self.told) = (false, told);
            let picture = self.picture(size);
            output.lines(0, |out| out.extend_from_slice(&picture));
        }
    }

    fn picture(&self, (width, height): (usize, usize)) -> Vec<u8> {
        let screen = self.host.screen(&self.options);
        let (_, messages) = self.host.messages.waiting(MESSAGES.min(height.saturating_sub(2)));
        let room = height.saturating_sub(1 + messages.len());
        let (lines, shown) = self.rows.lines(screen.of_width(width), room);
        let mut picture = HOME.as_bytes().to_vec();
        // What was there goes first: after a line that ends in the last column, that would go too.
        let mut line = |write: &mut dyn FnMut(&mut Vec<u8>)| {
            picture.extend_from_slice(CLEAR_LINE.as_bytes());
            write(&mut picture);
            picture.push(b'\n');
        };
        for text in &lines {
            line(&mut |out| out.extend_from_slice(text));
        }
        for _ in lines.len()..room {
            line(&mut |_| ());
        }
        for message in &messages {
            let text = fit::text(message, width);
            line(&mut |out| screen.styled(out, LOSS, |out| out.extend_from_slice(text.as_bytes())));
        }
        let footer = self.rows.footer(shown, self.host.has_keys());
        picture.extend_from_slice(CLEAR_LINE.as_bytes());
        picture.extend_from_slice(fit::text(&footer, width.saturating_sub(1)).as_bytes());
        picture.extend_from_slice(CLEAR_REST.as_bytes());
        picture
    }

    /// Gives the terminal back, before what may take long.
    pub(crate) fn give_back(&mut self) {
        self.rows.end();
        self.host.give_terminal_back();
    }

    /// What is on it last, for the screen where it stays.
    pub(crate) fn last(&self) -> Vec<u8> {
        let size = self.host.size().filter(|_| self.rows.has_rows());
        let Some((width, height)) = size else { return Vec::new() };
        let screen = self.host.screen(&self.options).of_width(width);
        let (lines, _) = self.rows.lines(screen, height.saturating_sub(2).max(2));
        lines.into_iter().flat_map(|line| line.into_iter().chain([b'\n'])).collect()
    }
}
