//! Names of functions as a user gives them: those that `probes` and `profile` print too.

use glob::Pattern;

use crate::system::demangle::demangle;

/// What a user wants: a name, or a pattern of names.
#[derive(Debug)]
pub(crate) struct Wanted<'t> {
    text: &'t str,
    /// None where the name cannot be one, like `operator[](int)`.
    pattern: Option<Pattern>,
}

impl<'t> Wanted<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, pattern: Pattern::new(text).ok() }
    }

    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    /// Is it this symbol, by its own name or by the one in the programmer's words?
    pub(crate) fn matches(&self, symbol: &str) -> bool {
        self.is(symbol) || is_mangled(symbol) && self.is(&demangle(symbol))
    }

    fn is(&self, name: &str) -> bool {
        name == self.text || self.pattern.as_ref().is_some_and(|pattern| pattern.matches(name))
    }
}

fn is_mangled(symbol: &str) -> bool {
    symbol.starts_with("_Z") || symbol.starts_with("_R")
}

/// A symbol's name as it is shown.
pub(crate) fn shown(symbol: &str) -> String {
    if is_mangled(symbol) { demangle(symbol) } else { symbol.into() }
}

/// `FILE:FUNCTION`, where both may have colons in them: the file is the first that there is, or
/// else goes up to the first colon.
pub(crate) fn split(text: &str, is_file: impl Fn(&str) -> bool) -> Option<(&str, &str)> {
    let colons = text.match_indices(':').map(|(at, _)| (&text[..at], &text[at + 1..]));
    let mut with_file = colons.clone().filter(|(file, _)| file.contains('/') && is_file(file));
    with_file.next().or_else(|| { colons }.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_as_they_are_shown() {
        let rust = "_ZN4burn8tokenize17h0123456789abcdefE";
        let index = "_ZN1vixEi";
        for (text, symbol) in [
            ("main", "main"),
            ("ma*", "main"),
            ("burn::tokenize", rust),
            ("burn::*", rust),
            (rust, rust),
            ("v::operator[](int)", index),
            ("_ZN1vix*", index),
        ] {
            assert!(Wanted::new(text).matches(symbol), "{text} {symbol}");
        }
        for symbol in [rust, index, "main", "_Z", "x*y"] {
            assert!(Wanted::new(&shown(symbol)).matches(symbol), "{symbol}");
        }
        assert!(!Wanted::new("burn").matches(rust));
    }

    #[test]
    fn splits_at_the_colon_after_the_file() {
        let is_file = |path: &str| path == "/bin/a" || path == "/b:c/d";
        for (text, parts) in [
            ("vfs_read", None),
            ("c:getaddrinfo", Some(("c", "getaddrinfo"))),
            ("/bin/a:burn::tokenize", Some(("/bin/a", "burn::tokenize"))),
            ("/bin/a:v::operator/(v)", Some(("/bin/a", "v::operator/(v)"))),
            ("/b:c/d:e::f", Some(("/b:c/d", "e::f"))),
            ("/no:such", Some(("/no", "such"))),
            ("app:v::operator/(v)", Some(("app", "v::operator/(v)"))),
        ] {
            assert_eq!(split(text, is_file), parts, "{text}");
        }
    }
}
