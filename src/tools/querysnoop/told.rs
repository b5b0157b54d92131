//! What a record tells: the user, the database, and how the query ended.

use crate::bpf::querysnoop::types;
use crate::output::Value;
use crate::record::{Record, c_str};

pub(super) fn is_unreadable(record: &Record<'_, types::event>) -> bool {
    record.event.text == types::text::TEXT_UNREADABLE.0
}

/// The query, the database's name, and the message of an error.
fn parts<'a>(record: &Record<'a, types::event>) -> [&'a [u8]; 3] {
    let rest = &mut record.tail.get(..).unwrap_or_default();
    let event = record.event;
    let mut piece = |len| Record::<types::event>::piece(rest, len);
    [piece(event.query_len), piece(event.database_len), piece(event.message_len)]
}

pub(super) fn query<'a>(record: &Record<'a, types::event>) -> &'a [u8] {
    let [query, ..] = parts(record);
    // Some clients send a NUL too.
    query.strip_suffix(b"\0").unwrap_or(query)
}

pub(super) fn is_postgresql(record: &Record<'_, types::event>) -> bool {
    types::server(record.event.server) == types::server::POSTGRESQL
}

/// PostgreSQL's processes have it in their title:
/// `postgres: 15/main: alice shop 10.0.0.7(4711) idle`.
pub(super) fn user<'a>(record: &Record<'a, types::event>) -> &'a [u8] {
    let text = c_str(&record.event.user);
    if is_postgresql(record) { title(text).unwrap_or_default().0 } else { text }
}

pub(super) fn database<'a>(record: &Record<'a, types::event>) -> &'a [u8] {
    if is_postgresql(record) {
        title(c_str(&record.event.user)).unwrap_or_default().1
    } else {
        let [_, name, _] = parts(record);
        c_str(name)
    }
}

/// The user and the database in a title; none where the process serves no client.
fn title(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = text.strip_prefix(b"postgres: ")?;
    let mut words = rest.split(|&byte| byte == b' ');
    let mut first = words.next()?;
    // The name of the cluster, if it has one.
    if first.ends_with(b":") {
        first = words.next()?;
    }
    // Server processes of its own are called by two words or more, and have no host.
    let (database, host) = (words.next()?, words.next()?);
    let is_host = host == b"[local]" || host.ends_with(b")");
    is_host.then_some((first, database))
}

pub(super) fn text_or_none(text: &[u8]) -> Value<'_> {
    if text.is_empty() { Value::None } else { Value::Text(text) }
}

fn number(bytes: &[u8]) -> Vec<u8> {
    let number = bytes.try_into().map_or(0, u32::from_ne_bytes);
    number.to_string().into_bytes()
}

/// What the server calls the error.
pub(super) fn error<'a>(record: &Record<'a, types::event>) -> Value<'a> {
    let code = sqlstate(record);
    match types::outcome(record.event.outcome) {
        types::outcome::SUCCEEDED => Value::None,
        types::outcome::ENDED => Value::Word("ENDED"),
        _ if record.event.error != [0; 4] => Value::Made(number, &record.event.error),
        _ if code.is_empty() => Value::Word("FAILED"),
        _ => Value::Text(code),
    }
}

pub(super) fn sqlstate<'a>(record: &Record<'a, types::event>) -> &'a [u8] {
    c_str(&record.event.sqlstate)
}

pub(super) fn message<'a>(record: &Record<'a, types::event>) -> Value<'a> {
    let [.., message] = parts(record);
    match c_str(message) {
        b"" => Value::None,
        text if message.len() < types::part::PART_MAX.0 as usize => Value::Text(text),
        text => Value::CutText(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_titles() {
        let alice = Some(("alice", "shop"));
        for (text, user) in [
            ("postgres: alice shop [local] SELECT", alice),
            ("postgres: 15/main: alice shop 10.0.0.7(4711) idle in transaction", alice),
            ("postgres: alice shop ::1(4711) idle", alice),
            ("postgres: checkpointer ", None),
            ("postgres: 15/main: autovacuum worker shop", None),
            ("postgres: 15/main: parallel worker for PID 12 ", None),
            ("/usr/lib/postgresql/15/bin/postgres -D data", None),
            ("", None),
        ] {
            let user = user.map(|(user, database)| (user.as_bytes(), database.as_bytes()));
            assert_eq!(title(text.as_bytes()), user, "{text}");
        }
    }
}
