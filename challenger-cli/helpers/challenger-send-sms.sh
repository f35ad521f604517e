#!/bin/sh
# Sends a message as an SMS, through the messaging API of Telesign.
#
# Private data (number, message, credentials) are passed to other programs only by environment and
# standard input, because everybody on a machine can read arguments.

# A trace must not show them either.
set +x
set -eu

PROGRAM=challenger-send-sms.sh

TELESIGN_URL=${TELESIGN_URL:-https://rest-ww.telesign.com}
TELESIGN_TIMEOUT=${TELESIGN_TIMEOUT:-25}

# How long connecting may take, in seconds.
CONNECT_MAX=10
# The most that Telesign accepts, in characters.
MESSAGE_MAX=1600
# How much of a response is read, in bytes. A real one has some hundred.
ANSWER_MAX=65536

NEWLINE='
'

# Exit statuses, by the names of sysexits.h.
USAGE=64
NOUSER=67
UNAVAILABLE=69
TEMPFAIL=75
CONFIG=78

usage() {
    cat <<EOF
Usage: $PROGRAM ADDRESS < MESSAGE
       $PROGRAM --check [ADDRESS]

Send a message as an SMS, through Telesign. ADDRESS is a JSON object with the number as
CONTACT_PHONE. The service runs this as its AUTH_COMMAND.

Options:
  --check  say what is missing on this machine, and send nothing
  -h       print this and exit

Settings, from [challenger-helper] of the configuration, or from the environment:
  TELESIGN_CUSTOMER_ID  your account
  TELESIGN_API_KEY      its secret
  TELESIGN_URL          address of the API (default: $TELESIGN_URL)
  TELESIGN_TIMEOUT      time limit in seconds, less than AUTH_TIMEOUT
                        (default: $TELESIGN_TIMEOUT)

Examples:
  echo 'It works.' | $PROGRAM '{"CONTACT_PHONE":"+41791234567"}'

Notes:
  Exit status: 0, Telesign has accepted the message; 64, the arguments are wrong; 67, Telesign
  cannot reach the number; 69, the message was not sent; 75, it may be sent later; 78, a setting is
  missing or wrong, or Telesign does not accept the credentials.
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
    [ -n "${TELESIGN_CUSTOMER_ID-}" ] || misconfigured 'TELESIGN_CUSTOMER_ID is missing'
    [ -n "${TELESIGN_API_KEY-}" ] || misconfigured 'TELESIGN_API_KEY is missing'
    check_url TELESIGN_URL "$TELESIGN_URL"
    check_seconds TELESIGN_TIMEOUT "$TELESIGN_TIMEOUT"
}

# A URL without TLS is accepted only on this machine, for tests.
check_url() {
    case $2 in
        *[!!-~]* | *@*) ;;
        https://?* | http://127.0.0.1:* | http://\[::1\]:*) return ;;
    esac
    misconfigured "$1: expected https://HOST"
}

check_seconds() {
    case $2 in
        *[!0-9]* | '' | 0* | ????*) misconfigured "$1: expected seconds, from 1 to 999" ;;
    esac
}

# need PROGRAM PACKAGE: fails unless the program is installed. The package is Debian's.
need() {
    command -v "$1" >/dev/null || fail "$UNAVAILABLE" "$1 is not installed: apt install $2"
}

# Sets PHONE to the number, without the leading +.
read_phone() {
    # jq's errors quote broken JSON, so they are dropped.
    PHONE=$(ADDRESS=$ADDRESS jq -nr '
        env.ADDRESS | fromjson | .CONTACT_PHONE | strings
        | if test("\\A[+][0-9]{1,15}\\z") then .[1:] else "?" end
    ' 2>/dev/null) || PHONE=
    case $PHONE in
        '') fail "$USAGE" 'expected an address with CONTACT_PHONE' ;;
        '?') fail "$NOUSER" 'expected a CONTACT_PHONE of a + and up to 15 digits' ;;
    esac
}

# Sets MESSAGE.
read_message() {
    MESSAGE=$(cat)
    length=$(printf '%s' "$MESSAGE" | jq -Rrs length)
    [ "$length" -gt 0 ] || fail "$UNAVAILABLE" 'the message is empty'
    [ "$length" -le "$MESSAGE_MAX" ] ||
        fail "$UNAVAILABLE" "the message has more than $MESSAGE_MAX characters"
}

