//! Any bytes as an ELF file.
#![no_main]

use std::io::Cursor;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let names = ["readline", "main", "mysql:query__start"];
    let _ = ebtools::attach::elf::places(Cursor::new(bytes), &mut |name| name.len() < 100);
    let _ = ebtools::attach::elf::search(Cursor::new(bytes), &names, Some("lib"));
});
