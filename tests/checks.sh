# What the scripts tests/test_*.sh count with. They source it, and end with `finish`.
# shellcheck shell=bash
passed=0 failed=0 skipped=0

check() { # NAME COMMAND...: status 0 is right
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        tail -n 40 <<<"$out" | sed 's/^/     /'
    fi
}

skip() { # WHY
    echo "skipped: $1"
    skipped=$((skipped + 1))
}

finish() { # the line that counts
    if [ "$skipped" -gt 0 ]; then
        echo "$passed passed, $failed failed, $skipped skipped"
    else
        echo "$passed passed, $failed failed"
    fi
    [ "$failed" -eq 0 ]
    exit
}
