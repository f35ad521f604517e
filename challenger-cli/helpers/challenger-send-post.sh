#!/bin/sh
# Sends a message as a letter, through the API of Pingen, which prints, stamps and posts PDF files.
#
# Private data (address, message, credentials) are passed to other programs only by environment,
# standard input and a directory of our own, because everybody on a machine can read arguments.

# A trace must not show them either.
set +x
set -eu
umask 077

PROGRAM=challenger-send-post.sh

PINGEN_URL=${PINGEN_URL:-https://api.pingen.com}
PINGEN_AUTH_URL=${PINGEN_AUTH_URL:-https://identity.pingen.com}
PINGEN_DELIVERY_PRODUCT=${PINGEN_DELIVERY_PRODUCT:-cheap}
PINGEN_PRINT_MODE=${PINGEN_PRINT_MODE:-simplex}
PINGEN_PRINT_SPECTRUM=${PINGEN_PRINT_SPECTRUM:-grayscale}
PINGEN_ADDRESS_POSITION=${PINGEN_ADDRESS_POSITION:-left}
PINGEN_COUNTRY=${PINGEN_COUNTRY:-CH}
PINGEN_SENDER=${PINGEN_SENDER:-}
PINGEN_TIMEOUT=${PINGEN_TIMEOUT:-25}

# How long connecting may take, in seconds.
CONNECT_MAX=10
# How much of a response is read, in bytes. A real one has a few thousand.
ANSWER_MAX=65536
# The names of countries. Post offices want them in full.
COUNTRIES=/usr/share/iso-codes/json/iso_3166-1.json

# The place of the letter until it is sent. A directory of this age cannot be in use, because
# PINGEN_TIMEOUT is shorter.
TMPDIR=${TMPDIR:-/tmp}
FOLDER_PREFIX=challenger-letter-
STALE_MINUTES=60

NEWLINE='
'

# For jq: plain makes any text safe to print. Line separators other than line feeds become spaces,
# and so do tabs. Invisible characters are removed: control characters, those that reverse the
# direction of writing, and those without a width, except for joiners and variation selectors, which
# scripts and names need.
PLAIN='
    def is_blank: IN(9, 11, 12, 13, 133, 8232, 8233);
    def is_hidden: (. < 32 and . != 10) or (. > 126 and . < 160)
        or IN(173, 847, 1564, 4447, 4448, 6068, 6069, 6158, 8203, 8206, 8207, 12644, 65279, 65440)
        or (. > 8233 and . < 8239) or (. > 8287 and . < 8304) or (. > 65519 and . < 65532)
        or (. > 113823 and . < 113828) or (. > 119154 and . < 119163)
        or (. > 917503 and . < 917760);
    def plain: . / "\r\n" | join("\n") | explode
        | map(if is_blank then 32 elif is_hidden then empty else . end) | implode;
    def trimmed: gsub("^[[:space:]]+|[[:space:]]+$"; "");
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

Send a message as a letter, through Pingen. ADDRESS is a JSON object with CONTACT_NAME,
ADDRESS_LINES and, if it is not in PINGEN_COUNTRY, ADDRESS_COUNTRY. The service runs this as its
AUTH_COMMAND.

Options:
  --check  say what is missing on this machine, and send nothing
  -h       print this and exit

Settings, from [challenger-helper] of the configuration, or from the environment:
  PINGEN_CLIENT_ID         your account
  PINGEN_CLIENT_SECRET     its secret
  PINGEN_ORGANISATION      the ID of your organisation
  PINGEN_SENDER            a line at the top of the letter (default: none)
  PINGEN_COUNTRY           the country of the organisation (default: $PINGEN_COUNTRY)
  PINGEN_ADDRESS_POSITION  position of the window, left or right (default: $PINGEN_ADDRESS_POSITION)
  PINGEN_DELIVERY_PRODUCT  cheap, fast, or another (default: $PINGEN_DELIVERY_PRODUCT)
  PINGEN_PRINT_MODE        simplex or duplex (default: $PINGEN_PRINT_MODE)
  PINGEN_PRINT_SPECTRUM    grayscale or color (default: $PINGEN_PRINT_SPECTRUM)
  PINGEN_URL               address of the API (default: $PINGEN_URL)
  PINGEN_AUTH_URL          address of access tokens (default: $PINGEN_AUTH_URL)
  PINGEN_TIMEOUT           time limit in seconds, less than AUTH_TIMEOUT
                           (default: $PINGEN_TIMEOUT)

Examples:
  echo 'It works.' | $PROGRAM \\
    '{"CONTACT_NAME":"Ada","ADDRESS_LINES":"Bahnhofstrasse 1\n8001 Zürich"}'

Notes:
  Exit status: 0, Pingen has accepted the letter; 64, the arguments are wrong; 67, no letter can be
  sent to the address; 69, the letter was not sent; 75, it may be sent later; 78, a setting is
  missing or wrong, or Pingen does not accept the credentials.
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
    [ -n "${PINGEN_CLIENT_ID-}" ] || misconfigured 'PINGEN_CLIENT_ID is missing'
    [ -n "${PINGEN_CLIENT_SECRET-}" ] || misconfigured 'PINGEN_CLIENT_SECRET is missing'
    case ${PINGEN_ORGANISATION-} in
        '') misconfigured 'PINGEN_ORGANISATION is missing' ;;
        *[!A-Za-z0-9-]*) misconfigured 'PINGEN_ORGANISATION: expected letters, digits and -' ;;
    esac
    case $PINGEN_COUNTRY in
        [A-Z][A-Z]) ;;
        *) misconfigured 'PINGEN_COUNTRY: expected the two capital letters of a country' ;;
    esac
    case $PINGEN_ADDRESS_POSITION in
        left | right) ;;
        *) misconfigured 'PINGEN_ADDRESS_POSITION: expected left or right' ;;
    esac
    case $PINGEN_DELIVERY_PRODUCT in
        *[!a-z_]*) misconfigured 'PINGEN_DELIVERY_PRODUCT: expected small letters and _' ;;
    esac
    case $PINGEN_PRINT_MODE in
        simplex | duplex) ;;
        *) misconfigured 'PINGEN_PRINT_MODE: expected simplex or duplex' ;;
    esac
    case $PINGEN_PRINT_SPECTRUM in
        grayscale | color) ;;
        *) misconfigured 'PINGEN_PRINT_SPECTRUM: expected grayscale or color' ;;
    esac
    is_safe "$PINGEN_URL" || misconfigured 'PINGEN_URL: expected https://HOST'
    is_safe "$PINGEN_AUTH_URL" || misconfigured 'PINGEN_AUTH_URL: expected https://HOST'
    case $PINGEN_TIMEOUT in
        *[!0-9]* | 0* | ????*) misconfigured 'PINGEN_TIMEOUT: expected seconds, from 1 to 999' ;;
    esac
}

