//! What a person sees who sits before a terminal: rows that fit it, and what a tool says while it shows
//! nothing.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{OFlag, open};
use nix::pty::openpty;
use nix::sys::stat::Mode;
use nix::sys::termios::tcgetattr;
use rustix::termios::{Winsize, tcsetwinsize};
use unicode_width::UnicodeWidthStr;

use crate::behaviours::{Behaviour, check, text};
use crate::run::{ebtools, this_program};

pub(crate) const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("rows_fit_the_terminal", rows_fit_the_terminal),
    ("summaries_fit_the_terminal", summaries_fit_the_terminal),
    ("silent_tools_say_that_they_run", silent_tools_say_that_they_run),
    ("pipes_have_no_status_and_no_colours", pipes_have_no_status_and_no_colours),
    ("reports_are_drawn_again", reports_are_drawn_again),
    ("events_are_drawn_again", events_are_drawn_again),
    ("terminal_is_given_back", terminal_is_given_back),
    ("what_cannot_be_sorted_or_drawn_is_said", what_cannot_be_sorted_or_drawn_is_said),
];

/// NCCS in the kernel's termbits.h.
const KERNEL_CHARACTERS: usize = 19;

/// A run on a terminal of its own.
struct OnTerminal {
    child: Child,
    master: File,
    /// What it is called.
    name: PathBuf,
    seen: String,
}

impl OnTerminal {
    /// Starts ebtools with its standard streams there; `rows` is where standard output goes instead.
    fn start(columns: u16, args: &[&str], rows: Option<Stdio>) -> Result<Self, String> {
        let size = nix::pty::Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).map_err(text)?;
        let name = format!("/proc/self/fd/{}", pty.slave.as_raw_fd());
        let name = std::fs::read_link(name).map_err(text)?;
        let other = || pty.slave.try_clone().map(Stdio::from).map_err(text);
        let mut command = Command::new(this_program());
        command.args(["helper", "in-terminal", &ebtools()]).args(args);
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        command.stdin(other()?).stderr(other()?).stdout(rows.map_or_else(other, Ok)?);
        let child = command.spawn().map_err(text)?;
        Ok(Self { child, master: pty.master.into(), name, seen: String::new() })
    }

    /// Reads until this is there.
    fn wait_for(&mut self, wanted: &str) -> Result<(), String> {
        let mut piece = [0; 4096];
        while !self.seen.contains(wanted) {
            match self.master.read(&mut piece) {
                Ok(len @ 1..) => self.seen += &String::from_utf8_lossy(&piece[..len]),
                _ => {
                    let from = self.seen.char_indices().rev().nth(2000).map_or(0, |(at, _)| at);
                    return Err(format!("{wanted:?} never came: {:?}", &self.seen[from..]));
                }
            }
        }
        Ok(())
    }

    /// Ctrl-C.
    fn interrupt(&mut self) -> Result<(), String> {
        self.press("\x03")
    }

    fn press(&mut self, keys: &str) -> Result<(), String> {
        self.master.write_all(keys.as_bytes()).map_err(text)
    }

    /// Waits until this is there, after what was there before.
    fn wait_for_new(&mut self, wanted: &str) -> Result<(), String> {
        self.seen.clear();
        self.wait_for(wanted)
    }

    fn resize(&self, columns: u16) -> Result<(), String> {
        let size = Winsize { ws_row: 10, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).map_err(text)
    }

    fn modes(&self) -> Result<String, String> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY;
        let terminal = open(&self.name, flags, Mode::empty()).map_err(text)?;
        let modes = tcgetattr(terminal).map_err(text)?;
        // The kernel has so many characters: what a C library has after them is anything.
        let characters = &modes.control_chars[..KERNEL_CHARACTERS];
        let (input, output) = (modes.input_flags, modes.output_flags);
        Ok(format!("{input:?} {output:?} {:?} {characters:?}", modes.local_flags))
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

