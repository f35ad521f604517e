# shellcheck shell=bash
# Shared by the tests: failing, requests, and a whole validation.

site=https://challenger.example.com
callback=https://shop.example/callback
# Texts that must not be in a log, one a line.
secrets=/root/secrets

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# When a test fails, print where, and the end of the service's log.
trap 'echo "$0:$LINENO: $BASH_COMMAND" >&2' ERR
trap '[ $? = 0 ] || journalctl --no-pager --lines=40 SYSLOG_IDENTIFIER=challenger-httpd >&2' EXIT

# request STATUS CURL-ARGUMENTS...: makes a request, prints the body, and insists on the status.
request() {
    local expected=$1 status
    shift
    status=$(curl --silent --show-error --max-time 100 --output /root/body \
        --dump-header /root/head --write-out '%{http_code}' "$@") || fail "no answer to $*"
    [ "$status" = "$expected" ] ||
        fail "$status instead of $expected to $*: $(cat /root/body)"
    cat /root/body
}

# own_answer STATUS CURL-ARGUMENTS...: makes a request that nginx itself answers, and insists on the
# headers that all responses have, including the service's.
own_answer() {
    request "$@" >/dev/null
    ! grep -q -i '/json' /root/head || cmp -s /root/body "/usr/share/challenger/errors/$1.json" ||
        fail "the service answers, not nginx: $*"
    ! grep -q -i '\(nginx\|openssl\)/[0-9]' /root/head /root/body || fail "a version is shown: $*"
    while read -r header; do
        [ "$(tr -d '\r' </root/head | grep -c -i -x -F "$header")" = 1 ] ||
            fail "not once '$header' to $*: $(cat /root/head)"
    done <<'END'
Access-Control-Allow-Origin: *
Access-Control-Expose-Headers: *
Cache-Control: no-store
Content-Security-Policy: default-src 'none'; base-uri 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'
Referrer-Policy: no-referrer
Strict-Transport-Security: max-age=31536000
X-Content-Type-Options: nosniff
X-Frame-Options: DENY
END
    no_doubled_headers
}

no_doubled_headers() {
    local doubled
    doubled=$(sed -n 's/:.*//p' /root/head | sort -f | uniq -d -i)
    [ -z "$doubled" ] || fail "sent twice: $doubled"
}

# member NAME: prints a text member of the JSON object on standard input.
member() {
    sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | grep .
}

# validate CLIENT_ID CLIENT_SECRET ADDRESS: plays the application and the person.
validate() {
    local id=$1 secret=$2 address=$3 nonce pin location code token
    # It comes back in a header, escaped to three times its length.
    local state iss
    state=the-state-of-the-shop$(printf '!%.0s' $(seq 2000))
    iss=${site//:/%3A}
    iss=${iss//\//%2F}
    nonce=$(request 200 --request POST --header "Authorization: Bearer $secret" "$site/setup/$id" |
        member nonce) || fail 'no nonce'
    echo "$nonce" >>"$secrets"
    # The person's browser.
    request 200 --get --header 'Accept: text/html' --data response_type=code \
        --data "client_id=$id" --data-urlencode "state=$state" \
        --data-urlencode "redirect_uri=$callback" "$site/authorize/$nonce" |
        grep -q 'name="CONTACT_EMAIL"' || fail 'no form for the address'
    request 200 --header 'Accept: text/html' --data-urlencode "CONTACT_EMAIL=$address" \
        "$site/challenge/$nonce" | grep -q 'name="pin"' || fail 'no form for the code'
    # The person's mail.
    pin=$(grep -o -E '[0-9]{4}-[0-9]{4}' "/var/lib/challenger/messages/$address") || fail 'no code'
    echo "$pin" >>"$secrets"
    request 403 --header 'Accept: text/html' --data "pin=0000-0000" "$site/solve/$nonce" >/dev/null
    request 302 --header 'Accept: text/html' --data "pin=$pin" "$site/solve/$nonce" >/dev/null
    location=$(sed -n 's/^location: \(.*\)\r$/\1/ip' /root/head)
    case $location in
        "$callback?code="*"&state=${state//!/%21}&iss=$iss") ;;
        *) fail "redirected to '$location'" ;;
    esac
    code=${location#*code=}
    code=${code%%&*}
    # The application again.
    token=$(request 200 --data grant_type=authorization_code --data "client_id=$id" \
        --data-urlencode "client_secret=$secret" --data-urlencode "redirect_uri=$callback" \
        --data-urlencode "code=$code" "$site/token" | member access_token) || fail 'no access token'
    printf '%s\n' "$code" "$token" the-state-of-the-shop >>"$secrets"
    request 200 --header "Authorization: Bearer $token" "$site/info" >/root/info
    [ "$(member CONTACT_EMAIL </root/info)" = "$address" ] || fail "/info is $(cat /root/info)"
}

# No secret, no person's address and no query is in a log.
check_logs() {
    local logs=/root/logs
    rm -rf "$logs"
    mkdir "$logs"
    cp -r /var/log/nginx "$logs"
    journalctl --no-pager --unit='challenger*' >"$logs/journal"
    journalctl --no-pager --output verbose --identifier challenger-admin >>"$logs/journal"
    grep -q 'GET /authorize 200' "$logs/nginx/challenger.log" || fail 'nginx logs no requests'
    if grep -r -i -F -f "$secrets" "$logs" || grep -r -F -e '?' -e '@example' "$logs/nginx"; then
        fail 'a log has secrets in it'
    fi
}
