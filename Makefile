# Short names for cargo commands, and installation.

CARGO ?= cargo

# The place to install to, and the directory that collects everything for a package.
PREFIX ?= /usr/local
DESTDIR ?=
# With SYSTEMD=1, units, the site for nginx and a first configuration go to where systemd, nginx and
# Challenger look for them. Otherwise they are examples, below $(DOC).
SYSTEMD ?=
# The directories of systemd, which looks below these two prefixes only, and of zsh.
UNIT_DIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),$(PREFIX)/lib,/etc)/systemd/system
ZSH_DIR ?= site-functions
# The directory of the built programs.
PROFILE_DIR ?= $(or $(CARGO_TARGET_DIR),target)/release

# axe-core, which finds accessibility barriers on pages, for the tests only; and its directory.
AXE_VERSION = 4.14.1
AXE = $(or $(CARGO_TARGET_DIR),target)/browser
# Libraries for Node.js that applications use, for the tests only; and their directory.
LIBRARIES = testdata/integrators
INTEGRATORS = $(or $(CARGO_TARGET_DIR),target)/integrators
# The directory of schemathesis, which compares the service with docs/openapi.yaml, for the tests only.
SCHEMATHESIS = $(or $(CARGO_TARGET_DIR),target)/schemathesis
# The directory of CycloneDX's library, which validates the list of libraries, for the tests only.
CYCLONEDX = $(or $(CARGO_TARGET_DIR),target)/cyclonedx

PROGRAMS = challenger challenger-admin challenger-config challenger-dbinit challenger-httpd \
	challenger-send-email challenger-send-http
