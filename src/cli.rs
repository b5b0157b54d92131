//! The command line: finds the tool that is asked for, and says what there is.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::JoinHandle;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use nix::sys::signal::Signal;

use crate::error::Result;
use crate::output::sink::Stream;
use crate::run::host::Host;
use crate::run::signals;
use crate::serve;
use crate::system::stop::Stop;
use crate::system::sys;
use crate::tool::Entry;
use crate::tools::aliases::{self, ALIASES, Alias};
use crate::tools::{self, TOOLS};

mod habits;
mod mistakes;
mod names;

/// Runs the program: exit code 0 or the command's, 1 after a failure, 2 for wrong usage.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter().collect::<Vec<_>>();
    names::take_from_link(&mut args);
    ask_for_help(&mut args);
    names::make_bare(&mut args);
    let alias = stand_for_tool(&mut args);
    habits::spell_out(&mut args);
    if args.last().is_some_and(|arg| arg == "--") {
        let error = command().error(ErrorKind::MissingRequiredArgument, "no command after --");
        return usage(&error);
    }
    let matches = match command_line_for(&args, alias).try_get_matches_from(&args) {
        Ok(matches) => matches,
        Err(error) => {
            let command = command_line_for(&args, alias);
            return usage(&mistakes::explained(error, &command, &args, alias));
        }
    };
    if matches.get_flag("list") {
        // A reader that has had enough is no failure.
        let _ = io::stdout().write_all(list().as_bytes());
        return ExitCode::SUCCESS;
    }
    match matches.subcommand() {
        Some((SCHEMA, matches)) => {
            let _ = io::stdout().write_all(&tools::schema(matches.subcommand_name()));
            return ExitCode::SUCCESS;
        }
        Some((SERVE, matches)) => return serve(matches),
        _ => {}
    }
    let chosen =
        matches.subcommand().and_then(|(name, matches)| Some((tool_named(name)?, matches)));
    match chosen {
        Some((tool, matches)) => run(tool, matches, &args[2..]),
        None => usage(&command().error(ErrorKind::MissingSubcommand, "no tool is named")),
    }
}

/// `help TOOL` is `TOOL --help`, and `help` is `--help`. So what is no tool is answered with those that are
/// alike, which clap's own `help` does not know.
fn ask_for_help(args: &mut Vec<OsString>) {
    let words = args.iter().skip(1).take_while(|arg| *arg == "help").count();
    if words > 0 {
        args.drain(1..=words);
        args.insert(args.len().min(2), "--help".into());
    }
}

/// Puts what an alias stands for in its place.
fn stand_for_tool(args: &mut Vec<OsString>) -> Option<&'static Alias> {
    let alias = Alias::named(args.get(1)?.to_str()?)?;
    let arguments = alias.arguments(&args[2..]);
    args.splice(1.., arguments);
    Some(alias)
}

/// The tools, and what aliases stand for.
fn list() -> String {
    let tools = TOOLS.iter().map(|tool| format!("{}\n", tool.name));
    let aliases = ALIASES.iter().map(|alias| format!("{} = {}\n", alias.name, alias.meaning()));
    tools.chain(aliases).collect()
}

/// What reads these arguments. A tool that is named needs no others: making their command lines takes time
/// and memory.
fn command_line_for(args: &[OsString], alias: Option<&Alias>) -> Command {
    let named = args.get(1).and_then(|name| tool_named(name.to_str()?));
    let mut command_line = named.map_or_else(command, |tool| with_tools(&[tool]));
    if let Some(alias) = alias {
        let about = format!("{} stands for: ebtools {}", alias.name, alias.meaning());
        // What the user gives takes the place of what the alias has.
        let of_alias = |tool: Command| tool.before_help(about).args_override_self(true);
        command_line = command_line.mut_subcommand(alias.tool, of_alias);
    }
    let asks = |pair: &[OsString]| pair[0] == "--fields" && pair[1] == "help";
    if args.windows(2).any(asks) || args.iter().any(|arg| arg == "--fields=help") {
        return command_line.mut_subcommands(without_arguments);
    }
    command_line
}

/// The whole command line, for its help and for what is made from it.
pub fn command() -> Command {
    with_tools(TOOLS).subcommands([serve_command(), schema()])
}

fn with_tools(tools: &[Entry]) -> Command {
    Command::new("ebtools")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Linux tracing tools on eBPF, in one binary")
        .after_help(
            "Other commands:\n  \
             serve CONFIG   Run the tools that a configuration names, for months\n  \
             schema [TOOL]  Print what JSON has, as JSON Schema\n\n\
             ebtools help TOOL, or TOOL --help, shows a tool's options and examples.",
        )
        .subcommand_value_name("TOOL")
        .subcommand_help_heading("Tools")
        .disable_help_subcommand(true)
        .arg_required_else_help(true)
        .arg(
            Arg::new("list")
                .long("list")
                .action(ArgAction::SetTrue)
                .help("Print the names of the tools, one per line, and what other names stand for"),
        )
        .subcommands(tools.iter().map(|tool| tool.command()))
}

