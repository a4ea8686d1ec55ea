#!/bin/bash
# Runs every test and counts. usage: tests/run.sh [BUILD [PATTERN...]]
# BUILD: the folder with the programs; default: build. PATTERN: only tests whose name matches one (test_seal, 'sim/*', lint).
#
#   BUILD/tests/**/test_*             cmocka programs
#   tests/*/test_*.py                 drive the real programs in BUILD (told to them as P2P_BUILD)
#   tests/test_*.sh, scripts/check-vectors.sh, scripts/lint.sh
#
# One that is not a cmocka program says "N passed, N failed[, N skipped]" in its last line. Two run at a time; what
# a failing one printed is shown; each has a time limit (P2P_TEST_TIMEOUT seconds), and a hang is a failure that
# names the test. The last line of all is "N passed, N failed[, N skipped]".
set -u
cd "$(dirname "$0")/.." || exit 1
root=$PWD
build=${1:-build}
patterns=("${@:2}")
case $build in /*) ;; *) build=$root/$build ;; esac

jobs_max=$(nproc 2>/dev/null || echo 1)
[ "$jobs_max" -le 2 ] || jobs_max=2

scratch=$(mktemp -d) || exit 1
running=()
stop() {
    # Each job is a `timeout` that leads a process group of its own and passes the signal on.
    [ ${#running[@]} -eq 0 ] || kill "${running[@]}" 2>/dev/null
    rm -rf "$scratch"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

unset P2P_SERVER P2P_KEYWORD
export P2P_BUILD=$build
# Sanitized programs are a few times slower; deadlines of the tests stretch with them.
if grep -q __asan_init "$build/p2p-server" 2>/dev/null; then export P2P_TIME_SCALE=${P2P_TIME_SCALE:-3}; fi
timeout_s=${P2P_TEST_TIMEOUT:-$((200 * ${P2P_TIME_SCALE:-1}))}
export CC=${CC:-gcc}
export LC_ALL=C.UTF-8 PYTHONFAULTHANDLER=1 PYTHONDONTWRITEBYTECODE=1 CMOCKA_MESSAGE_OUTPUT=STDOUT
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=0:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
PATH=$PATH:/usr/sbin:/sbin

passed=0 failed=0 skipped=0

# What a cmocka program printed: every test that began has to end with OK or SKIPPED, and as many have to begin as
# were announced. So a crash, a hang and a lost test are seen, with their names. Prints "P F S" and the failures.
count_cmocka() {
    awk '
        /^\[==========\] Running [0-9]+ test/ { announced += $3 }
        /^\[ RUN      \] /                    { name = substr($0, 14); begun++; open[name]++ }
        /^\[       OK \] /                    { name = substr($0, 14); if (open[name] > 0) { open[name]--; ok++ } }
        /^\[  SKIPPED \] / && !/test\(s\)/    { name = substr($0, 14); if (open[name] > 0) { open[name]--; skip++ } }
        END {
            for (name in open) if (open[name] > 0) { bad++; list = list "\n" name }
            if (announced > begun) { bad += announced - begun; list = list "\n" announced - begun " that did not begin" }
            if (!announced) { bad++; list = list "\nno test was announced" }
            printf "%d %d %d%s\n", ok, bad, skip, list
        }' "$1"
}

# The last line that counts, of a script.
count_line() {
    local line
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$1" | tail -n 1)
    [ -n "$line" ] || { printf '0 1 0\nno line that counts\n'; return; }
    # shellcheck disable=SC2086
    set -- ${line//,/}
    echo "$1 $3 ${5:-0}"
}

# The processes that a job has left behind, known by the TMPDIR that it gave them. What has been told to end gets
# two seconds for it; the rest is ended here, and named.
leftovers() {
    local file pid line
    grep -lzsxF "TMPDIR=$scratch/$1.tmp" /proc/[0-9]*/environ 2>/dev/null | while read -r file; do
        pid=${file//[!0-9]/}
        timeout 2 tail -s 0.05 --pid="$pid" -f /dev/null && continue
        line=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")
        [ -n "$line" ] || continue # a zombie
        echo "left behind: process $pid: $line"
        kill -KILL "$pid" 2>/dev/null
    done
}