/// Without escape sequences.
fn plain(seen: &str) -> String {
    let mut pieces = seen.split("\x1b[");
    let first = pieces.next().unwrap_or_default().to_string();
    let is_last = |c: char| ('\x40'..='\x7e').contains(&c);
    let rest = pieces.map(|piece| piece.split_once(is_last).map_or("", |(_, rest)| rest));
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

/// The other screen of a terminal, and back.
const TAKEN: &str = "\x1b[?1049h";
const GIVEN_BACK: &str = "\x1b[?1049l";

/// What came after the terminal was given back, and before that.
fn after_live(seen: &str) -> Result<(&str, &str), String> {
    seen.split_once(GIVEN_BACK).ok_or_else(|| format!("it was not given back: {seen:?}"))
}

fn reports_are_drawn_again() -> Result<(), String> {
    let mut writer = Command::new("sh");
    writer.args(["-c", "while :; do echo; (exec /no/such) 2>/dev/null; done"]);
    let mut writer = KilledAtEnd(writer.stdout(Stdio::null()).spawn().map_err(text)?);
    let pid = writer.0.id().to_string();
    let args =
        ["syscount", "--live", "--sort", "errors", "-i", "0.3", "-d", "20", "--follow", "-p", &pid];
    let mut running = OnTerminal::start(80, &args, None)?;
    let before = running.modes()?;
    running.wait_for(TAKEN)?;
    running.wait_for("s sorts by ERRORS")?;
    check(running.modes()? != before, || "keys do not come one by one".into())?;
    running.wait_for("write")?;
    // An arrow is no letter.
    running.press("\x1b[A")?;
    running.press("s")?;
    running.wait_for_new("s sorts by ERR%")?;
    running.press("/WRIT")?;
    running.wait_for_new("/WRIT_")?;
    running.press("\n")?;
    running.wait_for_new("/ filters WRIT")?;
    running.resize(40)?;
    running.wait_for_new("write")?;
    // Each is drawn over the one before.
    running.wait_for_new("\x1b[H")?;
    running.wait_for_new("\x1b[H")?;
    let pictures = running.seen.clone();
    let widest = pictures.split("\x1b[H").map(widest).max();
    check(widest <= Some(40), || format!("{pictures:?}"))?;
    running.press("q")?;
    let seen = running.end()?;
    writer.0.kill().map_err(text)?;
    let (_, last) = after_live(&seen)?;
    let rows = plain(last);
    let has = |text: &str| rows.lines().any(|line| line.contains(text));
    check(has("write") && has("COUNT") && has(", 0 lost"), || format!("{last:?}"))
}

/// A process that does not outlive its case.
struct KilledAtEnd(Child);

impl Drop for KilledAtEnd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn events_are_drawn_again() -> Result<(), String> {
    let long = format!("/no/{}", "long".repeat(40));
    let mut opener = Command::new("sh");
    opener.args(["-c", "while sleep 0.2; do true <\"$0\"; done", &long]).stderr(Stdio::null());
    let mut opener = KilledAtEnd(opener.spawn().map_err(text)?);
    let pid = opener.0.id().to_string();
    let mut running =
        OnTerminal::start(80, &["opensnoop", "--live", "-d", "20", "-p", &pid], None)?;
    let before = running.modes()?;
    running.wait_for("/no/longlong")?;
    check(!running.seen.contains(&long), || "it was not cut".into())?;
    running.press("w")?;
    running.wait_for_new("w narrow")?;
    // It goes on in the next lines.
    let lines = plain(&running.seen).replace("\r\n", "");
    check(lines.contains(&long), || format!("{:?}", running.seen))?;
    // What is cleared after the last column is that column.
    let is_lost = running.seen.contains("\u{2026}\x1b[K");
    check(!is_lost, || format!("{:?}", running.seen))?;
    running.interrupt()?;
    running.wait_for(GIVEN_BACK)?;
    running.wait_for(" lost")?;
    check(running.modes()? == before, || "the terminal is not as it was".into())?;
    let seen = running.end()?;
    opener.0.kill().map_err(text)?;
    let (_, last) = after_live(&seen)?;
    let lines = plain(last).replace("\r\n", "");
    check(lines.contains(&long) && lines.contains("0 lost"), || format!("{last:?}"))
}

/// However long its ring was, and whoever has set the terminal meanwhile.
fn terminal_is_given_back() -> Result<(), String> {
    let mut opener = Command::new("sh");
    opener.args(["-c", "while :; do true </no/such; done"]).stderr(Stdio::null());
    let opener = KilledAtEnd(opener.spawn().map_err(text)?);
    let pid = opener.0.id().to_string();
    for key in ["q", "\x03"] {
        let args = ["opensnoop", "--live", "-d", "20", "-p", &pid];
        let mut running = OnTerminal::start(80, &args, None)?;
        let before = running.modes()?;
        running.wait_for("\x1b[H")?;
        let live = running.modes()?;
        // As a shell does that gets it back.
        let mut stty = Command::new("busybox");
        stty.args(["stty", "-F"]).arg(&running.name).args(["icanon", "echo"]);
        check(stty.status().map_err(text)?.success(), || "stty".into())?;
        while running.modes()? != live {
            running.wait_for_new("\x1b[H")?;
        }
        // Neither stops nor quits it.
        running.press("\x1a\x1c")?;
        running.press(key)?;
        running.wait_for(" lost")?;
        check(running.modes()? == before, || "the terminal is not as it was".into())?;
        let seen = running.end()?;
        let (_, last) = after_live(&seen)?;
        let rows = last.lines().count();
        check((3..30).contains(&rows), || format!("{rows} rows"))?;
    }
    Ok(())
}

fn what_cannot_be_sorted_or_drawn_is_said() -> Result<(), String> {
    for (args, says) in [
        (&["opensnoop", "--live"][..], "--live: standard output is no terminal"),
        (&["opensnoop", "--sort", "pid"], "--sort: these rows have an order of their own"),
        (&["syscount", "--sort", "nothing"], "--sort: there is no field 'nothing'"),
        (&["opensnoop", "--count=comm", "--sort", "path"], "--sort: there is no field 'path'"),
    ] {
        let output = Command::new(ebtools()).args(args).args(["-d", "1"]).output();
        let output = output.map_err(text)?;
        let is_said = String::from_utf8_lossy(&output.stderr).contains(says);
        check(output.status.code() == Some(2) && is_said, || format!("{args:?}: {output:?}"))?;
    }
    Ok(())
}
