//! A query in parts, as far as it matters which of them are values.

pub(super) enum Token<'q> {
    /// White space, or a comment.
    Space,
    /// A text, a number, or a parameter.
    Value,
    /// A key word, or a name without quotes.
    Word(&'q [u8]),
    /// A name with its quotes.
    Name(&'q [u8]),
    /// One character of another kind.
    Sign(u8),
}

pub(super) struct Lexer<'q> {
    pub(super) rest: &'q [u8],
    pub(super) is_mysql: bool,
}

/// What may stand right before a text, in lower case: `E'...'`.
const PREFIXES: [&[u8]; 5] = [b"e", b"b", b"x", b"n", b"u&"];

impl<'q> Iterator for Lexer<'q> {
    type Item = Token<'q>;

    fn next(&mut self) -> Option<Token<'q>> {
        let &first = self.rest.first()?;
        let second = self.rest.get(1).copied().unwrap_or_default();
        if let Some(len) = self.space() {
            self.take(len);
            return Some(Token::Space);
        }
        Some(match first {
            b'\'' => self.value(quoted(self.rest, self.is_mysql)),
            b'"' if self.is_mysql => self.value(quoted(self.rest, true)),
            b'"' => Token::Name(self.take(quoted(self.rest, false))),
            b'`' if self.is_mysql => Token::Name(self.take(quoted(self.rest, false))),
            b'?' => self.value(1),
            b'0'..=b'9' => self.value(number(self.rest)),
            b'.' if second.is_ascii_digit() => self.value(number(self.rest)),
            b'$' if !self.is_mysql => match dollar_quoted(self.rest) {
                Some(len) => self.value(len),
                None => self.sign(),
            },
            _ if is_of_word(first) && first != b'$' => self.word(),
            _ => self.sign(),
        })
    }
}

impl<'q> Lexer<'q> {
    fn take(&mut self, len: usize) -> &'q [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn value(&mut self, len: usize) -> Token<'q> {
        self.take(len);
        Token::Value
    }

    fn sign(&mut self) -> Token<'q> {
        Token::Sign(self.take(1)[0])
    }

    /// The length of the white space or the comment that comes next.
    fn space(&self) -> Option<usize> {
        let rest = self.rest;
        let line = || rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        match rest {
            [0..=b' ', ..] => Some(rest.iter().take_while(|&&byte| byte <= b' ').count()),
            [b'/', b'*', ..] => Some(comment(rest, self.is_mysql)),
            [b'#', ..] if self.is_mysql => Some(line()),
            // Without white space it is minus minus.
            [b'-', b'-', 0..=b' ', ..] => Some(line()),
            [b'-', b'-', ..] if !self.is_mysql => Some(line()),
            _ => None,
        }
    }

    /// A word, or a text with a prefix.
    fn word(&mut self) -> Token<'q> {
        let rest = self.rest;
        for prefix in PREFIXES {
            let is_it = rest.get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix));
            let is_known = !self.is_mysql || prefix.len() == 1;
            if is_it && is_known && rest.get(prefix.len()) == Some(&b'\'') {
                let has_escapes = self.is_mysql || prefix == b"e";
                return self.value(prefix.len() + quoted(&rest[prefix.len()..], has_escapes));
            }
        }
        Token::Word(self.take(rest.iter().take_while(|&&byte| is_of_word(byte)).count()))
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

/// The length of what begins with a quote, to the same quote; two of them are one in it.
fn quoted(text: &[u8], has_escapes: bool) -> usize {
    let quote = text[0];
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        if byte == b'\\' && has_escapes {
            at += 2;
        } else if byte != quote {
            at += 1;
        } else if text.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    at
}

/// 1, 1.5e-3, 0xff, and names that begin with a digit.
fn number(text: &[u8]) -> usize {
    let has_exponent = !matches!(text, [b'0', b'x' | b'X', ..]);
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let is_of_exponent = || {
            has_exponent
                && at > 0
                && matches!(text[at - 1], b'e' | b'E')
                && matches!(byte, b'-' | b'+')
                && text.get(at + 1).is_some_and(u8::is_ascii_digit)
        };
        if !is_of_word(byte) && byte != b'.' && !is_of_exponent() {
            break;
        }
        at += 1;
    }
    at
}

/// `$1`, or `$tag$...$tag$`.
fn dollar_quoted(text: &[u8]) -> Option<usize> {
    let digits = text[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 {
        return Some(1 + digits);
    }
    let tag = 1 + text[1..].iter().position(|&byte| !is_of_word(byte) || byte == b'$')?;
    let tag = text.get(..=tag).filter(|tag| tag.ends_with(b"$"))?;
    let mut at = tag.len();
    // It has no other dollar in it: nothing is compared twice.
    while let Some(next) = text[at..].iter().position(|&byte| byte == b'$') {
        at += next;
        if text[at..].starts_with(tag) {
            return Some(at + tag.len());
        }
        at += 1;
    }
    Some(text.len())
}

/// The length of a comment. PostgreSQL's may have others in them.
fn comment(text: &[u8], is_mysql: bool) -> usize {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 && at < text.len() {
        match text[at..] {
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            [b'/', b'*', ..] if !is_mysql => (at, depth) = (at + 2, depth + 1),
            _ => at += 1,
        }
    }
    at
}
