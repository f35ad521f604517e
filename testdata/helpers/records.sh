#!/bin/sh
# Wraps the program of its name: appends the arguments to the file RECORD, and runs the program.
printf '%s\n' "${0##*/}" "$@" >>"$RECORD"
exec "/usr/bin/${0##*/}" "$@"
