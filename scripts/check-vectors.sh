#!/bin/bash
# The golden vectors against Google's protobuf: what protoc makes of the bytes is the text that stands beside them,
# and what it makes of the text is the bytes. (That our codec agrees with the bytes, tests/test_codec.c checks.)
#
#   scripts/check-vectors.sh                 check tests/vectors/frames.txt; the last line counts
#   scripts/check-vectors.sh --write BUILD   write it anew from BUILD/tests/test_codec: only for a change of the
#                                            format that is meant, and is then in the diff
set -eu
cd "$(dirname "$0")/.."
vectors=tests/vectors/frames.txt

if ! command -v protoc >/dev/null; then
    echo "skipped: protoc is not installed (Debian: protobuf-compiler)"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi

# Hex without the length that stands before a frame inside Sealed: one byte, or two from 128 on.
frame_hex() {
    local place=$1 hex=$2
    if [ "$place" = inside ]; then
        if ((0x${hex:0:2} < 128)); then hex=${hex:2}; else hex=${hex:4}; fi
    fi
    printf '%s' "$hex"
}

# The length as it has to be.
length_hex() {
    local size=$1
    if ((size < 128)); then printf '%02x' "$size"; else printf '%02x%02x' $((size % 128 + 128)) $((size / 128)); fi
}

decode() { printf '%b' "$(printf '%s' "$1" | sed 's/../\\x&/g')" | protoc --proto_path=proto --decode=p2p.v1.Frame p2p.proto; }
encode() { protoc --proto_path=proto --encode=p2p.v1.Frame p2p.proto | od -An -v -tx1 | tr -d ' \n'; }

if [ "${1:-}" = --write ]; then
    {
        echo "# One frame of every kind, with the least and the most it may hold: place, name, bytes, and what"
        echo "# \`protoc --decode=p2p.v1.Frame\` makes of them. Frames inside Sealed begin with their length."
        echo "# Checked by tests/test_codec.c and scripts/check-vectors.sh, written by the latter."
        "$2/tests/test_codec" --print | while read -r place name; do
            read -r _ hex
            printf '\n%s %s\nhex %s\n' "$place" "$name" "$hex"
            decode "$(frame_hex "$place" "$hex")" | sed 's/^/  /'
        done
    } >"$vectors.new"
    mv "$vectors.new" "$vectors"
    exit 0
fi

passed=0 failed=0
place='' name='' hex='' text=''

check() {
    [ -n "$name" ] || return 0
    local bare want
    bare=$(frame_hex "$place" "$hex")
    want=$bare
    [ "$place" = outside ] || want=$(length_hex $((${#bare} / 2)))$bare
    if [ "$want" != "$hex" ]; then
        echo "$name: its length does not fit it"
    elif [ "$(decode "$bare")" != "${text%$'\n'}" ]; then
        echo "$name: protoc reads something else from the bytes than the text says"
    elif [ "$(printf '%s' "$text" | encode)" != "$bare" ]; then
        echo "$name: protoc writes the text with other bytes"
    else
        passed=$((passed + 1))
        return 0
    fi
    failed=$((failed + 1))
}

while IFS= read -r line || [ -n "$line" ]; do
    case $line in
    'outside '* | 'inside '*)
        check
        place=${line%% *} name=${line#* } hex='' text=''
        ;;
    'hex '*) hex=${line#hex } ;;
    '  '*) text+=${line#  }$'\n' ;;
    esac
done <"$vectors"
check

[ $((passed + failed)) -gt 0 ] || { echo "no vector in $vectors"; failed=1; }
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
