//! What a run is given: all that belongs to the process, so that several runs may be in one.

use std::cell::RefCell;
use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, Once};

use clap::ColorChoice;
use libbpf_rs::PrintLevel;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Context as _, Error, Result};
use crate::escape;
use crate::output::Screen;
use crate::output::buffer::{Output, Shared};
use crate::output::messages::{Hooks, Messages};
use crate::output::screen::{self, LOSS};
use crate::output::sink::{Rows, Stream};
use crate::output::status::Status;
use crate::run::options::{Format, OutputOptions};
use crate::run::tally::Tally;
use crate::run::terminal::Terminal;
use crate::system::lock::locked;
use crate::system::stop::Stop;

/// Where rows and messages of a run go, and what ends it.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Whose run it is.
    pub(crate) tool: &'static str,
    /// To people.
    pub(crate) messages: Messages,
    /// Asked for by others.
    pub(crate) stop: Stop,
    /// The tool's arguments, as they were given.
    pub(crate) args: Arc<[OsString]>,
    out: Arc<Stream>,
    err: Arc<Stream>,
    status: Status,
    hooks: Hooks,
    /// What the run is called, if not by its tool.
    pub(crate) name: Option<&'static str>,
    /// Where rows go, if not there.
    rows: Option<Shared>,
    /// Who takes what a tool makes of each interval beside its rows.
    pub(crate) made: Option<SyncSender<Vec<u8>>>,
    /// What the run tells of itself.
    pub(crate) tally: Arc<Tally>,
    exit_code: Arc<AtomicU8>,
    /// While it is drawn on.
    terminal: Arc<Mutex<Option<Terminal>>>,
}

impl Host {
    /// Standard output, standard error: opened while this process still may.
    pub(crate) fn standard() -> Result<Self> {
        let doing = "opening standard output";
        let stop = Stop::default();
        let out = io::stdout().as_fd().try_clone_to_owned().doing(doing)?;
        let err = io::stderr().as_fd().try_clone_to_owned().doing(doing)?;
        Ok(Self::new(Stream::new(out, stop.clone()), Stream::new(err, stop.clone()), stop))
    }

    /// Others, which may wait for their readers until `stop` is overdue.
    pub(crate) fn new(out: Stream, err: Stream, stop: Stop) -> Self {
        // It says much by itself.
        static SILENCE: Once = Once::new();
        SILENCE.call_once(|| {
            libbpf_rs::set_print(None);
        });
        let (out, err) = (Arc::new(out), Arc::new(err));
        let status = Status::new(err.clone(), &out);
        let hooks = Hooks::default();
        let messages = Messages::new("ebtools", false, err.clone(), status.clone(), hooks.clone());
        let (args, name, rows, made, tally, exit_code, terminal) = Default::default();
        let tool = "ebtools";
        Self {
            tool,
            messages,
            stop,
            args,
            out,
            err,
            status,
            hooks,
            name,
            rows,
            made,
            tally,
            exit_code,
            terminal,
        }
    }

    /// The same for a tool beside others: its messages begin with `name`, if it has another than its own,
    /// its rows go to `rows`, and it tells of itself in `tally`.
    pub(crate) fn beside_others(
        self,
        name: Option<&'static str>,
        rows: Shared,
        tally: Arc<Tally>,
    ) -> Self {
        Self { name, rows: Some(rows), tally, ..self }
    }

    /// The same, where `made` takes what a tool makes of each interval beside its rows.
    pub(crate) fn handing_over(self, made: Option<SyncSender<Vec<u8>>>) -> Self {
        Self { made, ..self }
    }

    /// The same, for a tool that was given these arguments.
    pub(crate) fn given(self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { args: args.into_iter().map(Into::into).collect(), ..self }
    }

    /// The same, which notes the hooks that are used here.
    pub(crate) fn noting(self, hooks: Hooks) -> Self {
        Self { hooks, ..self }
    }

    /// The same for a tool; `is_verbose` with `-v`, and what libbpf says of what this thread does is said
    /// then too; `is_quiet` with `--quiet`.
    pub(crate) fn of_tool(self, tool: &'static str, is_verbose: bool, is_quiet: bool) -> Self {
        let status = if is_quiet { self.status.silent() } else { self.status.clone() };
        let (err, hooks) = (self.err.clone(), self.hooks.clone());
        let messages = Messages::new(self.name.unwrap_or(tool), is_verbose, err, status, hooks);
        if is_verbose {
            LIBBPF.with_borrow_mut(|of_thread| *of_thread = Some(self.err.clone()));
            libbpf_rs::set_print(Some((PrintLevel::Info, speak)));
        }
        Self { tool, messages, ..self }
    }

