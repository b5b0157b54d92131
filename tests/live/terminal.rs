//! What a person sees who sits before a terminal: rows that fit it, and what a tool says while it shows
//! nothing.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use nix::pty::{Winsize, openpty};
use unicode_width::UnicodeWidthStr;

use crate::behaviours::{Behaviour, check, text};
use crate::run::{ebtools, this_program};

pub(crate) const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("rows_fit_the_terminal", rows_fit_the_terminal),
    ("summaries_fit_the_terminal", summaries_fit_the_terminal),
    ("silent_tools_say_that_they_run", silent_tools_say_that_they_run),
    ("pipes_have_no_status_and_no_colours", pipes_have_no_status_and_no_colours),
];

/// A run on a terminal of its own.
struct OnTerminal {
    child: Child,
    master: File,
    seen: String,
}

impl OnTerminal {
    /// Starts ebtools with its standard streams there; `rows` is where standard output goes instead.
    fn start(columns: u16, args: &[&str], rows: Option<Stdio>) -> Result<Self, String> {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).map_err(text)?;
        let other = || pty.slave.try_clone().map(Stdio::from).map_err(text);
        let mut command = Command::new(this_program());
        command.args(["helper", "in-terminal", &ebtools()]).args(args);
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        command.stdin(other()?).stderr(other()?).stdout(rows.map_or_else(other, Ok)?);
        let child = command.spawn().map_err(text)?;
        Ok(Self { child, master: pty.master.into(), seen: String::new() })
    }

    /// Reads until this is there.
    fn wait_for(&mut self, wanted: &str) -> Result<(), String> {
        let mut piece = [0; 4096];
        while !self.seen.contains(wanted) {
            match self.master.read(&mut piece) {
                Ok(len @ 1..) => self.seen += &String::from_utf8_lossy(&piece[..len]),
                _ => return Err(format!("{wanted:?} never came: {:?}", self.seen)),
            }
        }
        Ok(())
    }

    /// Ctrl-C.
    fn interrupt(&mut self) -> Result<(), String> {
        self.master.write_all(b"\x03").map_err(text)
    }

    /// What was seen up to its end, which must be a good one.
    fn end(mut self) -> Result<String, String> {
        let mut rest = Vec::new();
        // A terminal whose other side is closed is an error, and its end.
        let _ = self.master.read_to_end(&mut rest);
        let seen = std::mem::take(&mut self.seen) + &String::from_utf8_lossy(&rest);
        let status = self.child.wait().map_err(text)?;
        check(status.success(), || format!("{status}: {seen:?}"))?;
        Ok(seen)
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // Whatever went wrong, nothing is left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Without escape sequences for styles.
fn plain(seen: &str) -> String {
    let mut pieces = seen.split("\x1b[");
    let first = pieces.next().unwrap_or_default().to_string();
    let rest = pieces.map(|piece| piece.split_once('m').map_or(piece, |(_, rest)| rest));
    first + &rest.collect::<String>()
}

fn widest(seen: &str) -> usize {
    plain(seen).lines().map(UnicodeWidthStr::width).max().unwrap_or(0)
}

fn rows_fit_the_terminal() -> Result<(), String> {
    let long = "long".repeat(60);
    let args = [
        "execsnoop",
        "-x",
        "--",
        "sh",
        "-c",
        "/bin/true $0; (exec /no/such) 2>/dev/null; :",
        &long,
    ];
    for columns in [80, 40] {
        let seen = OnTerminal::start(columns, &args, None)?.end()?;
        let fits = widest(&seen) <= usize::from(columns);
        let is_cut = seen.contains('\u{2026}') && !seen.contains(&long);
        let is_styled =
            ["\x1b[1mCOMM\x1b[0m", "\x1b[31mENOENT\x1b[0m"].iter().all(|one| seen.contains(one));
        check(fits && is_cut && is_styled, || format!("at {columns}: {seen:?}"))?;
    }
    let wide = [&["execsnoop", "--wide", "--color=never"], &args[1..]].concat();
    let seen = OnTerminal::start(80, &wide, None)?.end()?;
    check(seen.contains(&long) && !seen.contains('\x1b'), || format!("wide: {seen:?}"))
}

fn summaries_fit_the_terminal() -> Result<(), String> {
    let args = ["syscount", "-L", "--", "true"];
    let seen = plain(&OnTerminal::start(80, &args, None)?.end()?);
    let header = seen.lines().find(|line| line.starts_with("TIME"));
    let header = header.ok_or_else(|| format!("no header: {seen:?}"))?;
    // Nothing is 32-bit here.
    let good = !header.contains("ABI") && header.contains("P99");
    check(good && widest(&seen) <= 80, || format!("{seen:?}"))?;
    let seen = plain(
        &OnTerminal::start(80, &[&args[..2], &["--wide"], &args[2..]].concat(), None)?.end()?,
    );
    check(seen.contains(" ABI "), || format!("{seen:?}"))
}

fn silent_tools_say_that_they_run() -> Result<(), String> {
    for (args, says) in [
        (&["opensnoop"][..], "1 of 100 s, no event yet; Ctrl-C ends it"),
        (&["profile"], "s, 0 samples; Ctrl-C ends it and shows them"),
        (&["funclatency", "c:getaddrinfo"], "s, Ctrl-C ends it and shows the result"),
    ] {
        // What does not end by itself fails its case, not the whole run.
        let args = [args, &["-n", "no such name", "-d", "100"]].concat();
        let mut running = OnTerminal::start(80, &args, None)?;
        running.wait_for(says)?;
        running.interrupt()?;
        let seen = running.end()?;
        // It is taken away before anything else is said.
        let good = seen.contains(&format!("\r\x1b[K{}: 0 events, 0 lost\r\n", args[0]));
        check(good, || format!("{args:?}: {seen:?}"))?;
    }
    Ok(())
}

fn pipes_have_no_status_and_no_colours() -> Result<(), String> {
    let args = ["opensnoop", "-n", "no such name", "-d", "1.5"];
    let seen = OnTerminal::start(80, &args, Some(Stdio::piped()))?.end()?;
    check(!seen.contains('\x1b') && seen.contains("0 events, 0 lost"), || format!("{seen:?}"))?;
    let quiet = [&args[..], &["--quiet", "--color", "never"]].concat();
    let seen = OnTerminal::start(80, &quiet, None)?.end()?;
    check(!seen.contains('\x1b') && seen.contains("0 events, 0 lost"), || format!("{seen:?}"))
}
