//! `-p PID`: a number, and what helps where it is something else.

use std::ffi::OsStr;
use std::num::NonZeroU32;

use clap::builder::TypedValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, Error};

use crate::escape;
use crate::filter::tasks::kept;
use crate::system::processes;

/// So many processes of a name are told of.
const NAMED_MAX: usize = 5;

/// Reads the number of a process.
#[derive(Clone, Debug)]
pub(crate) struct PidParser;

impl TypedValueParser for PidParser {
    type Value = NonZeroU32;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<NonZeroU32, Error> {
        number.parse_ref(command, arg, value).map_err(|mut error| {
            if let Some(name) = value.to_str().filter(|text| text.contains(char::is_alphabetic)) {
                let tips = tips(kept(name)).into_iter().map(Into::into).collect();
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
            }
            error
        })
    }
}

fn number(text: &str) -> Result<NonZeroU32, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("-p takes a number".into());
    }
    text.parse::<NonZeroU32>().map_err(|error| error.to_string())
}

/// What to do with a name, and which processes have it now.
fn tips(name: &str) -> Vec<String> {
    let word = escape::shell_word(name.as_bytes());
    let mut tips = vec![format!("use -n {word} for the name")];
    let pids = processes::named(name.as_bytes()).take(NAMED_MAX + 1);
    let mut pids = pids.map(|pid| pid.to_string()).collect::<Vec<_>>();
    if pids.len() > NAMED_MAX {
        pids[NAMED_MAX] = "...".into();
    }
    if !pids.is_empty() {
        tips.push(format!("processes of that name: {}", pids.join(", ")));
    }
    tips
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_numbers_alone() {
        assert_eq!(number("12"), Ok(NonZeroU32::new(12).unwrap()));
        for (text, why) in [
            ("bash", "-p takes a number"),
            ("-1", "-p takes a number"),
            ("1 2", "-p takes a number"),
            ("0", "number would be zero for non-zero type"),
            ("99999999999", "number too large to fit in target type"),
        ] {
            assert_eq!(number(text), Err(why.into()), "{text}");
        }
    }

    #[test]
    fn names_are_words_for_a_shell() {
        assert_eq!(tips("no such \u{1b}")[..], ["use -n $'no such \\x1b' for the name"]);
        assert_eq!(tips("it's")[..], ["use -n $'it\\'s' for the name"]);
    }
}