    /// Do people see the rows as they come?
    pub(crate) fn is_on_terminal(&self) -> bool {
        self.size().is_some()
    }

    /// What rows of a table are shown on.
    pub(crate) fn screen(&self, output: &OutputOptions) -> Screen {
        let width = if output.wide { None } else { self.width() };
        Screen { width, has_colours: has_colours(output, &self.out) }
    }

    /// How wide that is now, if it is a terminal.
    pub(crate) fn width(&self) -> Option<usize> {
        self.size().map(|(columns, _)| columns)
    }

    /// How many columns and lines that has now, if it is a terminal.
    pub(crate) fn size(&self) -> Option<(usize, usize)> {
        self.out.size()
    }

    /// Can rows be drawn there again and again?
    ///
    /// # Errors
    ///
    /// When they cannot.
    pub(crate) fn check_live(&self, output: &OutputOptions) -> Result<()> {
        let cause = match self.size() {
            None => "standard output is no terminal",
            _ if !screen::obeys() => "this terminal cannot be drawn on (TERM=dumb)",
            _ if output.format() == Format::Json => "JSON is for programs",
            _ => return Ok(()),
        };
        Err(Error::usage("--live", cause))
    }

    /// May this process draw there? Not in the background of a shell's terminal.
    pub(crate) fn may_draw(&self) -> bool {
        self.out.is_ours_or_nobodys()
    }

    /// Takes the whole terminal; messages wait until it is given back.
    pub(crate) fn take_terminal(&self) {
        self.status.hold();
        *self.terminal() = Some(Terminal::take(self.out.clone()));
    }

    /// Gives it back, with the messages that had to wait.
    pub(crate) fn give_terminal_back(&self) {
        drop(self.terminal().take());
        self.messages.release();
    }

    /// The keys that were pressed there, and whether another process has had it meanwhile.
    pub(crate) fn keys(&self) -> (Vec<u8>, bool) {
        self.terminal().as_mut().map(Terminal::keys).unwrap_or_default()
    }

    /// Can any be?
    pub(crate) fn has_keys(&self) -> bool {
        self.terminal().as_ref().is_some_and(Terminal::has_keys)
    }

    /// Asks for the end, as Ctrl-C does.
    pub(crate) fn end(&self) {
        let _ = kill(Pid::this(), Signal::SIGINT);
    }

    fn terminal(&self) -> MutexGuard<'_, Option<Terminal>> {
        locked(&self.terminal)
    }

    /// A text for people about something that is missing.
    pub(crate) fn warning(&self, output: &OutputOptions, text: &str) -> String {
        let has_colours = has_colours(output, &self.err) && !self.status.is_held();
        let screen = Screen { width: None, has_colours };
        let mut styled = Vec::new();
        screen.styled(&mut styled, LOSS, |out| out.extend_from_slice(text.as_bytes()));
        String::from_utf8(styled).unwrap_or_default()
    }

    /// Where rows go.
    pub(crate) fn output(&self) -> Output {
        match &self.rows {
            Some(rows) => Output::to(Box::new(rows.clone())),
            None => {
                Output::to(Box::new(Rows { to: self.out.clone(), status: self.status.clone() }))
            }
        }
    }

    /// What the process is to end with, if nothing fails.
    pub(crate) fn set_exit_code(&self, code: u8) {
        self.exit_code.store(code, Ordering::Relaxed);
    }

    /// Says what has failed, if anything has; what the process is to end with.
    pub(crate) fn exit_code(&self, done: Result<()>) -> u8 {
        match done {
            Ok(()) => self.exit_code.load(Ordering::Relaxed),
            Err(error) => {
                let (to, status) = (self.err.clone(), self.status.clone());
                let who = self.name.unwrap_or("ebtools");
                Messages::new(who, false, to, status, Hooks::default()).say(&error);
                error.exit_code()
            }
        }
    }
}

fn has_colours(output: &OutputOptions, to: &Stream) -> bool {
    match output.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => to.size().is_some() && are_colours_wanted(),
    }
}

/// By those who set up the terminal: no-color.org.
fn are_colours_wanted() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && screen::obeys()
}

thread_local! {
    /// libbpf has one function for all that it says: here is where it goes.
    static LIBBPF: RefCell<Option<Arc<Stream>>> = const { RefCell::new(None) };
}

fn speak(_: PrintLevel, text: String) {
    LIBBPF.with_borrow(|to| {
        let Some(to) = to else { return };
        // It quotes what is in files.
        for line in text.lines() {
            let _ = to.write(format!("{}\n", escape::text(line.as_bytes())).as_bytes());
        }
    });
}
