#!/bin/bash
# Two simulated days with people who come and go: nothing grows. A month: make sim-month.
if "${P2P_BUILD:-build}/tests/sim/month" --days 2; then
    echo "1 passed, 0 failed"
else
    echo "0 passed, 1 failed"
    exit 1
fi
