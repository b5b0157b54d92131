//! Queries that differ in their values alone, as one text: literals and parameters are `?`, comments
//! are gone, white space is a space, and lists of values are `(?+)`. Names, their case and operators
//! stay as they are. Takes any bytes, in linear time; the same text comes of what it has made.

mod lexer;

use lexer::{Lexer, Token};

/// A query of PostgreSQL: "..." is a name.
pub(super) fn of_postgresql(query: &[u8]) -> Vec<u8> {
    normal(Lexer { rest: query, is_mysql: false })
}

/// A query of MySQL or MariaDB: "..." is a text, as it is unless ANSI_QUOTES is set.
pub(super) fn of_mysql(query: &[u8]) -> Vec<u8> {
    normal(Lexer { rest: query, is_mysql: true })
}

/// The same of queries that are longer than what is known of them. Where that ends is chance.
pub(super) fn of_cut_postgresql(query: &[u8]) -> Vec<u8> {
    cut(of_postgresql(query))
}

/// The same.
pub(super) fn of_cut_mysql(query: &[u8]) -> Vec<u8> {
    cut(of_mysql(query))
}

/// Without the last word, and what is a part of a list.
fn cut(mut normal: Vec<u8>) -> Vec<u8> {
    let end = normal.iter().rposition(|byte| !b"?(), ".contains(byte));
    let end =
        end.map_or(0, |end| normal[..end].iter().rposition(|byte| *byte == b' ').unwrap_or(0));
    normal.truncate(end);
    normal.extend_from_slice(b" [...]");
    normal
}

fn normal(lexer: Lexer<'_>) -> Vec<u8> {
    let mut normal = Normal::default();
    for token in lexer {
        normal.add(token);
    }
    let end = normal.text.iter().rposition(|byte| !b" ;".contains(byte));
    normal.text.truncate(end.map_or(0, |end| end + 1));
    normal.text
}

/// A normal text, as far as it is made.
#[derive(Default)]
struct Normal {
    text: Vec<u8>,
    /// There is white space, or was a comment, before the next token.
    is_apart: bool,
    /// How many parentheses are open.
    depth: usize,
    /// The last token is this word.
    word: Word,
    /// Where the list of values begins that is open, and has nothing else so far.
    list: Option<usize>,
    /// Those that stand here.
    rows: Option<Rows>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Word {
    #[default]
    Other,
    In,
    Values,
}

/// Rows in parentheses, with commas between them, of which one stands for others like it.
#[derive(Clone, Copy)]
struct Rows {
    /// Outside of them.
    depth: usize,
    /// Where the row begins that is open, or may come next.
    start: usize,
    /// Where the last one that was kept begins and ends.
    last: Option<(usize, usize)>,
}

/// A sign behind one of these belongs to the value.
const BEFORE_A_SIGN: &[u8] = b"(,=<>*/%|&^!~+-";

/// What is a value in a list of values.
const VALUES: [&[u8]; 4] = [b"null", b"true", b"false", b"default"];

impl Normal {
    fn add(&mut self, token: Token<'_>) {
        let word = std::mem::take(&mut self.word);
        match token {
            Token::Space => {
                self.is_apart = true;
                self.word = word;
            }
            Token::Value => self.add_value(),
            Token::Word(text) => self.add_word(text),
            Token::Name(text) => self.add_other(text),
            Token::Sign(b'(') => self.open(word),
            Token::Sign(b')') => self.close(),
            Token::Sign(sign @ (b',' | b';')) => {
                self.text.push(sign);
                self.is_apart = true;
                if sign == b';' {
                    (self.list, self.rows) = (None, None);
                }
            }
            Token::Sign(sign @ (b'-' | b'+')) if self.list.is_some() => self.push(&[sign]),
            Token::Sign(sign) => self.add_other(&[sign]),
        }
    }

    /// With a space before it, if there is one to be.
    fn push(&mut self, text: &[u8]) {
        // Not the beginning of a comment of MySQL's.
        let is_glued =
            self.text.is_empty() || self.text.ends_with(b"(") || self.text.ends_with(b"--");
        if std::mem::take(&mut self.is_apart) && !is_glued {
            self.text.push(b' ');
        }
        self.text.extend_from_slice(text);
    }

    /// What is no value, and no row.
    fn add_other(&mut self, text: &[u8]) {
        self.list = None;
        self.rows = self.rows.filter(|rows| self.depth > rows.depth);
        self.push(text);
    }

    fn add_word(&mut self, text: &[u8]) {
        if self.list.is_some() && VALUES.iter().any(|value| text.eq_ignore_ascii_case(value)) {
            return self.push(text);
        }
        self.add_other(text);
        if text.eq_ignore_ascii_case(b"in") {
            self.word = Word::In;
        } else if text.eq_ignore_ascii_case(b"values") {
            self.word = Word::Values;
        }
    }

    fn add_value(&mut self) {
        self.rows = self.rows.filter(|rows| self.depth > rows.depth);
        while let Some((b'-' | b'+', before)) = self.text.split_last() {
            let kept = before.strip_suffix(b" ").unwrap_or(before);
            if kept.last().is_some_and(|last| !BEFORE_A_SIGN.contains(last)) {
                break;
            }
            self.is_apart = kept.len() < before.len();
            self.text.truncate(kept.len());
        }
        self.push(b"?");
    }

