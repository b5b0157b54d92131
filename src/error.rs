//! What went wrong: what was being done, the cause, and a hint that gets the user going.

use std::fmt::{self, Display, Formatter};

use crate::escape;

/// A failure as the user sees it: `doing: cause`, then `hint: ...` on a line of its own.
#[derive(Debug)]
pub struct Error {
    doing: String,
    cause: String,
    hint: Option<String>,
    code: u8,
}

/// What everything that can fail returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure while `doing`, for the reason `cause`. Both may quote hostile input.
    pub fn new(doing: impl Display, cause: impl Display) -> Self {
        Self { doing: doing.to_string(), cause: cause.to_string(), hint: None, code: 1 }
    }

    /// Wrong usage: what was asked for cannot be.
    pub fn usage(doing: impl Display, cause: impl Display) -> Self {
        Self::new(doing, cause).code(2)
    }

    /// The same with another exit code than 1.
    #[must_use]
    pub(crate) fn code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// What the program ends with.
    pub fn exit_code(&self) -> u8 {
        self.code
    }

    /// Does it say what to do?
    pub(crate) fn has_hint(&self) -> bool {
        self.hint.is_some()
    }

    /// What to do, if it says that.
    pub(crate) fn what_to_do(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Why it failed.
    pub(crate) fn cause(&self) -> &str {
        &self.cause
    }

    /// It without its hint.
    pub(crate) fn line(&self) -> String {
        let line = |text: &str| escape::text(text.as_bytes());
        format!("{}: {}", line(&self.doing), line(&self.cause))
    }

    /// The same with a hint: what to do now.
    #[must_use]
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", escape::text(hint.as_bytes())),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Adds what was being done to another library's error.
pub(crate) trait Context<T> {
    fn doing(self, doing: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn doing(self, doing: impl Display) -> Result<T> {
        self.map_err(|error| Error::new(doing, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_line_and_a_hint_whatever_it_quotes() {
        let error = Error::new("opening /tmp/a\nb\x1b[2J", "no such file").hint("look there");
        assert_eq!(error.to_string(), "opening /tmp/a\\nb\\x1b[2J: no such file\nhint: look there");
    }
}
