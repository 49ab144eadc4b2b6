#!/bin/sh
# args.sh FILE ARGUMENT...: writes each argument on a line of its own
file=$1
shift
for argument; do printf '<%s>\n' "$argument"; done >"$file"