    fn open(&mut self, word: Word) {
        self.is_apart |= word != Word::Other;
        let is_row = self.rows.is_some_and(|rows| rows.depth == self.depth);
        self.push(b"(");
        let start = self.text.len() - 1;
        self.list = (word != Word::Other || is_row).then_some(start);
        self.depth += 1;
        let rows = |depth| Some(Rows { depth, start, last: None });
        match (word, &mut self.rows) {
            (Word::Values, _) => self.rows = rows(self.depth - 1),
            (Word::In, _) => self.rows = rows(self.depth),
            (Word::Other, Some(rows)) if is_row => rows.start = start,
            _ => {}
        }
    }

    fn close(&mut self) {
        self.is_apart = false;
        self.depth = self.depth.saturating_sub(1);
        match self.list.take() {
            Some(start) if start + 1 < self.text.len() => {
                self.text.truncate(start);
                self.text.extend_from_slice(b"(?+)");
            }
            _ => self.text.push(b')'),
        }
        let depth = self.depth;
        self.rows = self.rows.filter(|rows| depth >= rows.depth);
        if let Some(rows) = self.rows.as_mut().filter(|rows| depth == rows.depth) {
            let row = self.text.get(rows.start..).unwrap_or_default();
            match rows.last {
                Some((start, end)) if self.text.get(start..end) == Some(row) => {
                    self.text.truncate(end);
                }
                _ => rows.last = Some((rows.start, self.text.len())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(normal: fn(&[u8]) -> Vec<u8>, query: &str) -> String {
        String::from_utf8(normal(query.as_bytes())).unwrap()
    }

    #[test]
    fn values_are_all_one() {
        for (query, normal) in [
            ("select  1", "select ?"),
            ("SELECT a\n FROM t -- why\nWHERE b='it''s' ;", "SELECT a FROM t WHERE b=?"),
            ("select/* no */2", "select ?"),
            ("select a1, 1.5e-3, .5, 0xFF, 1e5+x, b-1", "select a1, ?, ?, ?, ?+x, b-?"),
            ("where a = -1 and b > - 2 and c - -3 < 4", "where a = ? and b > ? and c - ? < ?"),
            ("select t1.c2 from t1", "select t1.c2 from t1"),
            ("where a in (1,2, 3)", "where a in (?+)"),
            ("where a IN('x')", "where a IN (?+)"),
            ("where a in (-1, null)", "where a in (?+)"),
            ("where a in (1, b)", "where a in (?, b)"),
            ("where a in (select 1)", "where a in (select ?)"),
            ("where (a, b) in ((1,2),(3,4))", "where (a, b) in ((?+))"),
            ("insert into t values (1,'a'),(2,'b') , (3,NULL)", "insert into t values (?+)"),
            ("values (1, now()), (2, now()), (3, f(1))", "values (?, now()), (?, f(?))"),
            ("insert into t () values ()", "insert into t () values ()"),
            ("select pow(1, 2)", "select pow(?, ?)"),
            ("where a is null and b = ?", "where a is null and b = ?"),
            ("select x'1f', B'01', N'n'", "select ?, ?, ?"),
            ("select 'not ended", "select ?"),
            ("", ""),
        ] {
            assert_eq!(shown(of_postgresql, query), normal, "{query}");
            assert_eq!(shown(of_mysql, query), normal, "{query}");
        }
    }

    #[test]
    fn servers_have_texts_and_comments_of_their_own() {
        for (query, postgresql, mysql) in [
            (r#"select "a b", `c d`"#, r#"select "a b", `c d`"#, "select ?, `c d`"),
            (r"select 'a\', 'c'", "select ?, ?", "select ?c?"),
            (r"select E'a\'c', 1", "select ?, ?", "select ?, ?"),
            ("select $$a'b$$, $x$ $$ $x$, $1", "select ?, ?, ?", "select $$a?"),
            ("select a # b\n, c", "select a # b, c", "select a, c"),
            ("select a --b\n, c", "select a, c", "select a --b, c"),
            ("select /* /* */ 1 */ 2", "select ?", "select ? */ ?"),
            ("select /*! 1 */ 2", "select ?", "select ?"),
            ("select U&'a', U&\"b\"", "select ?, U&\"b\"", "select U&?, U&?"),
            ("select data->'a'->-1::int", "select data->?->?::int", "select data->?->?::int"),
        ] {
            assert_eq!(shown(of_postgresql, query), postgresql, "{query}");
            assert_eq!(shown(of_mysql, query), mysql, "{query}");
        }
    }

    #[test]
    fn long_texts_take_no_time() {
        for part in ["$a", "$$", "/*", "(", "values (", "- ", "'", "\"", "(1),", "E'\\", "in ((1),"]
        {
            let query = part.repeat(65536 / part.len());
            for normal in [of_postgresql, of_mysql] {
                assert!(normal(query.as_bytes()).len() <= 2 * query.len(), "{part}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_normal_stays(
            parts in prop::collection::vec(
                prop_oneof![
                    "[ -~\n]{0,3}",
                    prop::sample::select(vec![
                        "select", "in", "values", "(", ")", ",", ";", "?", "'", "\"", "`", "--", "-", "+", "/*",
                        "*/", "#", "$", "$a$", "1", "1e", "e", "E'", "u&", "null", " ", "\\", "=", ".",
                    ]).prop_map(str::to_string),
                ],
                0..40,
            ),
        ) {
            for normal in [of_postgresql, of_mysql] {
                let once = normal(parts.concat().as_bytes());
                let twice = normal(&once);
                prop_assert_eq!(
                    String::from_utf8_lossy(&twice),
                    String::from_utf8_lossy(&once)
                );
            }
        }

        #[test]
        fn any_bytes_have_a_normal_text(query: Vec<u8>) {
            for normal in [of_postgresql, of_mysql] {
                let once = normal(&query);
                prop_assert!(once.len() <= 2 * query.len());
                prop_assert_eq!(normal(&once), once);
            }
        }
    }
}
