//! A path, and how much of it is known.

use std::borrow::Cow;

use crate::bpf::shared::types::path_state;
use crate::escape;
use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::{Beside, Shape};
use crate::record::{Header, Record, c_str};

const KNOWN: Beside = Beside {
    suffix: "_known",
    schema: r#""enum":["relative","cut","deleted"]"#,
    about: "how much is known, where the path is not whole, or leads nowhere any more",
};

pub(super) const SHAPE: Shape = Shape { beside: &[Beside::BASE64, KNOWN], ..Shape::STRING };

pub(super) fn text(to: &mut Cell<'_>, place: Place<'_>) {
    // A whole path begins with a slash, so these cannot be taken for names.
    to.text.extend_from_slice(match place.known() {
        Known::Whole => b"",
        Known::Relative => b"[?]/",
        Known::Cut => b"[...]/",
        Known::Deleted => b"[deleted]",
    });
    escape::text_into(to.text, &place.bytes());
}

pub(super) fn json(to: &mut Entry<'_>, place: Place<'_>) {
    to.string(&place.bytes());
    match place.known() {
        Known::Whole => {}
        Known::Relative => to.beside("_known", "relative"),
        Known::Cut => to.beside("_known", "cut"),
        Known::Deleted => to.beside("_known", "deleted"),
    }
}

/// A place in the file system: a directory and a name that starts from it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    names: &'a [u8],
    state: path_state,
    name: Option<&'a [u8]>,
}

/// How much of a place is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known {
    /// All of it: the path is absolute.
    Whole,
    /// What it starts from is not.
    Relative,
    /// Its upper part is not: there are more directories than are followed.
    Cut,
    /// All of it, but what it starts from is deleted: nobody else can get there.
    Deleted,
}

impl<'a> Place<'a> {
    /// `names`: those of the directory, the last one first, each with a NUL, as path.bpf.h makes
    /// them; `name`: what the caller gave, or nothing.
    pub(crate) fn new(names: &'a [u8], state: u32, name: &'a [u8]) -> Self {
        Self { names, state: path_state(state), name: Some(name) }
    }

    /// The next `struct name` of a tail that is read piece by piece.
    pub(crate) fn next(rest: &mut &'a [u8], len: u32, base_len: u32, base_state: u32) -> Self {
        let name = Record::<Header>::piece(rest, len);
        let name = (!name.is_empty()).then(|| c_str(name));
        let names = Record::<Header>::piece(rest, base_len);
        Self { names, state: path_state(base_state), name }
    }

