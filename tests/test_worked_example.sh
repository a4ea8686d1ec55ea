#!/bin/bash
# The worked example is what the independent script computes (test_seal compares the program with it), and
# docs/protocol.md shows it as it is.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/checks.sh
shown() {
    diff <(sed -n '/^## 10\./,/^## 11\./p' docs/protocol.md | sed -n '/^```$/,/^```$/p' | sed '1d;$d') tests/vectors/worked-example.txt
}
check "the script computes it" python3 tests/vectors/worked_example.py --check
check "the document shows it" shown
finish