# Succeeds if a URL has TLS, or needs none because it stays on this machine, as in tests.
is_safe() {
    case $1 in
        *[!!-~]* | *@*) return 1 ;;
        https://?* | http://127.0.0.1:* | http://\[::1\]:*) return 0 ;;
        *) return 1 ;;
    esac
}

# need PROGRAM PACKAGE: fails unless the program is installed. The package is Debian's.
need() {
    command -v "$1" >/dev/null || fail "$UNAVAILABLE" "$1 is not installed: apt install $2"
}

# Prints the text that a filter of jq finds in the address.
field() {
    # jq's errors quote broken JSON, so they are dropped.
    ADDRESS=$ADDRESS jq -nr "$PLAIN env.ADDRESS | fromjson | $1 | strings" 2>/dev/null || true
}

# Sets RECIPIENT to the lines on the envelope. The name is one line.
read_address() {
    tidy='plain / "\n" | map(trimmed | select(. != ""))'
    name=$(field ".CONTACT_NAME | $tidy | join(\" \")")
    lines=$(field ".ADDRESS_LINES | $tidy | join(\"\\n\")")
    country=$(field '.ADDRESS_COUNTRY // ""')
    { [ -n "$name" ] && [ -n "$lines" ]; } ||
        fail "$USAGE" 'expected an address with CONTACT_NAME and ADDRESS_LINES'
    RECIPIENT=$name$NEWLINE$lines
    case $country in
        '' | "$PINGEN_COUNTRY") ;;
        XK) RECIPIENT=$RECIPIENT${NEWLINE}Kosovo ;; # No code of ISO 3166-1, so not among iso-codes.
        *) RECIPIENT=$RECIPIENT$NEWLINE$(country_name "$country") || exit ;;
    esac
}