# What a cmocka test printed before it skipped; in scripts the lines that speak of skipping.
skip_reasons() {
    if [ "$1" = cmocka ]; then
        awk '/^\[ RUN      \] /            { open = 1; said = ""; next }
             /^\[  SKIPPED \] / && open    { print "       " $0 (said ? ":" said : " (gave no reason)"); open = 0 }
             /^\[       OK \] |^\[  FAILED  \] / { open = 0 }
                                          { said = said " " $0 }' "$2"
    else
        grep -i skip "$2" | grep -vE '^[0-9]+ passed' | sed 's/^/       /'
    fi
}

# report KIND NAME STATUS OUTPUT SECONDS LEFTOVERS
report() {
    local kind=$1 name=$2 status=$3 out=$4 seconds=$5 left=$6 counts bad_names p f s what=ok
    if [ "$kind" = cmocka ]; then counts=$(count_cmocka "$out"); else counts=$(count_line "$out"); fi
    bad_names=$(sed 1d <<<"$counts")
    read -r p f s <<<"$counts"
    [ "$status" -eq 0 ] && [ -z "$left" ] || [ "$f" -gt 0 ] || f=1
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    [ "$f" -eq 0 ] || what=FAIL
    printf '%-4s %-28s %4d passed' "$what" "$name" "$p"
    [ "$f" -eq 0 ] || printf ', %d failed' "$f"
    [ "$s" -eq 0 ] || printf ', %d skipped' "$s"
    printf '  %s s\n' "$seconds"
    [ "$s" -eq 0 ] || skip_reasons "$kind" "$out"
    if [ "$f" -gt 0 ]; then
        case $status in
        124 | 137) echo "       stopped after $timeout_s s" ;;
        *) echo "       status $status" ;;
        esac
        [ -z "$bad_names" ] || while read -r name; do echo "       not passed: $name"; done <<<"$bad_names"
        [ -z "$left" ] || echo "       $left"
        tail -n 120 "$out" | sed 's/^/     | /'
    fi
}

# ---- what there is to run: those that wait first, so that the two lanes end together ----
kinds=() names=() commands=()
wanted() { # NAME
    local pattern
    for pattern in "${patterns[@]}"; do
        # shellcheck disable=SC2053
        [[ $1 != $pattern ]] || return 0
    done
    [ ${#patterns[@]} -eq 0 ]
}
add() { ! wanted "$2" || { kinds+=("$1") names+=("$2") commands+=("$3"); }; }
in_tests() { # a file's path below tests/, without its ending
    local name=${1#tests/}
    echo "${name%.*}"
}
shopt -s nullglob
for script in tests/*/test_*.py; do add script "$(in_tests "$script")" "python3 $script"; done
for script in tests/test_*.sh; do add script "$(in_tests "$script")" "bash $script"; done
for source in tests/sim/test_*.c tests/test_*.c; do
    add cmocka "$(in_tests "$source")" "$build/tests/$(in_tests "$source")"
done
[ ! -e scripts/check-vectors.sh ] || add script check-vectors "bash scripts/check-vectors.sh"
add script lint "bash scripts/lint.sh $build"
if [ ${#names[@]} -eq 0 ]; then
    echo "no test matches ${patterns[*]}; the names are those in the output of a whole run, like 'test_seal' or 'sim/*'" >&2
    exit 2
fi

# ---- run ----
declare -A index_of
collect() { # waits for one job to end
    local pid status i began ended
    wait -n -p pid "${running[@]}" 2>/dev/null # bash has a word to say about aborted jobs, we say it below
    status=$?
    ended=$(date +%s%N)
    i=${index_of[$pid]}
    read -r began <"$scratch/$i.began"
    local left=() p
    for p in "${running[@]}"; do [ "$p" = "$pid" ] || left+=("$p"); done
    running=("${left[@]}")
    report "${kinds[i]}" "${names[i]}" "$status" "$scratch/$i.out" "$(((ended - began) / 1000000000)).$(((ended - began) / 100000000 % 10))" \
        "$(leftovers "$i")"
}

for i in "${!names[@]}"; do
    [ ${#running[@]} -lt "$jobs_max" ] || collect
    mkdir "$scratch/$i.tmp"
    date +%s%N >"$scratch/$i.began"
    # SIGABRT: python then says where it was.
    # shellcheck disable=SC2086
    TMPDIR=$scratch/$i.tmp timeout --signal=ABRT --kill-after=5 "$timeout_s" ${commands[i]} \
        >"$scratch/$i.out" 2>&1 </dev/null &
    index_of[$!]=$i
    running+=($!)
done
while [ ${#running[@]} -gt 0 ]; do collect; done

if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