# Prints curl's configuration. curl reads a quoted text as JSON does, except for most control
# characters. It encodes a field as it stands if a name and = precede it.
#
# In the message, line and page separators other than line feeds become spaces. Invisible characters
# are removed: those that reverse the direction of writing, and those without a width, except for
# joiners and variation selectors, which scripts and names need.
request() {
    printf '%s' "$MESSAGE" | URL=$TELESIGN_URL PHONE=$PHONE jq -Rrs '
        def quoted: explode | map(select((. >= 32 and . != 127) or IN(9, 10, 13))) | implode
            | tojson;
        def is_hidden: IN(173, 847, 1564, 4447, 4448, 6068, 6069, 6158, 8203, 8206, 8207, 12644,
            65279, 65440) or (. > 126 and . < 160)
            or (. > 8233 and . < 8239) or (. > 8287 and . < 8304) or (. > 65519 and . < 65532)
            or (. > 113823 and . < 113828) or (. > 119154 and . < 119163)
            or (. > 917503 and . < 917760);
        def plain: explode | map(if IN(11, 12, 133, 8232, 8233) then 32
            elif is_hidden then empty else . end) | implode;
        "url = \(env.URL | rtrimstr("/") + "/v1/messaging" | quoted)",
        "user = \(env.TELESIGN_CUSTOMER_ID + ":" + env.TELESIGN_API_KEY | quoted)",
        "data-urlencode = \("phone_number=" + env.PHONE | quoted)",
        "data-urlencode = \("message=" + plain | quoted)",
        "data = message_type=OTP"
    '
}

# Prints the response, and the outcome on a line of its own. It is tried once: a second try could
# send a second message, and people can ask for another one.
ask() {
    curl --disable --config - --globoff --silent --proto "=${TELESIGN_URL%%:*}" --tlsv1.2 \
        --connect-timeout "$CONNECT_MAX" --max-time "$TELESIGN_TIMEOUT" \
        --max-filesize "$ANSWER_MAX" --user-agent challenger \
        --write-out '\n%{exitcode} %{http_code} %{errormsg}' | head -c "$ANSWER_MAX"
}

# silence CODE: prints the exit status for an error of curl. It may pass if a host was not found or
# not connected to, if time was up, or if the connection was closed.
silence() {
    case $1 in
        6 | 7 | 18 | 28 | 35 | 52 | 55 | 56) echo "$TEMPFAIL" ;;
        *) echo "$UNAVAILABLE" ;;
    esac
}

# Succeeds if Telesign accepts the message, by the code in the response: 200 and 203 mean delivered,
# and 250, 290, 291 and 295 on the way.
accepted() {
    known=$(printf '%s' "$BODY" |
        jq '.status.code | IN(200, 203, 250, 290, 291, 295)' 2>/dev/null) || known=
    [ "$STATUS $known" = '200 true' ]
}

# Prints the reason in the response, on one line, without digits that could be the number or the
# code.
reason() {
    printf '%s' "$BODY" | jq -r '
        def plain: tostring | gsub("[^ -~]"; "?") | gsub("[+]?[0-9][0-9 -]{5,}[0-9]"; "***");
        [.status, .errors[]?] | map(objects | ", \(.code | plain) \(.description | plain)")
        | join("")[:200]
    ' 2>/dev/null || true
}

# Prints the exit status for a response that refuses the message: by the codes in it, else by the
# status of HTTP. 229, 230, 237, 238 and 510 mean that the number is blocked.
refusal() {
    kind=$(printf '%s' "$BODY" | jq -r '
        [.status, .errors[]?] | map(objects)
        | def has_code(codes): any(.[]; .code | IN(codes));
        if has_code(211, 220, 222, 229, 230, 237, 238, 507, 510, 513, 11000, 11001)
            or any(.[]; .code == -10001 and (.description | tostring | test("phone_?number"; "i")))
        then "number"
        elif has_code(210, 221, 503, 505, 511, 512, 514, 3204, 3500) then "later"
        elif has_code(501, 502, 508) then "account"
        else empty end
    ' 2>/dev/null) || kind=
    case $kind,$STATUS in
        number,*) echo "$NOUSER" ;;
        later,* | ,429 | ,5??) echo "$TEMPFAIL" ;;
        account,* | ,401 | ,403) echo "$CONFIG" ;;
        *) echo "$UNAVAILABLE" ;;
    esac
}

main() {
    parse_arguments "$@"
    check_settings
    need jq jq
    need curl curl
    if [ -n "$CHECK" ]; then
        [ -z "$ADDRESS" ] || read_phone
        exit 0
    fi
    read_phone
    read_message
    answer=$(request | ask)
    outcome=${answer##*"$NEWLINE"}
    case $outcome in
        '0 '[0-9]*) ;;
        [1-9]*' '[0-9]*' '*)
            fail "$(silence "${outcome%% *}")" "Telesign does not answer: ${outcome#* * }" ;;
        *) fail "$UNAVAILABLE" 'Telesign answers too much' ;;
    esac
    BODY=${answer%"$NEWLINE"*}
    STATUS=${outcome#* }
    STATUS=${STATUS%% *}
    accepted || fail "$(refusal)" "Telesign does not accept the message: HTTP $STATUS$(reason)"
}

main "$@"
