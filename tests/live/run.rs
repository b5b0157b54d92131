//! Runs ebtools and keeps what it printed.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Instant;

use nix::pty::openpty;
use serde_json::Value;

use crate::times::STARTS;
use crate::watched;

/// The binary that is tested.
pub(crate) fn ebtools() -> String {
    std::env::var("EBTOOLS").unwrap_or_else(|_| env!("CARGO_BIN_EXE_ebtools").into())
}

/// This program, which is the workload's helper too.
pub(crate) fn this_program() -> String {
    let path = std::env::current_exe().expect("the test program has a path");
    path.to_string_lossy().into_owned()
}

/// The program that makes unusual calls: `$CALLS`, else compiled from calls.c.
pub(crate) fn calls() -> &'static str {
    static CALLS: OnceLock<Option<String>> = OnceLock::new();
    let calls = CALLS.get_or_init(|| program("CALLS", "calls", "cc"));
    calls.as_deref().expect("calls.c can be compiled")
}

/// The program that looks names up, with glibc and with musl, if there is a compiler for that.
pub(crate) fn lookups() -> [Option<&'static str>; 2] {
    static GLIBC: OnceLock<Option<String>> = OnceLock::new();
    static MUSL: OnceLock<Option<String>> = OnceLock::new();
    let glibc = GLIBC.get_or_init(|| program("LOOKUPS", "lookups", "cc"));
    let musl = MUSL.get_or_init(|| program("LOOKUPS_MUSL", "lookups", "musl-gcc"));
    [glibc.as_deref(), musl.as_deref()]
}

/// What a variable of the environment names; else compiled from NAME.c. `None` without the
/// compiler.
fn program(variable: &str, name: &str, compiler: &str) -> Option<String> {
    if let Ok(given) = std::env::var(variable) {
        return Path::new(&given).exists().then_some(given);
    }
    let source = format!("{}/tests/live/{name}.c", env!("CARGO_MANIFEST_DIR"));
    let dir = format!("{}/{compiler}", env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(&dir).ok()?;
    let program = format!("{dir}/{name}");
    let flags = [
        "-O1",
        "-fno-omit-frame-pointer",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pthread",
        "-o",
        &program,
        &source,
    ];
    let compiled = Command::new(compiler).args(flags).status().ok()?;
    assert!(compiled.success(), "{name}.c cannot be compiled");
    Some(program)
}

/// A fresh directory.
pub(crate) fn scratch_dir(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("ebtools-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a scratch directory can be made");
    dir
}

/// A finished run.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    words: Vec<(&'static str, String)>,
}

impl Run {
    /// Runs, with these words and those that all cases have, `WITHIN ebtools ARGS -- COMMAND` to
    /// its end; `typed` is typed on its terminal, if anything is.
    pub(crate) fn of(
        mut words: Vec<(&'static str, String)>,
        within: &[&str],
        args: &[&str],
        command: &[&str],
        typed: &str,
        dir: &Path,
    ) -> Self {
        words.extend([
            ("$DIR", dir.to_string_lossy().into_owned()),
            ("$SELF", this_program()),
            ("$CALLS", calls().to_string()),
            ("$MUSL_LOOKUPS", lookups()[1].unwrap_or_default().into()),
            ("$LOOKUPS", lookups()[0].unwrap_or_default().into()),
            // Where /bin leads to: /usr/bin, on most systems.
            ("$BIN", real_path("/bin")),
        ]);
        let program = self::ebtools();
        let all = [within, &[program.as_str()], args].concat();
        let mut ebtools = Command::new(fill(all[0], &words));
        ebtools.args(all[1..].iter().map(|arg| fill(arg, &words)));
        // A command that hangs fails its case, not the whole run.
        ebtools.args(["-d", "100"]);
        if !command.is_empty() {
            ebtools.args(["--kill", "--"]).args(command.iter().map(|arg| fill(arg, &words)));
        }
        let (child, terminal) = if typed.is_empty() {
            let child = ebtools.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            (child.spawn(), None)
        } else {
            let pty = openpty(None, None).expect("there are pseudo-terminals");
            let other = || Stdio::from(pty.slave.try_clone().expect("descriptors can be copied"));
            let child = ebtools.stdin(other()).stdout(Stdio::piped()).stderr(other()).spawn();
            let mut master = File::from(pty.master);
            master.write_all(typed.as_bytes()).expect("the terminal takes input");
            (child, Some(master))
        };
        drop(ebtools);
        let mut child = child.expect("ebtools can be run");
        words.push(("$TRACER", child.id().to_string()));
        let (code, stdout, stderr) = collect(&mut child, terminal);
        // On a terminal, the echo of what was typed and escape sequences stand around it.
        let pid = stderr
            .split("pid ")
            .skip(1)
            .find(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let pid = pid.unwrap_or_default().chars().take_while(char::is_ascii_digit);
        words.push(("$PID", pid.collect()));
        Self { code, stdout, stderr, words }
    }

    /// A pattern with its words filled in.
    pub(crate) fn pattern(&self, pattern: &str) -> Result<Value, String> {
        let text = fill(pattern, &self.words);
        serde_json::from_str(&text).map_err(|error| format!("{text}: {error}"))
    }

    /// What a word like `$DIR` stood for.
    pub(crate) fn word(&self, word: &str) -> String {
        fill(word, &self.words)
    }

    /// The lines of output, without the first, which says what runs: valid objects, and a last one
    /// whose sums are right.
    pub(crate) fn json(&self) -> Result<Vec<Value>, String> {
        let parse = |line: &str| match serde_json::from_str::<Value>(line) {
            Ok(value) if value["type"].is_string() => Ok(value),
            Ok(_) => Err(format!("no type: {line}")),
            Err(error) => Err(format!("{error}: {line}")),
        };
        let mut lines = self.stdout.lines().map(parse);
        if lines.next().transpose()?.is_none_or(|line| line["type"] != "start") {
            return Err("no start at the beginning".into());
        }
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        let summary = lines.last().filter(|line| line["type"] == "summary");
        let summary = summary.ok_or("no summary at the end")?;
        let lost = summary["lost"].as_object().ok_or("no lost in the summary")?;
        // Only a bug loses without a reason.
        if lost.contains_key("unaccounted") {
            return Err(format!("nobody knows what became of events: {summary}"));
        }
        let lost = lost.values().filter_map(Value::as_u64).sum::<u64>();
        let number = |key: &str| summary[key].as_u64();
        if number("produced") != number("delivered").map(|delivered| delivered + lost) {
            return Err(format!("produced is not delivered + lost: {summary}"));
        }
        Ok(lines)
    }
}

impl Display for Run {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "--- stdout\n{}--- stderr\n{}---", self.stdout, self.stderr)
    }
}

