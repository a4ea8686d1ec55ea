#!/bin/bash
# The worked example is what the independent script computes (test_seal compares the program with it).
set -u
cd "$(dirname "$0")/.." || exit 1
if python3 tests/vectors/worked_example.py --check; then
    echo "1 passed, 0 failed"
else
    echo "0 passed, 1 failed"
    exit 1
fi
