#!/bin/sh
# Writes a message into a file, for tests.

set -eu
umask 077

PROGRAM=challenger-send-file.sh

# Exit statuses, by the names of sysexits.h.
USAGE=64
NOUSER=67
UNAVAILABLE=69
CONFIG=78

usage() {
    cat <<EOF
Usage: $PROGRAM ADDRESS < MESSAGE
       $PROGRAM --check [ADDRESS]

Write a message into a file, for tests. ADDRESS is a JSON object that names the file, as filename,
CONTACT_EMAIL or CONTACT_PHONE. The service runs this as its AUTH_COMMAND.

Options:
  --check  say what is missing on this machine, and write nothing
  -h       print this and exit

Settings, from [challenger-helper] of the configuration, or from the environment:
  CHALLENGER_FILE_DIR  the directory of the files, given by its full path

Examples:
  echo 'It works.' | CHALLENGER_FILE_DIR=/tmp $PROGRAM '{"filename":"message.txt"}'

Notes:
  Exit status: 0, the file is written; 64, the arguments are wrong; 67, no file can have the name;
  69, the file is not written; 78, the setting is missing or wrong.
  More: $PROGRAM(1), challenger.conf(5).
EOF
}

# fail STATUS REASON...: prints the reason, and exits.
fail() {
    status=$1
    shift
    printf '%s: %s\n' "$PROGRAM" "$*" >&2
    exit "$status"
}

misconfigured() {
    fail "$CONFIG" "[challenger-helper] $*"
}

parse_arguments() {
    CHECK=
    if [ "${1-}" = --check ]; then
        CHECK=yes
        shift
    fi
    while getopts h option; do
        case $option in
            h) usage; exit 0 ;;
            *) usage >&2; exit "$USAGE" ;;
        esac
    done
    shift $((OPTIND - 1))
    case $CHECK$# in
        1 | yes[01]) ADDRESS=${1-} ;;
        *) fail "$USAGE" 'expected one argument, the address' ;;
    esac
}

check_settings() {
    [ -n "${CHALLENGER_FILE_DIR-}" ] || misconfigured 'CHALLENGER_FILE_DIR is missing'
    case $CHALLENGER_FILE_DIR in
        /*) [ ! -d "$CHALLENGER_FILE_DIR" ] || return 0 ;;
    esac
    misconfigured 'CHALLENGER_FILE_DIR: expected a directory, by its full path'
}

# Sets NAME, which stays in the directory, is not hidden, and cannot be taken for an option.
read_name() {
    # jq's errors quote broken JSON, so they are dropped.
    NAME=$(ADDRESS=$ADDRESS jq -nr '
        env.ADDRESS | fromjson | .filename // .CONTACT_EMAIL // .CONTACT_PHONE | strings
        | if test("\\A[A-Za-z0-9_+][A-Za-z0-9_+.@-]{0,99}\\z") then . else "?" end
    ' 2>/dev/null) || NAME=
    case $NAME in
        '') fail "$USAGE" 'expected an address with filename, CONTACT_EMAIL or CONTACT_PHONE' ;;
        '?') fail "$NOUSER" 'expected a name of up to 100 letters, digits, or _ + . @ -,' \
            'and none of . @ - in front' ;;
    esac
}

main() {
    parse_arguments "$@"
    check_settings
    command -v jq >/dev/null || fail "$UNAVAILABLE" 'jq is not installed: apt install jq'
    if [ -n "$CHECK" ]; then
        [ -w "$CHALLENGER_FILE_DIR" ] ||
            misconfigured 'CHALLENGER_FILE_DIR: this user cannot create files in it'
        [ -z "$ADDRESS" ] || read_name
        exit 0
    fi
    read_name
    # The message is written under another name first, so that nobody finds half of it. Renaming
    # replaces a symbolic link and does not follow it, and -T does not move into a directory.
    new=$(mktemp "$CHALLENGER_FILE_DIR/.challenger-XXXXXX" 2>/dev/null) ||
        fail "$CONFIG" 'cannot create a file in CHALLENGER_FILE_DIR'
    trap 'rm -f "$new"' EXIT
    trap 'exit "$UNAVAILABLE"' HUP INT TERM
    cat >"$new" || fail "$UNAVAILABLE" 'cannot write the message'
    mv -fT "$new" "$CHALLENGER_FILE_DIR/$NAME" 2>/dev/null ||
        fail "$NOUSER" 'cannot replace what has the name of the file'
}

main "$@"