SCRIPTS = $(wildcard challenger-cli/helpers/*)
TEMPLATES = $(wildcard templates/*.must templates/*.lang templates/*.countries)
ADDRESS_TYPES = $(wildcard docs/address-types/*.conf)
GATEWAYS = $(wildcard docs/gateways/*.conf)
TERMS = $(wildcard docs/terms/*.rst)
DOCUMENTS = README.md ARCHITECTURE.md CHANGELOG.md SECURITY.md LICENSE-APACHE LICENSE-MIT
CHAPTERS = $(wildcard docs/*.md docs/*.svg docs/*.yaml)
# The pages for what nginx answers by itself, in each language.
ERROR_FILES = $(foreach status,404 413 429 502 503 504,$(status).json \
	$(patsubst templates/%.lang,$(status).%.html,$(wildcard templates/*.lang)))
COMPLETED = $(PROGRAMS) $(notdir $(SCRIPTS))
MONITORING = $(wildcard docs/monitoring/*)

# Lists of files are separated by spaces, and some are deleted.
ifneq ($(words [$(DESTDIR)$(PREFIX)]),1)
$(error PREFIX and DESTDIR may not contain spaces)
endif

BIN = $(DESTDIR)$(PREFIX)/bin
SHARE = $(DESTDIR)$(PREFIX)/share
MAN = $(SHARE)/man
OURS = $(SHARE)/challenger
DOC = $(SHARE)/doc/challenger
EXAMPLES = $(DOC)/examples
ETC = $(if $(SYSTEMD),$(DESTDIR)/etc/challenger,$(EXAMPLES)/challenger)
# For units, sites and the configuration.
PLACES = $(if $(SYSTEMD),$(DESTDIR)$(UNIT_DIR) $(DESTDIR)/etc/nginx/sites-available, \
	$(EXAMPLES)/systemd $(EXAMPLES)/nginx) $(ETC)
TALER_NAME = $(BIN)/taler-terms-generator
INSTALLED = $(addprefix $(BIN)/,$(PROGRAMS) $(notdir $(SCRIPTS)) challenger-send-email.sh) \
	$(addprefix $(OURS)/,$(TEMPLATES) config.d/challenger.conf) \
	$(addprefix $(OURS)/errors/,$(ERROR_FILES)) \
	$(addprefix $(OURS)/address-types/,$(notdir $(ADDRESS_TYPES))) \
	$(addprefix $(OURS)/gateways/,$(notdir $(GATEWAYS))) \
	$(addprefix $(OURS)/terms/,$(notdir $(TERMS))) \
	$(addprefix $(MAN)/man1/,$(notdir $(wildcard docs/man/*.1)) challenger-send-email.sh.1) \
	$(addprefix $(MAN)/man5/,$(notdir $(wildcard docs/man/*.5))) \
	$(addprefix $(DOC)/,$(DOCUMENTS) $(CHAPTERS) $(MONITORING)) $(EXAMPLES)/local-sendmail.conf \
	$(addprefix $(SHARE)/bash-completion/completions/,$(COMPLETED)) \
	$(addprefix $(SHARE)/fish/vendor_completions.d/,$(addsuffix .fish,$(COMPLETED))) \
	$(addprefix $(SHARE)/zsh/$(ZSH_DIR)/_,$(COMPLETED))

.PHONY: all install uninstall completions sbom demo selftest fuzz keep check simulate planted-bugs \
	soak bench microbench check-instructions update-instructions programs deb check-package fmt \
	packages postgresql openssl documents tools prometheus shells browser integrators schemathesis \
	cyclonedx valgrind debhelper debian-tests

all:
	$(CARGO) build --release --locked

# Installs what was built. It builds nothing, because root should not.
install:
	@test -x $(PROFILE_DIR)/challenger-httpd || \
	{ echo '$(PROFILE_DIR) has no programs: run make first' >&2; exit 1; }
	install -d $(BIN) $(OURS)/templates $(OURS)/address-types $(OURS)/config.d $(DOC)/docs $(MAN)/man1 $(MAN)/man5
	install -m 755 $(addprefix $(PROFILE_DIR)/,$(PROGRAMS)) $(BIN)
	install -m 755 $(SCRIPTS) $(BIN)
	ln -sf challenger-send-email $(BIN)/challenger-send-email.sh
	ln -sf challenger-send-email.1 $(MAN)/man1/challenger-send-email.sh.1
	@# The name in the original's manual, unless another program has it.
	[ -e $(TALER_NAME) ] || [ -L $(TALER_NAME) ] || ln -s challenger-terms-generator $(TALER_NAME)
	install -m 644 $(TEMPLATES) $(OURS)/templates
	install -m 644 $(ADDRESS_TYPES) $(OURS)/address-types
	install -d $(OURS)/gateways $(OURS)/terms
	install -m 644 $(GATEWAYS) $(OURS)/gateways
	install -m 644 $(TERMS) $(OURS)/terms
	install -m 644 docs/config.d/challenger.conf $(OURS)/config.d
	@# Of the installed templates, whatever this machine is configured for.
	env -u CHALLENGER_PREFIX -u CHALLENGER_BASE_CONFIG \
	    $(BIN)/challenger-httpd --error-pages=$(OURS)/errors -c /dev/null
	install -m 644 $(wildcard docs/man/*.1) $(MAN)/man1
	install -m 644 $(wildcard docs/man/*.5) $(MAN)/man5
	install -m 644 $(DOCUMENTS) $(DOC)
	install -m 644 $(CHAPTERS) $(DOC)/docs
	install -d $(DOC)/docs/monitoring
	install -m 644 $(MONITORING) $(DOC)/docs/monitoring
	challenger-cli/completions/generate $(BIN) $(SHARE) $(ZSH_DIR) $(COMPLETED)
	install -d $(EXAMPLES)
	sed 's|/usr/share/|$(PREFIX)/share/|' debian/examples/local-sendmail.conf \
	    >$(EXAMPLES)/local-sendmail.conf
	chmod 644 $(EXAMPLES)/local-sendmail.conf
	debian/place install $(PREFIX) $(PLACES) $(if $(SYSTEMD),keep)

# Removes what was installed with the same variables, and those of our directories that are empty then. A
# configuration that somebody changed stays.
uninstall:
	rm -f $(INSTALLED)
	debian/place remove $(PREFIX) $(PLACES)
	@[ "$$(readlink $(TALER_NAME))" != challenger-terms-generator ] || rm $(TALER_NAME)
	@for folder in $(addprefix $(OURS)/,templates errors address-types gateways terms config.d .) \
	    $(addprefix $(ETC)/,conf.d secrets .) $(addprefix $(EXAMPLES)/,systemd nginx .) \
	    $(DOC)/docs/monitoring $(DOC)/docs $(DOC); do \
	    [ ! -d "$$folder" ] || rmdir --ignore-fail-on-non-empty "$${folder%/.}"; \
	done

# Makes completions of the built programs for bash, fish and zsh, to look at: make install has its own.
completions:
	challenger-cli/completions/generate $(PROFILE_DIR) $(PROFILE_DIR)/completions $(ZSH_DIR) $(PROGRAMS)

# Runs the whole service on this machine, to play with.
demo:
	$(CARGO) run --release --locked --quiet --bin challenger -- demo

# Does the same, and plays the person as well.
selftest:
	$(CARGO) run --release --locked --quiet --bin challenger -- demo --selftest

# With this seed, property tests use the same values each time; without it, new ones.
check: export PROPTEST_RNG_SEED ?= 20260105

# Runs every check.
check: postgresql openssl documents tools prometheus shells browser integrators schemathesis \
    cyclonedx debhelper
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet
	$(CARGO) build --package challenger-cli --no-default-features --features postgres --locked
	$(CARGO) build --package challenger-cli --no-default-features --features sqlite --locked
	$(CARGO) test --workspace --locked
	$(CARGO) run --package challenger-proto --example in_memory --locked --quiet
	$(MAKE) packages
	@# The soak test is not part of the usual tests, so the commands above leave it out.
	$(CARGO) clippy --package challenger-cli --test soak --locked -- -D warnings
	SOAK_SECONDS=30 SOAK_RATE=6 $(CARGO) test --package challenger-cli --test soak --locked
	$(CARGO) clippy --workspace --all-targets --locked \
	    --features challenger-server/tls,challenger-cli/tls,challenger-cli/tiny-http -- -D warnings
	$(CARGO) build --package challenger-cli --features tls --locked
	$(CARGO) test --package challenger-server --features tls --locked \
	    --lib --test database_settings --test store_postgres --test store_postgres_tls
	$(CARGO) test --package challenger-server --package challenger-cli --features tiny-http \
	    --locked --test wire --test engine
	$(CARGO) clippy --package challenger-cli --all-targets --features bench --locked -- -D warnings
	$(CARGO) test --package challenger-cli --features bench --locked \
	    --bin challenger-bench --test bench
	testdata/planted/run.sh
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) test --manifest-path fuzz/Cargo.toml --target-dir target --locked

# Packages both libraries as for a registry, and runs their tests outside of this tree. Cargo builds them
# as a stranger would, so a missing example or included file is noticed.
TARGET_DIR = $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)

packages:
	$(CARGO) package --package challenger-proto --package challenger-server --allow-dirty --locked \
	    --quiet
	@folder=$$(mktemp -d) && trap 'rm -r "$$folder"' EXIT && \
	for crate in challenger-proto challenger-server; do \
	    tar -xf $(TARGET_DIR)/package/$$crate-*.crate -C "$$folder"; \
	done && mv "$$folder"/challenger-proto-* "$$folder"/proto && \
	for crate in proto challenger-server-*; do \
	    (cd "$$folder"/$$crate && $(CARGO) test --quiet --target-dir $(TARGET_DIR) \
	        --config "patch.crates-io.challenger-proto.path='$$folder/proto'") || exit; \
	done

# Runs more random histories than the tests, each from its own seed: people, clients, foes and faults.
SEEDS ?= 20000

simulate:
	SIM_SEEDS=$(SEEDS) $(CARGO) test --release --package challenger-proto --locked \
	    --test simulation -- --nocapture

# Plants known bugs in a copy of the sources, one at a time, and fails if the tests overlook one.
planted-bugs:
	testdata/planted/run.sh

# Looks for bytes that break a claim: make fuzz TARGET=head SECONDS=1200. Then make keep TARGET=head
# adds the finds to those that the tests replay. Needs cargo-fuzz (cargo install cargo-fuzz) and g++.
SECONDS ?= 1200
FUZZ = cd fuzz && RUSTC_BOOTSTRAP=1 $(CARGO) fuzz

fuzz:
	mkdir -p fuzz/corpus/$(TARGET)
	$(FUZZ) run --features libfuzzer $(TARGET) corpus/$(TARGET) seeds/$(TARGET) -- -max_total_time=$(SECONDS)

keep:
	$(FUZZ) cmin --features libfuzzer $(TARGET)
	$(CARGO) run --manifest-path fuzz/Cargo.toml --target-dir target --locked --quiet --bin keep \
	    fuzz/corpus/$(TARGET) >fuzz/found/$(TARGET).new
	mv fuzz/found/$(TARGET).new fuzz/found/$(TARGET).txt

# An hour of load with faults, on PostgreSQL and SQLite at once, with a report at the end. It also
# checks times and memory: the machine should do nothing else.
soak: export SOAK_SECONDS ?= 3600
soak: postgresql
	$(CARGO) test --release --package challenger-cli --test soak --locked

# Measures everything, and writes docs/benchmarks.md. The machine should do nothing else.
# BENCH_OLD_ROWS=10000000 also compares with a full database, and BENCH_BUILD=1 times a build.
BENCH_SECONDS ?= 10
BENCH_RUNS ?= 5
BENCH_OLD_ROWS ?=
BENCH_BUILD ?=
BENCH = $(PROFILE_DIR)/challenger-bench

bench: postgresql valgrind programs
	$(BENCH) document --seconds $(BENCH_SECONDS) --runs $(BENCH_RUNS) \
	    $(if $(BENCH_OLD_ROWS),--old-rows $(BENCH_OLD_ROWS)) $(if $(BENCH_BUILD),--build) \
	    docs/benchmarks.md

# Measures decisions, HTTP heads, pages and whole requests only.
microbench: valgrind programs
	$(BENCH) micro

# Compares their instructions and allocations, which a busy machine does not change.
check-instructions: valgrind programs
	$(BENCH) instructions testdata/bench/instructions.txt

update-instructions: valgrind programs
	$(BENCH) instructions --update testdata/bench/instructions.txt

# Builds all programs, including the benchmark.
programs:
	$(CARGO) build --release --locked --package challenger-cli --features bench

# Builds the Debian package, target/debian/challenger_VERSION_ARCHITECTURE.deb, and the list beside it.
DEBS = $(or $(CARGO_TARGET_DIR),target)/debian

deb: openssl debhelper
	@grep -q "^version = \"$$(dpkg-parsechangelog -S Version)\"" Cargo.toml || \
	{ echo 'debian/changelog has another version than Cargo.toml' >&2; exit 1; }
	mkdir -p $(DEBS)
	rm -f $(DEBS)/challenger_*.deb
	debian/rules clean
	DEB_DESTDIR=$(DEBS) debian/rules binary
	$(MAKE) sbom

# Lists the libraries in the programs of the package, for tools that know which have vulnerabilities:
# target/debian/challenger_VERSION.cdx.json. make deb does it as well.
sbom: debhelper
	mkdir -p $(DEBS)
	rm -f $(DEBS)/challenger_*.cdx.json
	version=$$(dpkg-parsechangelog -S Version) && debian/sbom "$$version" >$(DEBS)/sbom.new && \
	mv $(DEBS)/sbom.new "$(DEBS)/challenger_$$version.cdx.json"

# Installs the package on a fresh Debian, follows the manual there, upgrades and removes the package.
check-package:
	@test "$$(id -u)" = 0 || \
	{ echo 'check-package starts a machine in namespaces: run it as root' >&2; exit 1; }
	$(MAKE) deb debian-tests
	shellcheck --external-sources --source-path=debian/tests --severity=warning \
	    debian/tests/* debian/place debian/third-party debian/*.postinst debian/*.postrm debian/*.prerm
	lintian --allow-root --fail-on error,warning $(DEBS)/challenger_*.deb
	debian/tests/run-in-fresh-debian $(DEBS)/challenger_*.deb

# What the tests need: $(call need,the reason,a command that finds it,Debian packages).
# Root installs it; for other users, its packages are printed.
define need
@{ $(2); } >/dev/null 2>&1 || if [ "$$(id -u)" = 0 ]; then \
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $(3); \
else \
    echo '$(1): apt-get install $(3)' >&2; exit 1; \
fi
endef

postgresql:
	$(call need,the tests run a PostgreSQL of their own, \
	    ls /usr/lib/postgresql/*/bin/initdb || { command -v initdb && command -v psql; }, postgresql)
	@# For poolers in front of it.
	$(call need,the tests run a PgBouncer of their own, \
	    test -x /usr/sbin/pgbouncer || command -v pgbouncer, pgbouncer)

