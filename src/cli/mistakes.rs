//! What clap's answers to the usual mistakes lack, and what they must not say.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

use super::{habits, names};
use crate::attach::libraries;
use crate::escape;
use crate::run::options;
use crate::tools::aliases::Alias;

/// What clap quotes of the command line.
const QUOTED: [ContextKind; 3] =
    [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::InvalidSubcommand];

/// `error` with what helps; it is what `command` says of `args`, in which `alias` was.
pub(super) fn explained(
    mut error: Error,
    command: &Command,
    args: &[OsString],
    alias: Option<&Alias>,
) -> Error {
    let misplaced = alias.and_then(|alias| tip_for_words(alias, &error));
    match error.kind() {
        ErrorKind::UnknownArgument if misplaced.is_some() => {
            error.remove(ContextKind::Suggested);
        }
        ErrorKind::UnknownArgument => replace_tips(&mut error, command, args),
        ErrorKind::InvalidSubcommand => name_tools(&mut error, command),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            if let Some(tip) = tip_for_value(&error, command, args) {
                suggest(&mut error, tip);
            }
        }
        _ => {}
    }
    if let Some(alias) = alias.filter(|_| error.use_stderr()) {
        let style = command.get_styles().get_valid();
        let tip = format!("{} is {style}ebtools {}{style:#}", alias.name, alias.meaning());
        suggest(&mut error, misplaced.unwrap_or(tip));
    }
    escape_quoted(&mut error);
    error
}

/// Of a word that stands for an option of an alias, and comes too late.
fn tip_for_words(alias: &Alias, error: &Error) -> Option<String> {
    if alias.words.is_empty() {
        return None;
    }
    let word = invalid_arg(error).filter(|word| !word.starts_with('-'))?;
    let options = alias.words.join(", ");
    Some(format!("what stands for {options} comes first: {} {word} ...", alias.name))
}

/// What may be meant by a value that cannot be read.
fn tip_for_value(error: &Error, command: &Command, args: &[OsString]) -> Option<String> {
    let tool = command.find_subcommand(args.get(1)?)?;
    let option = invalid_arg(error)?;
    if let Some(tip) = habits::tip_for_value(tool.get_name(), option) {
        return Some(tip.into());
    }
    if option == "[SECONDS]" { tip_for_no_time(tool, command, args) } else { None }
}

/// Where a tool takes a time there may be a program, and its arguments behind it.
fn tip_for_no_time(tool: &Command, command: &Command, args: &[OsString]) -> Option<String> {
    tool.get_arguments().find(|arg| arg.get_id() == "seconds")?;
    tip_to_run(tool, args, place_of(ErrorKind::ValueValidation, command, args)?)
}

fn invalid_arg(error: &Error) -> Option<&String> {
    match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(option) => Some(option),
        _ => None,
    }
}

/// clap tells to put what it does not know behind `--`, where it would be run, by root.
fn replace_tips(error: &mut Error, command: &Command, args: &[OsString]) {
    let Some(at) = place_of(ErrorKind::UnknownArgument, command, args) else { return };
    let tool = args[1..at].iter().find_map(|arg| command.find_subcommand(arg));
    let Some(tool) = tool else { return };
    error.remove(ContextKind::Suggested);
    let habit = invalid_arg(error).and_then(|option| habits::tip(tool.get_name(), option));
    let of_program = || tip_for_no_time(tool, command, args);
    let tip = habit.map(Into::into).or_else(of_program).or_else(|| tip(tool, args, at));
    if let Some(tip) = tip {
        error.remove(ContextKind::SuggestedArg);
        suggest(error, tip);
    }
}

/// Where the argument is that clap says this of: it says so of no shorter command line.
fn place_of(kind: ErrorKind, command: &Command, args: &[OsString]) -> Option<usize> {
    (1..args.len()).find(|&at| {
        let read = command.clone().try_get_matches_from(&args[..=at]);
        read.is_err_and(|error| error.kind() == kind)
    })
}

/// What may be meant by the argument there.
fn tip(tool: &Command, args: &[OsString], at: usize) -> Option<String> {
    let word = args[at].to_str().filter(|word| !word.starts_with('-'))?;
    if let Some(tip) = args[at - 1].to_str().and_then(|option| habits::tip(tool.get_name(), option))
    {
        return Some(tip.into());
    }
    let has = |id: &str| tool.get_arguments().any(|arg| arg.get_id() == id);
    let style = tool.get_styles().get_valid();
    // A list of processes, as pgrep gives it.
    if ["-p", "--pid"].iter().any(|option| args[at - 2] == **option) && word.parse::<u32>().is_ok()
    {
        let first = escape::shell_word(args[at - 1].as_encoded_bytes());
        return Some(format!("for several processes: {style}-p {first},{word}{style:#}"));
    }
    // A letter of bcc's killsnoop.
    if args[at - 1] == "-T" && args[..at].iter().any(|arg| arg == "--signals") {
        return Some(format!("for signals to this process: {style}--to {word}{style:#}"));
    }
    if has("duration") && options::seconds(word).is_ok() {
        return Some(format!("to stop after that time: {style}-d {word}{style:#}"));
    }
    tip_to_run(tool, args, at)
}

/// What is there may be a command.
fn tip_to_run(tool: &Command, args: &[OsString], at: usize) -> Option<String> {
    let word = args[at].to_str()?;
    let has = |id: &str| tool.get_arguments().any(|arg| arg.get_id() == id);
    let style = tool.get_styles().get_valid();
    if !has("command") || args[at..].iter().any(|arg| arg == "--") || !is_program(word) {
        return None;
    }
    let doing = if has("pid") { "trace" } else { "run" };
    let with = [&["ebtools".into()], &args[1..at], &["--".into()], &args[at..]].concat();
    Some(format!("to {doing} a command: {style}{}{style:#}", shell_line(&with)))
}

/// Could it be run?
fn is_program(word: &str) -> bool {
    match word.contains('/') {
        true => libraries::is_program(word.as_ref()),
        false => libraries::program(word.as_ref()).is_some(),
    }
}

fn shell_line(args: &[OsString]) -> String {
    let words = args.iter().map(|arg| escape::shell_word(arg.as_encoded_bytes()));
    words.collect::<Vec<_>>().join(" ")
}

/// clap sorts names that are alike by how much they are, the best one last.
fn name_tools(error: &mut Error, command: &Command) {
    let name = error.get(ContextKind::InvalidSubcommand).map(ToString::to_string);
    let alike = error.remove(ContextKind::SuggestedSubcommand);
    if let Some(answer) = name.and_then(|name| names::why_not(&name)) {
        suggest(error, answer);
    } else if let Some(ContextValue::Strings(mut names)) = alike {
        names.reverse();
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(names));
    } else {
        let style = command.get_styles().get_valid();
        suggest(error, format!("{style}ebtools --list{style:#} names the tools"));
    }
}

/// Adds a tip.
fn suggest(error: &mut Error, tip: String) {
    let mut tips = match error.remove(ContextKind::Suggested) {
        Some(ContextValue::StyledStrs(tips)) => tips,
        _ => Vec::new(),
    };
    tips.push(tip.into());
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
}

/// The command line may be put together from names that somebody else gave.
fn escape_quoted(error: &mut Error) {
    for kind in QUOTED {
        if let Some(ContextValue::String(text)) = error.get(kind) {
            let escaped = escape::text(text.as_bytes());
            error.insert(kind, ContextValue::String(escaped));
        }
    }
}
