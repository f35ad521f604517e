# Thin names over cargo, and where the results go.

CARGO ?= cargo

# Where to install, and below which directory to put all of that for a package.
PREFIX ?= /usr/local
DESTDIR ?=
# Where the built programs are.
PROFILE_DIR ?= $(or $(CARGO_TARGET_DIR),target)/release

# What finds barriers on pages, for the tests only, and where it goes.
AXE_VERSION = 4.14.1
AXE = $(or $(CARGO_TARGET_DIR),target)/browser

PROGRAMS = challenger challenger-admin challenger-config challenger-dbinit challenger-httpd
TEMPLATES = $(wildcard templates/*.must)
ADDRESS_TYPES = $(wildcard docs/address-types/*.conf)
DOCUMENTS = README.md ARCHITECTURE.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT

# Lists of files are separated by blanks, and some are deleted.
ifneq ($(words [$(DESTDIR)$(PREFIX)]),1)
$(error PREFIX and DESTDIR may not have blanks)
endif

BIN = $(DESTDIR)$(PREFIX)/bin
SHARE = $(DESTDIR)$(PREFIX)/share
MAN = $(SHARE)/man
OURS = $(SHARE)/challenger
DOC = $(SHARE)/doc/challenger
INSTALLED = $(addprefix $(BIN)/,$(PROGRAMS) challenger-dbconfig) \
	$(addprefix $(OURS)/,$(TEMPLATES) config.d/challenger.conf) \
	$(addprefix $(OURS)/address-types/,$(notdir $(ADDRESS_TYPES))) \
	$(addprefix $(MAN)/man1/,$(notdir $(wildcard docs/man/*.1))) \
	$(addprefix $(MAN)/man5/,$(notdir $(wildcard docs/man/*.5))) \
	$(addprefix $(DOC)/,$(DOCUMENTS) docs/commands.md)

.PHONY: all install uninstall demo selftest check fmt postgresql openssl browser

all:
	$(CARGO) build --release --locked

# Puts what was built into its place, and builds nothing: that is not for root.
install:
	@test -x $(PROFILE_DIR)/challenger-httpd || \
	{ echo '$(PROFILE_DIR) has no programs: run make first' >&2; exit 1; }
	install -d $(BIN) $(OURS)/templates $(OURS)/address-types $(OURS)/config.d $(DOC)/docs $(MAN)/man1 $(MAN)/man5
	install -m 755 $(addprefix $(PROFILE_DIR)/,$(PROGRAMS)) $(BIN)
	install -m 755 challenger-cli/helpers/challenger-dbconfig $(BIN)
	install -m 644 $(TEMPLATES) $(OURS)/templates
	install -m 644 $(ADDRESS_TYPES) $(OURS)/address-types
	install -m 644 docs/config.d/challenger.conf $(OURS)/config.d
	install -m 644 $(wildcard docs/man/*.1) $(MAN)/man1
	install -m 644 $(wildcard docs/man/*.5) $(MAN)/man5
	install -m 644 $(DOCUMENTS) $(DOC)
	install -m 644 docs/commands.md $(DOC)/docs

# Takes away what was installed, and the directories of ours that are empty then.
uninstall:
	rm -f $(INSTALLED)
	@for folder in $(OURS)/templates $(OURS)/address-types $(OURS)/config.d $(OURS) $(DOC)/docs $(DOC); do \
	    [ ! -d "$$folder" ] || rmdir --ignore-fail-on-non-empty "$$folder"; \
	done

# The whole service on this machine, to play with.
demo:
	$(CARGO) run --release --locked --quiet --bin challenger -- demo

# The same, with the person played as well.
selftest:
	$(CARGO) run --release --locked --quiet --bin challenger -- demo --selftest

# The laws are tried on the same values each time; without it, on new ones.
check: export PROPTEST_RNG_SEED ?= 20260105

# Everything that has to hold.
check: postgresql openssl browser
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

# The pages are tested in Chromium, by its driver; and by axe-core, which finds barriers for people who
# use them without eyes or hands. That is fetched into the folder of what was built.
browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null && command -v npm >/dev/null \
	|| if [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends chromium chromium-driver npm; \
	else \
	    echo 'the tests need a browser: apt-get install chromium chromium-driver npm' >&2; exit 1; \
	fi
	@grep -q '"version": "$(AXE_VERSION)"' $(AXE)/node_modules/axe-core/package.json 2>/dev/null \
	|| npm install --prefix $(AXE) --no-save --ignore-scripts --no-audit --no-fund --loglevel=error \
	    axe-core@$(AXE_VERSION)

fmt:
	$(CARGO) fmt --all