const SERVE: &str = "serve";
const SCHEMA: &str = "schema";

/// Runs tools. Is none, and so not among them.
fn serve_command() -> Command {
    let config = Arg::new("config").value_name("CONFIG").required(true);
    let check = Arg::new("check").long("check").action(ArgAction::SetTrue);
    Command::new(SERVE)
        .about("Run the tools that a configuration names, for months: events to files, metrics to collectors")
        .arg(config.value_parser(clap::value_parser!(PathBuf)).help("The configuration, in TOML"))
        .arg(check.help("Check the configuration, and do nothing else"))
        .hide(true)
        .after_long_help(CONFIGURATION)
}

const CONFIGURATION: &str = "\
A configuration:
  [metrics]
  file = \"/var/lib/prometheus/node-exporter/ebtools.prom\"
  listen = \"127.0.0.1:9435\"

  [[tools]]
  tool = \"execsnoop\"
  options = [\"-x\"]
  file = \"/var/log/ebtools/execsnoop.json\"
  rotate_at = \"100M\"

ebtools-serve(8) has all keys.
";

/// The same.
fn schema() -> Command {
    Command::new(SCHEMA)
        .about("Print what tools print with --json, or one tool, as JSON Schema")
        .hide(true)
        .subcommand_value_name("TOOL")
        .subcommand_help_heading("Tools")
        .disable_help_subcommand(true)
        .subcommands(
            TOOLS
                .iter()
                .map(|tool| Command::new(tool.name).visible_aliases(aliases::of_tool(tool.name))),
        )
}

/// The tool's command line, for a question that needs none of its arguments.
fn without_arguments(tool: Command) -> Command {
    tool.mut_args(
        |arg| {
            if arg.is_required_set() { arg.required(false).default_value("") } else { arg }
        },
    )
}

fn tool_named(name: &str) -> Option<Entry> {
    TOOLS.iter().copied().find(|tool| tool.name == name)
}

fn run(tool: Entry, matches: &ArgMatches, args: &[OsString]) -> ExitCode {
    with_host(|host| match signals::watch(host.clone()) {
        Ok(()) => tool.run(host.clone().given(args), matches),
        Err(error) => Ok(Err(error)),
    })
}

fn serve(matches: &ArgMatches) -> ExitCode {
    let path = matches.get_one::<PathBuf>("config").map_or(Path::new(""), PathBuf::as_path);
    with_host(|host| Ok(serve::run(host, path, matches.get_flag("check"))))
}

/// What a run ends with that has standard output and standard error.
fn with_host(run: impl FnOnce(&Host) -> clap::error::Result<Result<()>>) -> ExitCode {
    let host = match Host::standard() {
        Ok(host) => host,
        Err(error) => {
            let _ = writeln!(io::stderr(), "ebtools: {error}");
            return ExitCode::from(error.exit_code());
        }
    };
    sys::refuse_huge_pages();
    sys::note_limits();
    match run(&host) {
        Ok(done) => ExitCode::from(host.exit_code(done)),
        Err(error) => usage(&error),
    }
}

/// A tool that runs in a thread of its own, beside others in this process.
#[derive(Debug)]
pub struct Beside {
    thread: JoinHandle<u8>,
    stop: Stop,
}

impl Beside {
    /// Starts it with arguments like `["execsnoop", "--json"]`: its rows go to `out`, its messages to
    /// `err`.
    ///
    /// # Errors
    ///
    /// When there is no such tool, or no such option.
    pub fn start(
        args: &[&str],
        out: OwnedFd,
        err: OwnedFd,
    ) -> std::result::Result<Self, Box<dyn Error>> {
        let (name, args) = args.split_first().ok_or("no tool is named")?;
        let tool = tool_named(name).ok_or("no such tool")?;
        let matches = tool.command().no_binary_name(true).try_get_matches_from(args)?;
        let stop = Stop::default();
        let host =
            Host::new(Stream::new(out, stop.clone()), Stream::new(err, stop.clone()), stop.clone())
                .given(args);
        Ok(Self { thread: tool.run_beside(host, matches)?, stop })
    }

    /// Asks it to end, once it has attached, and waits for that: what a process would end with.
    pub fn end(self) -> u8 {
        self.stop.ask(Signal::SIGTERM);
        self.thread.join().unwrap_or(1)
    }
}

/// clap's own text: help and version on standard output, what is wrong on standard error.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}
