# Thin names over cargo.

CARGO ?= cargo

.PHONY: all demo selftest check fmt postgresql openssl

all:
	$(CARGO) build --release --locked

# The whole service on this machine, to play with.
demo:
	$(CARGO) run --release --locked --quiet --bin challenger -- demo

# The same, with the person played as well.
selftest:
	$(CARGO) run --release --locked --quiet --bin challenger -- demo --selftest

# Everything that has to hold.
check: postgresql openssl
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet
	$(CARGO) build --package challenger-cli --no-default-features --features postgres --locked
	$(CARGO) build --package challenger-cli --no-default-features --features sqlite --locked
	$(CARGO) test --workspace --locked
	$(CARGO) clippy --workspace --all-targets --features challenger-server/tls,challenger-cli/tls \
	    --locked -- -D warnings
	$(CARGO) build --package challenger-cli --features tls --locked
	$(CARGO) test --package challenger-server --features tls --locked \
	    --lib --test database_settings --test store_postgres --test store_postgres_tls
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) test --manifest-path fuzz/Cargo.toml --target-dir target --locked

# The tests run a PostgreSQL of their own, from the system's programs.
postgresql:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 \
	|| { command -v initdb && command -v psql; } >/dev/null \
	|| if [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends postgresql; \
	else \
	    echo 'the tests need PostgreSQL: apt-get install postgresql' >&2; exit 1; \
	fi

# TLS to PostgreSQL is built on the system's library, and the tests make certificates with its program.
openssl:
	@{ pkg-config --exists openssl && command -v openssl; } >/dev/null 2>&1 \
	|| if [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends libssl-dev openssl pkg-config; \
	else \
	    echo 'TLS needs OpenSSL: apt-get install libssl-dev openssl pkg-config' >&2; exit 1; \
	fi

fmt:
	$(CARGO) fmt --all