# TLS to PostgreSQL uses the system's library, and the tests make certificates with its program.
openssl:
	$(call need,TLS needs OpenSSL, \
	    pkg-config --exists openssl && command -v openssl, libssl-dev openssl pkg-config)

# The tests generate legal documents, with the system's Python.
documents:
	$(call need,the tests make documents, \
	    /usr/bin/python3 -c "import docutils" && command -v pandoc && command -v weasyprint && \
	    command -v msgmerge, python3-docutils pandoc weasyprint gettext)

# The helpers and their tests run programs of the system. The tests start a Postfix of their own, which
# has to be root, and an nginx; those of the system are not used.
tools:
	$(call need,the helpers and the site need programs, \
	    test -x /usr/sbin/nginx && command -v curl && command -v jq && command -v patch && command -v pdftotext && \
	    command -v shellcheck && test -x /usr/sbin/postfix && \
	    command -v weasyprint && ls /usr/share/iso-codes/json/iso_3166-1.json, \
	    curl iso-codes jq nginx patch poppler-utils postfix shellcheck weasyprint)

# Completions are tried in the shells that they are for.
shells:
	$(call need,the tests try completions in shells, \
	    command -v bash && command -v fish && command -v zsh, bash fish zsh)
# The metrics are read by a Prometheus, and its tool tries the alerts.
prometheus:
	$(call need,the tests run a Prometheus of their own, \
	    command -v prometheus && command -v promtool,prometheus)

