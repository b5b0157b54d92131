//! Every line of JSON that ebtools prints in a case is held against its schema, and its numbers must
//! have no gap. What is wrong is kept until the case ends.

use std::collections::HashMap;
use std::io;
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex};

use crate::run::ebtools;
use crate::validator::Validator;

/// Of output that is long, so many lines at its begin and at its end: numbers are those of all.
const FIRST: usize = 300;
const LAST: usize = 50;

static WRONG: Mutex<Vec<String>> = Mutex::new(Vec::new());

static VALIDATOR: LazyLock<Result<Validator, String>> = LazyLock::new(|| {
    let schema = Command::new(ebtools()).arg("schema").output().map_err(|why| why.to_string())?;
    Validator::new(&String::from_utf8_lossy(&schema.stdout))
});

/// Looks at what was printed.
pub(crate) fn look(stdout: &str) {
    // What was written to a pipe that nobody reads any more may end in half a line.
    let whole = stdout.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let lines = whole.filter(|line| line.starts_with(r#"{"type":""#)).collect::<Vec<_>>();
    let last = lines.len().saturating_sub(LAST).max(FIRST);
    let some = lines.iter().take(FIRST).chain(lines.iter().skip(last));
    let wrong = numbered(&lines).and_then(|()| some.copied().try_for_each(check));
    if let Err(why) = wrong {
        WRONG.lock().expect("nobody panics here").push(why);
    }
}

/// What has been wrong since the last time.
pub(crate) fn wrong() -> Vec<String> {
    std::mem::take(&mut WRONG.lock().expect("nobody panics here"))
}

fn check(line: &str) -> Result<(), String> {
    let validator = VALIDATOR.as_ref().map_err(Clone::clone)?;
    validator.check(line).map_err(|why| format!("not what its schema says: {why}: {line}"))
}

/// The lines of each run are numbered by one from its start; the first ones may have been read already, and
/// what is missing is told of.
fn numbered(lines: &[&str]) -> Result<(), String> {
    let is_told = lines.iter().any(|line| line.contains(r#""reason":"output_failed""#));
    let mut next = HashMap::new();
    for line in lines {
        let after = |name: &str| line.split_once(name).map(|(_, rest)| rest);
        let tool = after(r#""tool":""#).and_then(|rest| rest.split('"').next());
        let digits = after(r#","seq":"#).map(|rest| rest.split([',', '}']).next().unwrap_or(rest));
        let Some(number) = digits.and_then(|digits| digits.parse::<u64>().ok()) else { continue };
        let is_start = line.starts_with(r#"{"type":"start""#);
        let expected = if is_start { Some(0) } else { next.get(&tool).copied() };
        let is_right = |expected| number == expected || number > expected && is_told;
        if !expected.is_none_or(is_right) {
            return Err(format!("number {number} comes where {expected:?} should: {line}"));
        }
        next.insert(tool, number + 1);
    }
    Ok(())
}

/// Runs to its end, and is looked at.
pub(crate) trait Watched {
    fn watched(&mut self) -> io::Result<Output>;
}

impl Watched for Command {
    fn watched(&mut self) -> io::Result<Output> {
        let output = self.output()?;
        look(&String::from_utf8_lossy(&output.stdout));
        Ok(output)
    }
}
