#!/bin/sh
# Plants known bugs in a copy of the sources, one at a time. The simulation or the exhaustive walk has
# to notice each of them, by an invariant that the first line of its patch names.
#
# Usage: run.sh [PATCH...]

set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${CARGO_TARGET_DIR:-$root/target}"
target=$(cd "${CARGO_TARGET_DIR:-$root/target}" && pwd)/planted
copy=$target/copy
output=$target/output
[ $# -gt 0 ] || set -- "$root"/testdata/planted/*.patch

# All bugs share one folder and one target, so that only the changed files are rebuilt. The copies are
# new files, so cargo builds them whatever was planted there before.
rm -rf "$copy"
mkdir -p "$copy"
cd "$root"
cp -R Cargo.toml Cargo.lock challenger-proto challenger-server challenger-cli templates testdata "$copy"
cd "$copy"

# The dependencies are optimized, because they do the counting and hashing.
tests() {
    CARGO_TARGET_DIR=$target RUST_BACKTRACE=0 cargo test --quiet --locked \
        --config 'profile.dev.package."*".opt-level=2' --package challenger-proto "$@"
}

# Prints the sentences with which the test $1 fails, if it fails. Its threads fail in any order.
complaints() {
    if tests --test "$1" >"$output" 2>&1; then
        return
    fi
    sed -n '/panicked at/{n;s/^assertion .* failed: //;p}' "$output"
}

# The first of the complaints $1 that names one of the invariants $2, or else the first of all.
choose() {
    printf '%s\n' "$1" | while IFS= read -r said; do
        case " $2 " in *" ${said%%:*} "*) printf '%s\n' "$said" && break ;; esac
    done | grep . || printf '%s\n' "$1" | head -n 1
}

echo 'without a bug' >&2
tests --test simulation --test exhaustive >"$output" 2>&1 || {
    cat "$output"
    echo 'The tests fail without a bug.' >&2
    exit 1
}

missed=0
for patch in "$@"; do
    name=$(basename "$patch" .patch)
    invariants=$(sed -n '1s/.*; caught by \(.*\)\.$/\1/p' "$patch")
    patch --quiet --strip=1 <"$patch"
    notices=nobody
    for test in simulation exhaustive; do
        if ! tests --no-run --test $test >"$output" 2>&1; then
            cat "$output"
            echo "$name does not compile." >&2
            exit 1
        fi
        said=$(choose "$(complaints $test)" "$invariants")
        [ -n "$said" ] || continue
        case " $invariants " in *" ${said%%:*} "*) notices=$test && break ;; esac
    done
    [ $notices != nobody ] || missed=$((missed + 1))
    printf '%-28s %-12s %.80s\n' "$name" $notices "$said"
    patch --quiet --strip=1 --reverse <"$patch"
done
echo "$# bugs, $missed missed"
[ $missed = 0 ]