fn real_path(path: &str) -> String {
    fs::canonicalize(path).expect("it is there").to_string_lossy().into_owned()
}

fn fill(text: &str, words: &[(&'static str, String)]) -> String {
    words.iter().fold(text.to_string(), |text, (word, value)| text.replace(word, value))
}

/// Everything that a child prints, until it ends. With a terminal, that is its standard error.
pub(crate) fn collect(child: &mut Child, terminal: Option<File>) -> (Option<i32>, String, String) {
    let mut stdout = child.stdout.take().expect("standard output is a pipe");
    let stderr = child.stderr.take();
    let errors = thread::spawn(move || {
        let mut text = Vec::new();
        // Reading a terminal whose other side is closed is an error, and its end.
        let _ = match (stderr, terminal) {
            (Some(mut pipe), _) => pipe.read_to_end(&mut text),
            (None, Some(mut terminal)) => terminal.read_to_end(&mut text),
            (None, None) => Ok(0),
        };
        String::from_utf8_lossy(&text).replace('\r', "")
    });
    let mut text = Vec::new();
    stdout.read_to_end(&mut text).expect("a pipe can be read");
    let code = child.wait().expect("a child can be waited for").code();
    let text = String::from_utf8_lossy(&text).into_owned();
    watched::look(&text);
    (code, text, errors.join().expect("no panic"))
}

/// A run that has attached and goes on.
pub(crate) struct Running {
    pub(crate) child: Child,
    errors: BufReader<std::process::ChildStderr>,
}

impl Running {
    /// Starts `ebtools ARGS -v` and waits until it says that it has attached.
    pub(crate) fn start(args: &[&str]) -> Result<Self, String> {
        let mut command = Command::new(ebtools());
        command.args(args).arg("-v");
        if !args.contains(&"-d") {
            // What does not end by itself fails its case, not the whole run.
            command.args(["-d", "100"]);
        }
        Self::start_command(&mut command)
    }

    /// The same for a command that runs ebtools with `-v`.
    pub(crate) fn start_command(command: &mut Command) -> Result<Self, String> {
        let began = Instant::now();
        let mut running = Self::spawn(command)?;
        running.wait_for(": attached")?;
        STARTS.add(began);
        Ok(running)
    }

    /// The same without waiting.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self, String> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().map_err(|error| error.to_string())?;
        let errors = BufReader::new(child.stderr.take().ok_or("no standard error")?);
        Ok(Self { child, errors })
    }

    /// Waits until it says a line that has `text` in it.
    pub(crate) fn wait_for(&mut self, text: &str) -> Result<(), String> {
        self.line_with(text).map(drop)
    }

    /// The same, and which line it was.
    pub(crate) fn line_with(&mut self, text: &str) -> Result<String, String> {
        let mut said = String::new();
        while !said.lines().next_back().is_some_and(|line| line.contains(text)) {
            if self.errors.read_line(&mut said).map_err(|error| error.to_string())? == 0 {
                return Err(format!("it never said {text:?}: {said}"));
            }
        }
        Ok(said.lines().next_back().unwrap_or_default().into())
    }

    pub(crate) fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.child.id().try_into().expect("a pid is positive"))
    }

    /// The rest of the run: exit code and what it printed from now on.
    pub(crate) fn end(mut self) -> io::Result<(Option<i32>, String, String)> {
        let mut stdout = String::new();
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_string(&mut stdout)?;
        }
        watched::look(&stdout);
        let mut stderr = String::new();
        self.errors.read_to_string(&mut stderr)?;
        Ok((self.child.wait()?.code(), stdout, stderr))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whatever went wrong, nothing is left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
