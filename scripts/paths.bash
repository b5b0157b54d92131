# shellcheck shell=bash disable=SC2034
# Sourced, in the top directory: where crates are, and what keeps such paths out of what is built.

# crate_folders TARGET: the folders of all crates that ebtools is made of there.
crate_folders() {
	cargo metadata --locked --format-version 1 --filter-platform "$1" |
		grep -o '"manifest_path":"[^"]*' | cut -d '"' -f 4 | sed 's,/Cargo.toml$,,'
}

# no_paths: the same sources, compilers and flags make the same file in any folder. Sets
# `prefix_maps`, what C compilers are told.
no_paths() {
	local paths=("$(readlink -f "${CARGO_HOME:-$HOME/.cargo}")=cargo" "$PWD=ebtools")
	prefix_maps=("${paths[@]/#/-ffile-prefix-map=}")
	export RUSTFLAGS="${RUSTFLAGS:-} ${paths[*]/#/--remap-path-prefix=}"
	export CFLAGS="${CFLAGS:-} ${prefix_maps[*]}"
}