# Prints the English name of a country.
country_name() {
    [ -r "$COUNTRIES" ] ||
        fail "$UNAVAILABLE" 'letters abroad need names of countries: apt install iso-codes'
    CODE=$1 jq -er '
        .["3166-1"][] | select(.alpha_2 == env.CODE) | .common_name // .name
    ' "$COUNTRIES" ||
        fail "$NOUSER" 'ADDRESS_COUNTRY is not the two capital letters of a country'
}

# Sets TYPE to the font size and line height in the window, which is 83 mm wide and has room for 6
# lines, or for 8 small ones. Text that is cut off would be missing on the envelope, so this assumes
# that each character is as wide as it can be, in hundredths of the font size. Lines are broken
# between words.
choose_type() {
    TYPE=$(RECIPIENT=$RECIPIENT jq -nr '
        def width:
            if test("[ijlI ,.:;|!/()\\[\\]-]") then 42
            elif test("[mwMW@%æœÆŒ]") then 103
            elif test("[A-Z&+<=>^~#]") then 84
            elif test("\\p{M}") then 0
            elif test("[\\x{0}-\\x{7f}]") then 65
            elif test("\\p{Lu}") then 101
            elif test("[\\x{80}-\\x{10ff}]") then 75
            elif test("[\\x{fdf0}-\\x{fdff}]") then 1000
            else 101 end;
        def widths: explode | map([.] | implode | width) | add // 0;
        def rows($room): [env.RECIPIENT / "\n" | .[]
            | reduce (. / " ")[] as $word ({rows: 0, left: 0};
                ($word | widths) as $width
                | if $width <= .left then .left -= $width + 42
                  else ($width / $room | ceil) as $rows
                    | .rows += $rows | .left = $rows * $room - $width - 42 end)
            | .rows] | add;
        if rows(2350) <= 6 then "10pt/11.5pt" elif rows(2940) <= 8 then "8pt/8.6pt" else empty end
    ')
    [ -n "$TYPE" ] || fail "$NOUSER" 'the address does not fit into the window of an envelope:' \
        'expected up to 8 lines of about 40 letters'
}

# Sets MESSAGE.
read_message() {
    MESSAGE=$(cat)
    MESSAGE=$(printf '%s' "$MESSAGE" | jq -Rrs "$PLAIN plain")
    [ -n "$MESSAGE" ] || fail "$UNAVAILABLE" 'the message is empty'
}

# Prints the message as HTML, with the code set off: four digits, perhaps a dash, and four digits.
# The code is what is alone on a line. If there is no such line, it is everything that looks like a
# code and is not part of something longer, such as the name of a host. What the subject or the
# address contains is never the code, because neither contains it.
marked_message() {
    printf '%s' "$MESSAGE" | ADDRESS=$ADDRESS jq -Rrs "$PLAIN"'
        ([env.CHALLENGER_SUBJECT // "", (env.ADDRESS | fromjson | .. | strings)]
            | join("\n") | plain) as $others
        | def is_code: test("\\A[0-9]{4}-?[0-9]{4}\\z")
            and (. as $text | $others | contains($text) | not);
        def set_off: "<b>\(.)</b>";
        def stands_alone: trimmed | is_code;
        def inside: "(?<![0-9A-Za-z._@/%~-])[0-9]{4}-?[0-9]{4}"
            + "(?![0-9A-Za-z_@/%~-]|[.:][0-9A-Za-z])";
        def marked: . as $text
            | reduce (match(inside; "g") | select(.string | is_code)) as $code
                ({at: 0, html: ""};
                .html += ($text[.at:$code.offset] | @html) + ($code.string | set_off)
                | .at = $code.offset + $code.length)
            | .html + ($text[.at:] | @html);
        . / "\n"
        | if any(.[]; stands_alone)
            then map(if stands_alone then trimmed | set_off else @html end)
            else map(marked) end
        | join("\n") | gsub("\n*(?<code><b>[0-9-]+</b>)\n*"; .code)
    '
}

# Prints the letter as HTML. Pingen wants the address in a field of 85.5 mm by 25.5 mm. The field is
# 60 mm from the upper edge, and 22 mm from the left one, or 118 mm with the window on the right. The
# 20 mm above it are for the stamp. Text above 100 mm could be seen in the window. Text that does not
# fit into the field is cut off at its edge, and never runs into the message.
letter() {
    # Measured from the margin, which is 23 mm wide.
    case $PINGEN_ADDRESS_POSITION in
        left) left=0mm ;;
        right) left=97mm ;;
    esac
    marked_message |
        RECIPIENT=$RECIPIENT SENDER=$PINGEN_SENDER TYPE=$TYPE LEFT=$left jq -Rrs "$PLAIN"'
        (env.CHALLENGER_SUBJECT // "" | plain | @html) as $subject |
        "<!DOCTYPE html>
        <html lang=\"\(env.CHALLENGER_LANGUAGE // "en" | @html)\">
        <meta charset=utf-8>
        <title>\($subject)</title>
        <style>
        @page { size: A4; margin: 20mm 23mm }
        @page :first { margin-top: 100mm }
        body { margin: 0; font: 11pt/1.45 sans-serif; overflow-wrap: anywhere }
        header { position: absolute; top: -82mm; font-size: 8pt }
        address { position: absolute; top: -39mm; left: \(env.LEFT); width: 83mm; height: 24.5mm;
            overflow: hidden; font: \(env.TYPE) sans-serif; white-space: pre-line }
        h1 { margin: 0 0 6mm; font-size: 12pt }
        p { margin: 0; white-space: pre-line }
        b { display: block; margin: 6mm 0; font: bold 24pt monospace }
        </style>
        <header>\(env.SENDER | @html)</header>
        <address>\(env.RECIPIENT | @html)</address>
        <h1>\($subject)</h1>
        <p>\(.)</p>"
    '
}

# begin STEP: names the next step, and sets LEFT to the seconds that are left for it.
begin() {
    STEP=$1
    LEFT=$((BEGUN + PINGEN_TIMEOUT - $(date +%s)))
    [ "$LEFT" -gt 0 ] || fail "$TEMPFAIL" "no time is left for $STEP"
}

# Prints curl's configuration: options with texts, from a filter of jq. curl reads a quoted text as
# JSON does, except for control characters.
request() {
    jq -nr '
        def quoted: explode | map(select(. >= 32 and . != 127)) | implode | tojson;
        def place($base; $path): ["url", ($base | rtrimstr("/")) + $path];
        def token: ["header", "Authorization: Bearer " + env.TOKEN];
        '"$1"' | "\(.[0]) = \(.[1] | quoted)"
    '
}

# ask URL OPTIONS CURL-OPTIONS...: makes a request to Pingen, and sets BODY. Of the first argument,
# only the scheme counts. Nothing is tried twice: that could send a second letter, and people can ask
# for another one.
ask() {
    url=$1 options=$2
    shift 2
    answer=$(request "$options" |
        curl --disable --config - --globoff --silent --proto "=${url%%:*}" --tlsv1.2 \
            --connect-timeout "$CONNECT_MAX" --max-time "$LEFT" --max-filesize "$ANSWER_MAX" \
            --user-agent challenger --header 'Accept: application/vnd.api+json' \
            --write-out '\n%{exitcode} %{http_code} %{errormsg}' "$@" | head -c "$ANSWER_MAX")
    outcome=${answer##*"$NEWLINE"}
    BODY=${answer%"$NEWLINE"*}
    case $outcome in
        '0 2'[0-9][0-9]' '*) ;;
        '0 '[0-9]*) outcome=${outcome#* }
            fail "$(refusal "${outcome%% *}")" \
                "Pingen refuses $STEP: HTTP ${outcome%% *}$(reason)" ;;
        [1-9]*' '[0-9]*' '*)
            fail "$(silence "${outcome%% *}")" \
                "Pingen does not answer about $STEP: ${outcome#* * }" ;;
        *) fail "$UNAVAILABLE" "Pingen answers too much about $STEP" ;;
    esac
}

