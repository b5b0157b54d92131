//! Any bytes as an ELF file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = ebtools::elf::places(bytes);
    let _ = ebtools::elf::search(bytes, &["readline", "main"]);
});
