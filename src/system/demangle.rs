//! Names of symbols in the programmer's words. A short symbol may stand for megabytes.

use std::fmt::{self, Write as _};

/// The longest name that is shown.
pub(crate) const NAME_MAX: usize = 1024;

/// The name in the programmer's words: of C++ or Rust, else the symbol as it is.
pub(crate) fn demangle(symbol: &str) -> String {
    let mut name = Limited(String::new());
    let done = if let Ok(rust) = rustc_demangle::try_demangle(symbol) {
        write!(name, "{rust:#}")
    } else if let Some(cpp) = symbol.starts_with("_Z").then(|| cpp_demangle::Symbol::new(symbol)) {
        match cpp {
            Ok(cpp) => cpp
                .structured_demangle(&mut name, &cpp_demangle::DemangleOptions::default())
                .map_err(|_| fmt::Error),
            Err(_) => Err(fmt::Error),
        }
    } else {
        Err(fmt::Error)
    };
    match done {
        Ok(()) => name.0,
        Err(_) => symbol.chars().take(NAME_MAX).collect(),
    }
}

/// Refuses more than the longest name.
struct Limited(String);

impl fmt::Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > NAME_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demangles_within_limits() {
        assert_eq!(demangle("_ZN3foo3barEi"), "foo::bar(int)");
        assert_eq!(
            demangle("_ZN4core3fmt5Write9write_str17h0123456789abcdefE"),
            "core::fmt::Write::write_str"
        );
        assert_eq!(demangle("main"), "main");
        assert_eq!(demangle("_Z"), "_Z");
        let bomb = format!("_Z1f1aIiE{}", "S_IS0_S0_E".repeat(40));
        assert!(demangle(&bomb).len() <= NAME_MAX);
        assert!(demangle(&"x".repeat(5000)).len() <= NAME_MAX);
    }
}