# silence CODE: prints the exit status for an error of curl. It may pass if a host was not found or
# not connected to, if time was up, or if the connection was closed.
silence() {
    case $1 in
        6 | 7 | 18 | 28 | 35 | 52 | 55 | 56) echo "$TEMPFAIL" ;;
        *) echo "$UNAVAILABLE" ;;
    esac
}

# refusal STATUS: prints the exit status for a response with this status of HTTP. Pingen reads the
# address from the file, and mostly later. The file goes to somebody else, without our credentials.
refusal() {
    kind=$(printf '%s' "$BODY" | jq -r '
        def about_address: test("address|recipient"; "i") and (test("address_position") | not);
        if .error | IN("invalid_client", "unauthorized_client", "invalid_scope") then "account"
        elif any(.errors[]? | objects | .code?, .source.pointer? | strings; about_address)
        then "address" else empty end
    ' 2>/dev/null) || kind=
    case $1,$STEP,$kind in
        4??,'an access token',account) echo "$CONFIG" ;;
        4??,'the letter',address) echo "$NOUSER" ;;
        # The organisation is in the path.
        404,'the letter',*) echo "$CONFIG" ;;
        40[13],'the file',*) echo "$UNAVAILABLE" ;;
        40[13],*) echo "$CONFIG" ;;
        429,* | 5??,*) echo "$TEMPFAIL" ;;
        *) echo "$UNAVAILABLE" ;;
    esac
}

