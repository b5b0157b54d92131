//! Any bytes as a record of any tool: a line of a table without control characters, and valid JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Records are aligned in the ring.
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    });
    let words = words.collect::<Vec<_>>();
    let aligned = words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>();
    for (line, _) in ebtools::tools::lines_of(&aligned) {
        let line = line.strip_suffix('\n').expect("a line ends");
        assert!(!line.contains(char::is_control), "{line:?}");
        if line.starts_with("{\"type\"") {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON is valid");
        }
    }
});
