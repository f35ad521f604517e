#!/bin/sh
# Prints without end and never reads.
echo "the beginning"
exec yes "a line that is printed again and again"
