#!/bin/sh
# Fetch a jar and keep it only if its SHA-256 is the one that was given.
#   fetch.sh ADDRESS SHA256 FILE NAME-OF-THE-BUILD-ARGUMENT
set -eu
address=$1 sum=$2 file=$3 argument=$4

if ! printf '%s\n' "$sum" | grep -Eq '^[0-9a-f]{64}$'; then
    printf 'error: the build argument %s is not an SHA-256\nhint: Set %s in .env.analytics; docs/unverified.md says how to get it.\n' \
        "$argument" "$argument" >&2
    exit 3
fi
mkdir -p "$(dirname "$file")"
curl --fail --silent --show-error --location --retry 3 --output "$file" "$address"
found=$(sha256sum "$file" | cut -d ' ' -f 1)
if [ "$found" != "$sum" ]; then
    rm -f "$file"
    printf 'error: %s has the SHA-256 %s, not %s\nhint: Do not use it; compare %s with what the publisher says.\n' \
        "$address" "$found" "$sum" "$argument" >&2
    exit 9
fi