# Prints the text of visible characters that a filter of jq finds in the response.
found() {
    text=$(printf '%s' "$BODY" | jq -r "$1"' | select(test("\\A[!-~]+\\z"))' 2>/dev/null) || text=
    [ -n "$text" ] || fail "$UNAVAILABLE" "Pingen answers something other than $STEP"
    printf '%s' "$text"
}

# Prints the kind of error in the response, on one line, without possible parts of the address or the
# code.
reason() {
    printf '%s' "$BODY" | RECIPIENT=$RECIPIENT jq -r '
        [(.errors | arrays[0], objects | .title?), .error?, .message?] | map(strings)[0]
        | reduce (env.RECIPIENT / "\n" | .[] | select(length > 3)) as $line
            (.; . / $line | join("***"))
        | gsub("[^ -~]"; "?") | gsub("[+]?[0-9][0-9 -]{5,}[0-9]"; "***") | ", " + .[:200]
    ' 2>/dev/null || true
}

# Sets FOLDER to a directory for the letter, which is deleted when this script ends. The service ends
# a helper by SIGTERM to its process group, so that a program that we wait for ends as well. What is
# left by a script that was killed, or by a power failure, is deleted when a later letter is sent.
make_folder() {
    FOLDER=
    trap 'trap "" HUP INT TERM; [ -z "$FOLDER" ] || rm -rf "$FOLDER"' EXIT
    trap 'exit "$UNAVAILABLE"' HUP INT TERM
    find "$TMPDIR" -maxdepth 1 -type d -name "$FOLDER_PREFIX*" -user "$(id -u)" \
        -mmin "+$STALE_MINUTES" -exec rm -rf {} + 2>/dev/null || true
    FOLDER=$(mktemp -d "$TMPDIR/${FOLDER_PREFIX}XXXXXX" 2>/dev/null) ||
        fail "$UNAVAILABLE" 'cannot create a directory for the letter'
}

