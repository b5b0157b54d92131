//! The skeletons that libbpf-cargo made of the `.bpf.c` files beside this one.

#![allow(unsafe_code, warnings, clippy::all)]

/// An object as it was before build.rs compressed it. Were it none, libbpf would say so.
fn unpack(packed: &[u8]) -> Vec<u8> {
    miniz_oxide::inflate::decompress_to_vec(packed).unwrap_or_default()
}

include!(concat!(env!("OUT_DIR"), "/skeletons.rs"));
