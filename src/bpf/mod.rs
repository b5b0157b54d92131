//! The kernel side: the `.bpf.c` files beside this one, as skeletons, and their programs and maps.

pub(crate) mod object;
pub(crate) mod programs;

pub(crate) use skeletons::*;

/// An object as it was before build.rs compressed it. Were it none, libbpf would say so.
fn unpack(packed: &[u8]) -> Vec<u8> {
    miniz_oxide::inflate::decompress_to_vec(packed).unwrap_or_default()
}

/// What libbpf-cargo made of them.
#[allow(unsafe_code, warnings, clippy::all)]
mod skeletons {
    include!(concat!(env!("OUT_DIR"), "/skeletons.rs"));
}
