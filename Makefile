# Everything that can be done here; `make` alone prints the list. Continuous integration runs nothing but these
# targets, so that whatever fails there fails here.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

CARGO ?= cargo
# Arguments of `run`, `load`, `stress`, `bench` and `bench-peers`.
ARGS ?=
# Fuzz target, and seconds for it.
T ?=
S ?= 60
# Seconds for each target of `fuzz-smoke`.
SMOKE ?= 3
# A processor without an operating system: nothing but core and alloc to lean on.
CORE_TARGET ?= thumbv7em-none-eabi
FUZZ_TARGETS = $(sort $(basename $(notdir $(wildcard tools/fuzz/targets/*.rs))))
LOG = target/test.log

.PHONY: help check fmt fmt-check lint test setup test-rust replay bless core fuzz fuzz-smoke e2e load stress bench bench-peers run size doc

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

run: ## Build and start weir with its demo stream; ARGS="..." adds flags
	@$(CARGO) build --release --locked --bin weir
	exec target/release/weir --demo $(ARGS)

test: ## Install what the tests need, then run all of them: Rust, real programs, fuzz smoke, core, size
	@start=$$SECONDS
	$(MAKE) setup
	$(MAKE) test-rust
	$(MAKE) core
	$(MAKE) fuzz-smoke
	$(MAKE) size
	echo
	echo "Passed, in $$((SECONDS - start)) s:"
	awk '
	    /^ *Running / { name = $$2 == "unittests" ? $$3 : $$2 }
	    /^ *Doc-tests / { name = "documentation" }
	    /^test result: ok/ { if ($$4 > 0) printf "  %4d  %s\n", $$4, name }
	' $(LOG)
	echo "  core alone; fuzz targets for $(SMOKE) s each: $(FUZZ_TARGETS)"

check: ## What must pass before a commit: fmt-check, lint, doc, test
	@$(MAKE) fmt-check
	$(MAKE) lint
	$(MAKE) doc
	$(MAKE) test

fmt: ## Format the source
	@$(CARGO) fmt
	$(CARGO) fmt --manifest-path tools/fuzz/Cargo.toml

fmt-check: ## Is the source formatted?
	@$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path tools/fuzz/Cargo.toml

lint: ## Clippy, with warnings as errors: everything, and the core alone
	@$(CARGO) clippy --locked --all-targets --all-features -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features -- -D warnings

doc: ## Build the documentation, private items as well, with warnings as errors
	@RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --locked --no-deps --lib --all-features --document-private-items

replay: ## Replay the captured conversations of real programs
	@$(CARGO) test --locked --features pcap --test replay

bless: ## Write golden transcripts, flag tables and output in the documents anew: read the difference
	@BLESS=1 $(CARGO) test --locked --features pcap --test replay --test docs_sync
	BLESS=1 $(CARGO) test --locked --features tools --test tools walkthrough
	git status --short tests/data docs README.md

e2e: ## Only the tests with real programs: ffmpeg, GStreamer, rtmpdump, VLC, Chromium
	@$(MAKE) setup
	$(CARGO) test --locked --features e2e --test e2e --test browser

core: ## Build the protocol core alone, for a processor without an operating system
	@if [ -d "$$(rustc --print sysroot)/lib/rustlib/$(CORE_TARGET)/lib" ]; then
	    $(CARGO) build --locked --lib --no-default-features --target $(CORE_TARGET)
	    echo "core: built for $(CORE_TARGET)"
	else
	    $(CARGO) build --locked --lib --no-default-features
	    echo "core: built for this machine only; \"rustup target add $(CORE_TARGET)\" lets it be built without std"
	fi

fuzz: ## Fuzz one target: T=chunk, for S=60 seconds
	@if [ -z "$(filter $(T),$(FUZZ_TARGETS))" ]; then
	    echo "make fuzz T=... : one of $(FUZZ_TARGETS)" >&2
	    exit 2
	fi
	tools/fuzz/run.sh $(T) $(S)

fuzz-smoke: ## Fuzz each target for a few seconds, along the same path each time: SMOKE=3
	@for target in $(FUZZ_TARGETS); do tools/fuzz/run.sh "$$target" $(SMOKE) -seed=1; done

load: ## Measure a server under load: ARGS="..." for tools/load, --help lists them
	@$(CARGO) build --release --locked --features tools --bin load
	exec target/release/load $(ARGS)

stress: ## Make weir's life hard, six minutes, as root: ARGS="--only churn", "--quick", "--list"; docs/testing.md
	@tools/setup.sh stress
	$(CARGO) build --release --locked --features tools --bin weir --bin load --bin stress
	exec target/release/stress $(ARGS)

bench: ## Micro benches of the core; ARGS="amf" for those whose name holds it
	@$(CARGO) bench --locked --features pcap --bench core -- $(ARGS)

bench-peers: ## Measure weir beside nginx-rtmp, twenty minutes: docs/performance.md; ARGS="--quick" for a look
	@tools/setup.sh bench
	$(CARGO) build --release --locked --features tools --bin weir --bin load --bin bench-peers
	exec target/release/bench-peers $(or $(ARGS),--docs docs)

size: ## Program size and idle memory against their budgets
	@$(CARGO) build --release --locked --bin weir
	tools/size.sh target/release/weir

setup: ## Install the programs that the tests need beside Rust
	@tools/setup.sh

test-rust: ## All Rust tests: units, sessions, replay, server, real programs, documentation
	@mkdir -p target
	$(CARGO) test --locked --all-features --no-fail-fast 2>&1 | tee $(LOG)
