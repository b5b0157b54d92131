//! The skeletons that libbpf-cargo made of the `.bpf.c` files beside this one.

#![allow(unsafe_code, warnings, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/skeletons.rs"));
