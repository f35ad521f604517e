#!/bin/sh
# Ignores polite signals and never ends. Its child does the same, and keeps all descriptors open.
trap '' HUP INT TERM
outbox=$(printf '%s' "$1" | sed -n 's/.*"OUTBOX":"\([^"]*\)".*/\1/p')
exec 3<&0
(while :; do sleep 100; done) <&3 &
echo $! >"$outbox/child"
echo $$ >"$outbox/pid"
echo "waiting"
while :; do sleep 100; done
