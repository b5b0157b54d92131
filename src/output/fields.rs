//! Which columns are shown: those of `--fields` in its order, or those that the format has.

use std::fmt::Write as _;

use super::{Asked, Column, Kind, Name, Shown, Source, names};
use crate::error::Error;
use crate::escape;

/// The columns that are shown: in JSON, or else in the table. `is_given` tells of an option of
/// [`Asked`].
///
/// # Errors
///
/// When a field is unknown: with the names of all.
pub fn choose<'c, E>(
    columns: &[&'c Column<E>],
    is_json: bool,
    fields: &[String],
    is_given: impl Fn(&str) -> bool,
) -> Result<Vec<&'c Column<E>>, Error> {
    let mut chosen = named("--fields", columns, fields)?;
    if fields.is_empty() {
        chosen = columns.iter().copied().filter(|one| is_shown(one, is_json, &is_given)).collect();
    }
    for column in columns {
        let is_added = matches!(column.option, Asked::Added(option) if is_given(option));
        if is_added && !chosen.iter().any(|one| one.key == column.key) {
            let endless = chosen.iter().position(|one| one.width == 0);
            chosen.insert(endless.unwrap_or(chosen.len()), column);
        }
    }
    Ok(replaced(columns, chosen, is_given))
}

/// The columns that events are counted by, as `option` says.
///
/// # Errors
///
/// When a field is unknown, or no two events have it in common.
pub(crate) fn counted<'c, E>(
    option: &str,
    columns: &[&'c Column<E>],
    fields: &[String],
    is_given: impl Fn(&str) -> bool,
) -> Result<Vec<&'c Column<E>>, Error> {
    let chosen = named(option, columns, fields)?;
    let is_measured = |column: &&Column<E>| matches!(column.kind, Kind::Time | Kind::Duration);
    match chosen.iter().copied().find(is_measured) {
        Some(column) => {
            Err(Error::usage(option, format!("'{}' is another one for each event", column.key)))
        }
        None => Ok(replaced(columns, chosen, is_given)),
    }
}

/// Options may put another column in the place of one.
fn replaced<'c, E>(
    columns: &[&'c Column<E>],
    chosen: Vec<&'c Column<E>>,
    is_given: impl Fn(&str) -> bool,
) -> Vec<&'c Column<E>> {
    let instead = |column: &Column<E>| match column.option {
        Asked::Replaced(option, key) if is_given(option) => find(columns, key),
        _ => None,
    };
    let mut shown = Vec::<&Column<E>>::new();
    for column in chosen.into_iter().map(|column| instead(column).unwrap_or(column)) {
        // It may be named itself, too.
        if shown.iter().all(|one| one.key != column.key) {
            shown.push(column);
        }
    }
    shown
}

/// Those that `option` names, in its order.
fn named<'c, E>(
    option: &str,
    columns: &[&'c Column<E>],
    fields: &[String],
) -> Result<Vec<&'c Column<E>>, Error> {
    let found = fields
        .iter()
        .map(|key| find(columns, key).ok_or_else(|| unknown(option, &names(columns), key)));
    check_distinct(option, fields)?;
    found.collect()
}

/// Does the option name nothing twice?
///
/// # Errors
///
/// When it does: with what.
pub(crate) fn check_distinct(option: &str, names: &[String]) -> Result<(), Error> {
    twice(names)
        .map_or(Ok(()), |name| Err(Error::usage(option, format!("'{name}' is named twice"))))
}

/// The first that was there before.
pub(crate) fn twice(names: &[String]) -> Option<&String> {
    names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)).map(|(_, name)| name)
}

fn find<'c, E>(columns: &[&'c Column<E>], key: &str) -> Option<&'c Column<E>> {
    columns.iter().copied().find(|column| column.key == key)
}

fn is_shown<E>(column: &Column<E>, is_json: bool, is_given: impl Fn(&str) -> bool) -> bool {
    let is_asked = match column.option {
        Asked::With(options) => options.iter().any(|option| is_given(option)),
        _ => false,
    };
    match column.shown {
        Shown::Always => true,
        Shown::JsonOnly => is_json || is_asked,
        Shown::Nowhere => is_asked,
    }
}

