#!/bin/sh
# Reads everything, prints it to both outputs, and fails.
message=$(cat)
echo "not sent: $1"
echo "the message was: $message" >&2
exit 75
