# Thin names over cargo.

CARGO ?= cargo

.PHONY: all demo selftest check fmt

all:
	$(CARGO) build --release --locked

# The whole service on this machine, to play with.
demo:
	$(CARGO) run --release --locked --quiet --bin challenger -- demo

# The same, with the person played as well.
selftest:
	$(CARGO) run --release --locked --quiet --bin challenger -- demo --selftest

# Everything that has to hold.
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet
	$(CARGO) test --workspace --locked

fmt:
	$(CARGO) fmt --all
