#!/bin/sh
# Dies by a signal.
echo "about to die"
kill -s SEGV $$
