#!/bin/sh
# Cannot be run: this file is not executable, on purpose.
exit 0
