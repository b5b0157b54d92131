//! Which columns are shown: those of `--fields` in its order, or those that the format has.

use std::fmt::Write as _;

use super::{Column, Shown, Source};
use crate::error::Error;
use crate::escape;

/// What is asked for besides `--fields`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// JSON has more than the table.
    pub json: bool,
    /// `-T`
    pub time: bool,
    /// `-U`
    pub uid: bool,
}

/// The columns that are shown.
///
/// # Errors
///
/// When a field is unknown: with the names of all.
pub fn choose<'c, E>(
    columns: &'c [Column<E>],
    wish: Wish,
    fields: &[String],
) -> Result<Vec<&'c Column<E>>, Error> {
    if fields.is_empty() {
        return Ok(columns.iter().filter(|column| is_shown(column.shown, wish)).collect());
    }
    let find = |field: &String| {
        columns.iter().find(|column| column.key == field).ok_or_else(|| unknown(columns, field))
    };
    if let Some((_, twice)) = fields.iter().enumerate().find(|(i, key)| fields[..*i].contains(key))
    {
        return Err(Error::usage("--fields", format!("'{twice}' is named twice")));
    }
    fields.iter().map(find).collect()
}

fn is_shown(shown: Shown, wish: Wish) -> bool {
    match shown {
        Shown::Always => true,
        Shown::WithTime => wish.json || wish.time,
        Shown::WithUid => wish.json || wish.uid,
        Shown::JsonOnly => wish.json,
        Shown::OnRequest => false,
    }
}

fn unknown<E>(columns: &[Column<E>], field: &str) -> Error {
    let names = columns.iter().map(|column| column.key).collect::<Vec<_>>();
    Error::usage("--fields", format!("there is no field '{field}'"))
        .hint(format!("there are {}; --fields help explains them", names.join(", ")))
}

/// The text of `--fields help`: a line a field.
pub fn help<E>(columns: &[Column<E>]) -> String {
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
    use crate::decode::Header;

    const COLUMNS: &[Column<Header>] = &[
        Column::TIME.shown(Shown::WithTime),
        Column::COMM,
        Column::TID,
        Column::PID.shown(Shown::OnRequest),
    ];

    fn keys(wish: Wish, fields: &[&str]) -> Vec<&'static str> {
        let fields = fields.iter().map(ToString::to_string).collect::<Vec<_>>();
        choose(COLUMNS, wish, &fields).unwrap().iter().map(|column| column.key).collect()
    }

    #[test]
    fn chooses_and_orders() {
        assert_eq!(keys(Wish::default(), &[]), ["comm"]);
        assert_eq!(keys(Wish { time: true, ..Wish::default() }, &[]), ["time", "comm"]);
        assert_eq!(keys(Wish { json: true, ..Wish::default() }, &[]), ["time", "comm", "tid"]);
        assert_eq!(keys(Wish::default(), &["pid", "comm"]), ["pid", "comm"]);
    }

    #[test]
    fn refuses_what_is_named_twice() {
        let twice = ["pid".into(), "comm".into(), "pid".into()];
        let error = choose(COLUMNS, Wish::default(), &twice).unwrap_err().to_string();
        assert!(error.contains("'pid' is named twice"), "{error}");
    }

    #[test]
    fn refuses_unknown_fields_and_names_all() {
        let error = choose(COLUMNS, Wish::default(), &["x\x1b".into()]).unwrap_err().to_string();
        assert!(error.contains(r"'x\x1b'") && error.contains("time, comm, tid, pid"), "{error}");
    }

    #[test]
    fn help_has_a_line_each() {
        assert_eq!(help(COLUMNS).lines().count(), 1 + COLUMNS.len() + 3);
    }
}