# Fails unless make_folder could do its work.
check_folder() {
    { [ -d "$TMPDIR" ] && [ -w "$TMPDIR" ]; } ||
        fail "$UNAVAILABLE" "cannot create a directory for the letter in $TMPDIR"
}

# Makes the letter. --foreground keeps weasyprint in our process group, which the service kills as
# one.
print_letter() {
    begin 'making the letter'
    { letter | timeout --foreground --kill-after 1 "$LEFT" \
        weasyprint --quiet --encoding utf-8 - "$FOLDER/letter.pdf"; } 2>/dev/null ||
        fail "$UNAVAILABLE" "weasyprint failed with status $?"
}

# Uploads the letter and has it sent.
send_letter() {
    begin 'an access token'
    ask "$PINGEN_AUTH_URL" 'place(env.PINGEN_AUTH_URL; "/auth/access-tokens"),
        ["data-urlencode", "grant_type=client_credentials"],
        ["data-urlencode", "client_id=" + env.PINGEN_CLIENT_ID],
        ["data-urlencode", "client_secret=" + env.PINGEN_CLIENT_SECRET],
        ["data-urlencode", "scope=letter"]'
    TOKEN=$(found .access_token)

    begin 'a place for the file'
    ask "$PINGEN_URL" 'token, place(env.PINGEN_URL; "/file-upload")'
    FILE_URL=$(found .data.attributes.url)
    FILE_SIGNATURE=$(found .data.attributes.url_signature)
    # Its host may be another one, but must not be less safe than that of the API.
    { is_safe "$FILE_URL" && [ "${FILE_URL%%:*}" = "${PINGEN_URL%%:*}" ]; } ||
        fail "$UNAVAILABLE" 'Pingen names a place for the file without TLS'

    begin 'the file'
    ask "$FILE_URL" '["url", env.FILE_URL]' --upload-file "$FOLDER/letter.pdf"

    begin 'the letter'
    ask "$PINGEN_URL" 'token, ["header", "Content-Type: application/vnd.api+json"],
        place(env.PINGEN_URL; "/organisations/\(env.PINGEN_ORGANISATION)/deliveries/letters"),
        ["data-raw", ({data: {type: "letters", attributes: {
            file_original_name: "letter.pdf",
            file_url: env.FILE_URL,
            file_url_signature: env.FILE_SIGNATURE,
            address_position: env.PINGEN_ADDRESS_POSITION,
            auto_send: true,
            delivery_product: env.PINGEN_DELIVERY_PRODUCT,
            print_mode: env.PINGEN_PRINT_MODE,
            print_spectrum: env.PINGEN_PRINT_SPECTRUM
        }}} | tojson)]'
    found .data.id >/dev/null
}

main() {
    BEGUN=$(date +%s)
    parse_arguments "$@"
    check_settings
    need jq jq
    need curl curl
    need weasyprint weasyprint
    if [ -n "$CHECK" ]; then
        check_folder
        [ -z "$ADDRESS" ] || read_address
        exit 0
    fi
    read_address
    choose_type
    read_message
    make_folder
    export PINGEN_URL PINGEN_AUTH_URL PINGEN_DELIVERY_PRODUCT PINGEN_PRINT_MODE \
        PINGEN_PRINT_SPECTRUM PINGEN_ADDRESS_POSITION TOKEN FILE_URL FILE_SIGNATURE
    print_letter
    send_letter
}

main "$@"
