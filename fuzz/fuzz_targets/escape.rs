//! Any bytes as text and as a shell's word: no control characters.
#![no_main]

use ebtools::escape;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut word = Vec::new();
    escape::shell_word_into(&mut word, bytes);
    let word = String::from_utf8(word).expect("what is shown is text");
    for shown in [escape::text(bytes), word] {
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }
});
