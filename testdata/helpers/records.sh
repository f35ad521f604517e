#!/bin/sh
# Stands in for a program of its name: writes its arguments into the file RECORD, and becomes it.
printf '%s\n' "${0##*/}" "$@" >>"$RECORD"
exec "/usr/bin/${0##*/}" "$@"