# The pages are tested in Chromium, with its driver, and in Firefox, which needs none; and with axe-core,
# which finds barriers for people who cannot see them or use a mouse. axe-core is fetched into the build
# directory.
browser:
	$(call need,the tests need browsers, \
	    command -v chromium && command -v chromedriver && command -v firefox-esr, \
	    chromium chromium-driver firefox-esr)
	@# Separate, because a Node.js from another source has its own npm, which conflicts with Debian's.
	$(call need,the tests need axe-core,command -v npm,npm)
	@grep -q '"version": "$(AXE_VERSION)"' $(AXE)/node_modules/axe-core/package.json 2>/dev/null \
	|| npm install --prefix $(AXE) --no-save --ignore-scripts --no-audit --no-fund --loglevel=error \
	    axe-core@$(AXE_VERSION)

# Applications are tested with the libraries that people use, and the code in the documents as it stands.
# The libraries for Node.js are fetched into the build directory, in the versions that are locked.
integrators:
	$(call need,the tests run applications, \
	    /usr/bin/python3 -c "import authlib; import requests" && command -v php && \
	    command -v go && ls /usr/share/gocode/src/golang.org/x/oauth2, \
	    golang-go golang-golang-x-oauth2-dev php-cli python3-authlib python3-requests)
	$(call need,the tests run applications for Node.js,command -v npm,npm)
	@cmp -s $(LIBRARIES)/package-lock.json $(INTEGRATORS)/installed.json || \
	{ mkdir -p $(INTEGRATORS) && cp $(LIBRARIES)/package*.json $(INTEGRATORS) && \
	npm ci --prefix $(INTEGRATORS) --ignore-scripts --no-audit --no-fund --loglevel=error && \
	cp $(LIBRARIES)/package-lock.json $(INTEGRATORS)/installed.json; }

