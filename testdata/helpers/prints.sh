#!/bin/sh
# Replaces weasyprint in tests that do not look at the letter.
cat >/dev/null
for file; do :; done
echo '%PDF-1.7' >"$file"
