//! Any bytes as what names the functions of a process, and any address in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (address, bytes) = bytes.split_at(bytes.len().min(8));
    let address = address.iter().fold(0, |address, &byte| address << 8 | u64::from(byte));
    ebtools::system::symbols::read_any(bytes, address);
});