/// There is no such field among these, as `option` says.
pub(crate) fn unknown(option: &str, names: &[Name], field: &str) -> Error {
    let names = names.iter().map(|name| name.key).collect::<Vec<_>>();
    Error::usage(option, format!("there is no field '{field}'"))
        .hint(format!("there are {}; --fields help explains them", names.join(", ")))
}

/// The text of `--fields help`: a line a field.
pub fn help<E>(columns: &[&Column<E>]) -> String {
    let width = columns.iter().map(|column| column.key.len()).fold("FIELD".len(), usize::max);
    let mut text = format!("{:<width$} FROM    MEANING\n", "FIELD");
    for column in columns {
        let source = match column.source {
            Source::Kernel => "kernel",
            Source::User => "process",
        };
        let _ = writeln!(
            text,
            "{:<width$} {source:<7} {}",
            column.key,
            escape::text(column.about.as_bytes())
        );
    }
    text + "\nkernel: the kernel's own data, which nobody else can change.\n\
            process: the memory of the process, which its other threads may change while it is read.\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Header;

    const COLUMNS: &[&Column<Header>] = &[
        &Column::TIME_IF_ASKED,
        &Column::COMM,
        &Column::TID.added_by("--threads"),
        &Column { width: 0, ..Column::PPID }.replaced_by("--parent", "parent_comm"),
        &Column::PARENT_COMM.hidden(),
        &Column::PID.hidden().with(&["--by=pid", "--process"]),
    ];

    fn keys(is_json: bool, fields: &[&str], options: &[&str]) -> String {
        let fields = fields.iter().map(ToString::to_string).collect::<Vec<_>>();
        let chosen = choose(COLUMNS, is_json, &fields, |option| options.contains(&option));
        chosen.unwrap().iter().map(|column| column.key).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn chooses_and_orders() {
        assert_eq!(keys(false, &[], &[]), "comm ppid");
        assert_eq!(keys(true, &[], &[]), "time comm tid ppid");
        assert_eq!(keys(false, &["pid", "comm"], &[]), "pid comm");
    }

    #[test]
    fn options_show_columns() {
        assert_eq!(keys(false, &[], &["--timestamp"]), "time comm ppid");
        assert_eq!(keys(false, &[], &["--by=pid"]), "comm ppid pid");
        assert_eq!(keys(false, &["comm"], &["--timestamp", "--process"]), "comm");
    }

    #[test]
    fn options_add_columns_before_what_has_no_end() {
        assert_eq!(keys(false, &[], &["--threads"]), "comm tid ppid");
        assert_eq!(keys(true, &[], &["--threads"]), "time comm tid ppid");
        assert_eq!(keys(false, &["ppid", "pid"], &["--threads"]), "tid ppid pid");
        assert_eq!(keys(false, &["pid"], &["--threads"]), "pid tid");
        assert_eq!(keys(false, &["tid", "ppid"], &["--threads"]), "tid ppid");
    }

    #[test]
    fn options_replace_columns() {
        assert_eq!(keys(false, &[], &["--parent"]), "comm parent_comm");
        assert_eq!(keys(true, &["ppid", "pid"], &["--parent"]), "parent_comm pid");
        assert_eq!(keys(true, &["ppid", "parent_comm"], &["--parent"]), "parent_comm");
    }

    fn refusal(fields: &[&str]) -> String {
        let fields = fields.iter().map(ToString::to_string).collect::<Vec<_>>();
        choose(COLUMNS, false, &fields, |_| false).unwrap_err().to_string()
    }

    #[test]
    fn refuses_what_is_named_twice() {
        let error = refusal(&["pid", "comm", "pid"]);
        assert!(error.contains("'pid' is named twice"), "{error}");
    }

    #[test]
    fn refuses_unknown_fields_and_names_all() {
        let error = refusal(&["x\x1b"]);
        assert!(error.contains(r"'x\x1b'") && error.contains("time, comm, tid, ppid"), "{error}");
    }

    #[test]
    fn help_has_a_line_each() {
        assert_eq!(help(COLUMNS).lines().count(), 1 + COLUMNS.len() + 3);
    }
}
