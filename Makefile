# ebtools: `make run` and `make test` do all the set-up that they need.

PREFIX ?= /usr/local
DESTDIR ?=
# Arguments of the tool for `make run`.
ARGS ?= execsnoop
# Kernels for `make test`: series like 6.12, `newest`, or `all`.
KERNELS ?= 5.10 6.1 6.12 6.18|6.19 7.0 newest
# Which of them run every live case: `none`, so that they share them, `all`, or the `ends` of the
# list, between which the others share them.
WHOLE ?= none
# arm64 kernels for `make test`; none with nothing.
ARM64 ?= 6.1 newest

# Words of names of live cases; all without.
CASES ?=
# Of the tests with the engines of a fleet: those of tests/fleet/run, and how many records the SQL engines read.
PARTS ?=
FLEET_LINES ?= 1000000

# A toolchain that rustup has just installed is not yet in everybody's PATH.
export PATH := $(PATH):$(HOME)/.cargo/bin

BINARY := target/release/ebtools
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

TIME ?= 60

# Of the static file: x86_64-unknown-linux-musl or aarch64-unknown-linux-musl.
TARGET ?= x86_64-unknown-linux-musl

# Where zsh finds completions: /usr/share/zsh/vendor-completions for a package of Debian.
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/site-functions

.PHONY: build run manual static test test-fleet bench fuzz lint fmt install uninstall deb deb-test sources crate release reproducible container clean help setup

build: setup ## build the binary, target/release/ebtools
	cargo build --release --locked

run: build ## set up, build, and run a tool: execsnoop, or ARGS="unlinksnoop -x"
	$(SUDO) $(BINARY) $(ARGS)

manual: build ## make man pages and completions, in target/manual
	cargo run --release --locked --example manual -- $(BINARY) target/manual

static: ## build one file that needs no library, for TARGET=aarch64-unknown-linux-musl too
	TARGET=$(TARGET) scripts/setup static
	scripts/static $(TARGET)
	@ls -l target/$(TARGET)/static/ebtools

test: ## set up, and run all tests; KERNELS="6.12 7.0" narrows the matrix, KERNELS=all WHOLE=all widens it, CASES=exec narrows the cases
	ARM64='$(ARM64)' scripts/setup build test
	KERNELS='$(KERNELS)' WHOLE='$(WHOLE)' ARM64='$(ARM64)' CASES='$(CASES)' scripts/test

test-fleet: build ## ebtools serve with Prometheus, rsyslog, PostgreSQL, DuckDB, ClickHouse's engine, eight hosts and a collector: as root, 3 minutes; PARTS="hosts sql" narrows it, FLEET_LINES=10000000 and FLEET_AWAY=60 widen it
	scripts/setup fleet
	$(SUDO) env FLEET_LINES='$(FLEET_LINES)' FLEET_AWAY='$(or $(FLEET_AWAY),20)' tests/fleet/run $(BINARY) $(PARTS)

bench: build ## measure beside libbpf-tools, bpftrace and bcc, those that are installed: 8 minutes, as root
	cargo bench --locked --bench peers --no-run
	$(SUDO) $$(cargo bench --locked --bench peers --no-run 2>&1 | sed -nE 's/.*Executable .*\((.*)\)$$/\1/p')

# cargo-fuzz asks for a nightly compiler: this lets the stable one take its flags.
fuzz: ## fuzz the decoder, the escaper and the readers of ELF files and /proc; TIME= seconds each
	scripts/setup build fuzz
	for target in record escape elf procfs symbols; do \
		corpus="fuzz/corpus/$$target"; seeds="fuzz/seeds/$$target"; mkdir -p "$$corpus"; \
		[ -d "$$seeds" ] || seeds=; \
		RUSTC_BOOTSTRAP=1 cargo fuzz run $$target $$corpus $$seeds -- -max_total_time=$(TIME) -max_len=20000 || exit 1; \
	done

lint: ## check formats and run the linters
	scripts/setup build lint
	cargo fmt --check
	rustfmt --edition 2024 --check src/tools/*.rs src/tools/*/*.rs
	cargo clippy --locked --all-targets -- -D warnings
	cargo deny --locked check licenses bans sources
	scripts/clang-format --dry-run -Werror src/bpf/*.bpf.c src/bpf/*/*.bpf.h bench/*.bpf.c tests/live/*.bpf.c
	shellcheck -x -P SCRIPTDIR -S warning scripts/* tests/kernels/fetch tests/kernels/run vmlinux/generate tests/live/fetch-servers tests/fleet/fetch debian/tests/smoke .ci/run

fmt: ## format all sources
	scripts/setup build lint
	cargo fmt
	rustfmt --edition 2024 src/tools/*.rs src/tools/*/*.rs
	scripts/clang-format -i src/bpf/*.bpf.c src/bpf/*/*.bpf.h bench/*.bpf.c tests/live/*.bpf.c

install: ## install to $(DESTDIR)$(PREFIX): the binary, links TOOL-ebtools, and what make manual made
	@[ -x $(BINARY) ] || { echo 'make build first, as yourself: then only this step needs root' >&2; exit 1; }
	ZSH_COMPLETIONS='$(ZSH_COMPLETIONS)' scripts/install $(BINARY) '$(DESTDIR)' '$(PREFIX)'

uninstall: ## remove what install installed
	ZSH_COMPLETIONS='$(ZSH_COMPLETIONS)' scripts/install --remove '$(DESTDIR)' '$(PREFIX)'

deb: ## build and check a package for Debian and Ubuntu, in target/deb
	scripts/setup build deb
	scripts/deb

deb-test: deb ## install that in clean Debian 12 and 13, use and purge it, and look for clashes: as root
	scripts/setup deb-test
	$(SUDO) scripts/deb-test

sources: ## archives of the sources and of all crates, for distributions, and Debian's source package
	scripts/setup build deb
	scripts/deb --source

crate: ## make the crate, as for a registry, and install it from its archive
	scripts/setup build
	scripts/crate

release: static ## the static file with its parts, their licences and checksums, in target/dist
	scripts/setup release
	scripts/release $(TARGET)

reproducible: ## build what is committed in two folders, and compare: the static file and the .deb
	TARGET=$(TARGET) scripts/setup static deb
	scripts/reproducible $(TARGET)

container: static ## build the container image ebtools: see Containerfile
	podman build --build-arg TARGET=$(TARGET) -t ebtools .

clean: ## remove what was built
	rm -rf target

setup:
	@scripts/setup build

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18
