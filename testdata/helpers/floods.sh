#!/bin/sh
# Prints endlessly and never reads.
echo "the beginning"
exec yes "a line that is printed again and again"
