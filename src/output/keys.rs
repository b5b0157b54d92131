//! Keys of a terminal, from the bytes that come for them: a letter at a time, whatever the reads cut.

/// What has come, and not been taken.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<u8>);

impl Keys {
    /// These bytes have come. The letters; Esc is one where nothing has come with it or after it. Arrows
    /// and other keys that have no letter are left out.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Vec<char> {
        self.0.extend_from_slice(bytes);
        let mut letters = Vec::new();
        // Where nothing has come, nothing comes for the last one.
        while let Some((letter, len)) = first(&self.0, bytes.is_empty()) {
            letters.extend(letter);
            self.0.drain(..len);
        }
        letters
    }
}

/// The first one, and its bytes; none where more of it may come, unless these are `all`.
fn first(bytes: &[u8], all: bool) -> Option<(Option<char>, usize)> {
    let cut = all.then_some((None, bytes.len()));
    match bytes {
        [] => None,
        [b'\x1b'] => all.then_some((Some('\x1b'), 1)),
        // The Linux console's function keys have two of these.
        [b'\x1b', b'[', b'[', ..] => {
            if bytes.len() > 3 {
                Some((None, 4))
            } else {
                cut
            }
        }
        [b'\x1b', b'[', rest @ ..] => {
            let last = rest.iter().position(|byte| matches!(byte, b'@'..=b'~'));
            last.map(|last| (None, last + 3)).or(cut)
        }
        [b'\x1b', b'O', ..] => {
            if bytes.len() > 2 {
                Some((None, 3))
            } else {
                cut
            }
        }
        [b'\x1b', ..] => Some((Some('\x1b'), 1)),
        _ => letter(bytes).or(cut),
    }
}

fn letter(bytes: &[u8]) -> Option<(Option<char>, usize)> {
    let text = match std::str::from_utf8(&bytes[..bytes.len().min(4)]) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        // It is not whole, or none.
        Err(error) => return error.error_len().map(|len| (None, len)),
    };
    text.chars().next().map(|letter| (Some(letter), letter.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn letters(pieces: &[&[u8]]) -> String {
        let mut keys = Keys::default();
        pieces.iter().flat_map(|piece| keys.add(piece)).collect()
    }

    #[test]
    fn keys_without_letters_are_left_out() {
        assert_eq!(letters(&[b"a\x1b[Ab\x1b[1;5Cc\x1bOAd\x1b[[Ae"]), "abcde");
        assert_eq!(letters(&[b"a\x1b", b"[", b"1;5", b"Cb", b"\x1bO", b"Ac"]), "abc");
        assert_eq!(letters(&[b"\x1b", b"", b"\x1bx"]), "\x1b\x1bx");
        assert_eq!(letters(&[b"\x1b[1", b"", b"q"]), "q");
    }

    #[test]
    fn letters_come_whole() {
        assert_eq!(letters(&[b"\xc3", b"\xa9\xe4\xb8", b"", b"\xff\x96x"]), "\u{e9}x");
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(text: String, cuts: Vec<u8>) {
            prop_assume!(!text.contains('\x1b'));
            let mut keys = Keys::default();
            let (mut rest, mut letters) = (text.as_bytes(), String::new());
            for cut in cuts {
                let (piece, after) = rest.split_at(rest.len().min(usize::from(cut % 5) + 1));
                if !piece.is_empty() {
                    letters.extend(keys.add(piece));
                }
                rest = after;
            }
            letters.extend(keys.add(rest));
            prop_assert_eq!(letters, text);
        }
    }
}
