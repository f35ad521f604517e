#!/bin/sh
# A good helper: writes its argument and its input to the directory that the address names.
set -eu
outbox=$(printf '%s' "$1" | sed -n 's/.*"OUTBOX":"\([^"]*\)".*/\1/p')
if [ -z "$outbox" ]; then
    cat >/dev/null
    exit 0
fi
echo $$ >"$outbox/pid"
echo $# >"$outbox/count"
printf '%s' "$1" >"$outbox/argument"
env >"$outbox/environment"
cat >"$outbox/message.part"
mv "$outbox/message.part" "$outbox/message"
echo "delivered to $1"