    /// The name as the caller gave it; `None` where it could not be read.
    pub fn name(&self) -> Option<&'a [u8]> {
        self.name
    }

    fn is_absolute(&self) -> bool {
        self.name.is_some_and(|name| name.first() == Some(&b'/'))
    }

    /// How much of it is known.
    pub fn known(&self) -> Known {
        match self.state {
            path_state::PATH_WHOLE | path_state::PATH_CONFINED => Known::Whole,
            path_state::PATH_CUT => Known::Cut,
            path_state::PATH_DELETED => Known::Deleted,
            // An absolute name starts from the root, whichever that is.
            _ if self.is_absolute() => Known::Whole,
            _ => Known::Relative,
        }
    }

    /// The path: absolute where it is known whole, else as far as it is known.
    pub fn bytes(&self) -> Cow<'a, [u8]> {
        let name = self.name.unwrap_or_default();
        if self.known() == Known::Relative {
            return Cow::Borrowed(name);
        }
        let mut path = Vec::with_capacity(self.names.len() + name.len() + 1);
        for name in self.directories() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if !self.is_absolute() && (path.is_empty() || !name.is_empty()) {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        if self.known() == Known::Cut {
            path.remove(0);
        }
        Cow::Owned(path)
    }

    /// The names of its directory, from the root down.
    fn directories(&self) -> impl Iterator<Item = &'a [u8]> {
        let names = self.names.strip_suffix(b"\0").unwrap_or(self.names);
        names.rsplit(|&byte| byte == 0).filter(|name| !name.is_empty())
    }

    /// The path without empty parts, `.` and `..`, which are taken by their names: links are not
    /// known here. Empty for an empty name; `None` where it cannot be told.
    pub(crate) fn normal(&self) -> Option<Vec<u8>> {
        let name = self.name?;
        if name.is_empty() {
            return Some(Vec::new());
        }
        let parts = || name.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
        let is_confined = self.state == path_state::PATH_CONFINED && !self.is_absolute();
        match self.known() {
            // Its own root may be anywhere above where it starts from.
            Known::Whole if is_confined && parts().any(|part| part == b"..") => return None,
            Known::Whole | Known::Deleted => {}
            Known::Relative | Known::Cut => return None,
        }
        let mut path = self.directories().collect::<Vec<_>>();
        // From a process's root `..` leads nowhere.
        let root = if self.is_absolute() { path.len() } else { 0 };
        for part in parts() {
            match part {
                b"." => {}
                b".." => path.truncate(root.max(path.len().saturating_sub(1))),
                part => path.push(part),
            }
        }
        Some([b"/", path.join(&b'/').as_slice()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(names: &[u8], state: path_state, name: &[u8]) -> (String, Known) {
        let place = Place::new(names, state.0, name);
        (String::from_utf8_lossy(&place.bytes()).into_owned(), place.known())
    }

    #[test]
    fn puts_paths_together() {
        use path_state as s;
        for (names, state, name, expected, known) in [
            (&b""[..], s::PATH_WHOLE, &b"/etc/x"[..], "/etc/x", Known::Whole),
            (b"jail\0srv\0", s::PATH_WHOLE, b"/etc/x", "/srv/jail/etc/x", Known::Whole),
            (b"b\0a\0", s::PATH_WHOLE, b"x", "/a/b/x", Known::Whole),
            (b"b\0a\0", s::PATH_WHOLE, b"", "/a/b", Known::Whole),
            (b"", s::PATH_WHOLE, b"x", "/x", Known::Whole),
            (b"", s::PATH_WHOLE, b"", "/", Known::Whole),
            (b"b\0a\0", s::PATH_CUT, b"x", "a/b/x", Known::Cut),
            (b"", s::PATH_CUT, b"/x", "x", Known::Cut),
            (b"", s::PATH_CUT, b"x", "x", Known::Cut),
            (b"b\0a\0", s::PATH_DELETED, b"x", "/a/b/x", Known::Deleted),
            (b"b\0a\0", s::PATH_CONFINED, b"x", "/a/b/x", Known::Whole),
            (b"", s::PATH_NONE, b"x", "x", Known::Relative),
            (b"", s::PATH_NONE, b"/x", "/x", Known::Whole),
        ] {
            assert_eq!(path(names, state, name), (expected.into(), known), "{names:?} {name:?}");
        }
    }

    #[test]
    fn takes_dots_out_of_paths() {
        use path_state as s;
        for (names, state, name, expected) in [
            (&b"b\0a\0"[..], s::PATH_WHOLE, &b"./x"[..], Some("/a/b/x")),
            (b"b\0a\0", s::PATH_WHOLE, b"../x//y/.", Some("/a/x/y")),
            (b"b\0a\0", s::PATH_WHOLE, b"../../../..", Some("/")),
            (b"", s::PATH_WHOLE, b"//etc/../x/", Some("/x")),
            (b"b\0a\0", s::PATH_WHOLE, b"/../x", Some("/a/b/x")),
            (b"b\0a\0", s::PATH_DELETED, b"x/...", Some("/a/b/x/...")),
            (b"b\0a\0", s::PATH_CONFINED, b"/../x", Some("/a/b/x")),
            (b"b\0a\0", s::PATH_CONFINED, b"x", Some("/a/b/x")),
            (b"b\0a\0", s::PATH_CONFINED, b"../x", None),
            (b"b\0a\0", s::PATH_CUT, b"x", None),
            (b"b\0a\0", s::PATH_WHOLE, b"", Some("")),
            (b"", s::PATH_NONE, b"x", None),
        ] {
            let normal = Place::new(names, state.0, name).normal();
            let normal = normal.map(|path| String::from_utf8_lossy(&path).into_owned());
            assert_eq!(normal.as_deref(), expected, "{names:?} {state:?} {name:?}");
        }
        assert_eq!(Place::next(&mut &b""[..], 0, 0, s::PATH_WHOLE.0).normal(), None);
    }

    proptest! {
        #[test]
        fn any_place_has_a_path(names: Vec<u8>, state in 0..7u32, name in "[a./\\PC]{0,9}") {
            let name = name.into_bytes();
            // No file system has a directory with these in its name, or `..` as its name.
            let names = names.into_iter().filter(|byte| !b"/.".contains(byte)).collect::<Vec<_>>();
            let place = Place::new(&names, state, &name);
            let path = place.bytes();
            prop_assert!(place.known() != Known::Whole || path.first() == Some(&b'/'));
            prop_assert!(path.ends_with(name.strip_prefix(b"/").unwrap_or(&name)));
            let normal = place.normal().unwrap_or_default();
            prop_assert!(!normal.windows(2).any(|pair| pair == b"//"));
            prop_assert!(!normal.split(|&byte| byte == b'/').any(|part| part == b".."));
        }
    }
}