# The protocol's description is tested by schemathesis, in a Python environment of its own.
schemathesis: testdata/openapi/requirements.txt
	$(call need,the tests need an environment of Python, \
	    /usr/bin/python3 -c "import ensurepip",python3-venv)
	@cmp -s $< $(SCHEMATHESIS)/$(notdir $<) || { \
	    /usr/bin/python3 -m venv --clear $(SCHEMATHESIS) && \
	    $(SCHEMATHESIS)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $< && \
	    cp $< $(SCHEMATHESIS); }

# The list of libraries is validated by CycloneDX's own library, in an environment of its own as well.
cyclonedx: testdata/sbom/requirements.txt
	$(call need,the tests need an environment of Python, \
	    /usr/bin/python3 -c "import ensurepip",python3-venv)
	@cmp -s $< $(CYCLONEDX)/$(notdir $<) || { \
	    /usr/bin/python3 -m venv --clear $(CYCLONEDX) && \
	    $(CYCLONEDX)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $< && \
	    cp $< $(CYCLONEDX); }

# Valgrind counts instructions.
valgrind:
	$(call need,instructions are counted by Valgrind,command -v valgrind,valgrind)

# Builds packages, together with cargo.
debhelper:
	$(call need,the package needs debhelper,command -v dh,debhelper)

# Tests packages. The fresh Debian is made from this machine's package lists, which must be current.
debian-tests:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    lintian mmdebstrap shellcheck

fmt:
	$(CARGO) fmt --all
