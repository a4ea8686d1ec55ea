#!/bin/bash
# Fuzzes. usage: fuzz/run.sh libfuzzer|afl SECONDS TARGET...     (through: make fuzz)
#
# SECONDS for each target, FUZZ_JOBS at a time (as many as there are cores). What is found out stays in build/fuzz-corpus/TARGET
# and is where the next run begins; `make fuzz-minimise` takes it from there. A finding is a file in build/fuzz-found.
# Each target's line says what was done; the last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit 1
engine=$1 seconds=$2
shift 2
mkdir -p build/fuzz-found build/fuzz-log
jobs_max=${FUZZ_JOBS:-$(nproc 2>/dev/null || echo 1)}

export ASAN_OPTIONS=abort_on_error=1:symbolize=0:detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

dictionary_of() {
    if [ -e "fuzz/$1.dict" ]; then echo "fuzz/$1.dict"; else echo "$2/p2p.dict"; fi
}

size_max_of() {
    case $1 in
    codec | canary) echo 1300 ;;
    text | json | console | options | config) echo 2048 ;;
    *) echo 4096 ;; # scripts
    esac
}

# The corpus of the target, unpacked once.
begin_corpus() {
    local folder=build/fuzz-corpus/$1
    mkdir -p "$folder"
    [ ! -e "fuzz/corpus/$1.pack" ] || fuzz/pack.py unpack "fuzz/corpus/$1.pack" "$folder"
    for regression in fuzz/regressions/"$1"-*; do
        [ ! -e "$regression" ] || cp "$regression" "$folder/"
    done
    [ -n "$(ls "$folder")" ] || printf '\0' >"$folder/empty" # AFL++ wants one
}

run_libfuzzer() {
    local target=$1 log=build/fuzz-log/$1.libfuzzer
    ASAN_OPTIONS=symbolize=1 nice -n 19 fuzz/cpu_time.py "$log.cpu" "build/fuzz-clang/fuzz/$target" -max_total_time="$seconds" -timeout=60 -report_slow_units=60 -rss_limit_mb=3000 \
        -max_len="$(size_max_of "$target")" -dict="$(dictionary_of "$target" build/fuzz-clang)" -print_final_stats=1 \
        -artifact_prefix="build/fuzz-found/$target-" "build/fuzz-corpus/$target" >"$log" 2>&1
    local status=$?
    awk -v target="$target" -v status="$status" -v cpu="$(cat "$log.cpu")" '
        /cov: [0-9]/ { for (i = 1; i < NF; i++) { if ($i == "cov:") cov = $(i + 1); if ($i == "corp:") corpus = $(i + 1) } }
        /^stat::number_of_executed_units/ { runs = $2 }
        /^stat::average_exec_per_sec/ { rate = $2 }
        /Test unit written to/ { found = $NF }
        END {
            sub("/.*", "", corpus)
            printf "%-4s %-8s %10d executions in %5d CPU s, %6d a second, %5d edges, %5d inputs%s\n", status == 0 ? "ok" : "FAIL", target,
                runs, cpu, rate, cov, corpus, found ? ", found " found : status == 0 ? "" : ", status " status }' "$log"
    if [ "$status" -ne 0 ]; then grep -vE '^#|^\s+NEW_FUNC|^###|^"' "$log" | tail -n 60 | sed 's/^/     | /'; fi
    return "$status"
}

run_afl() {
    local target=$1 log=build/fuzz-log/$1.afl out=build/fuzz-afl-out/$1 found=0 file
    rm -rf "$out"
    mkdir -p build/fuzz-afl-out
    FUZZ_TARGET=$target AFL_CUSTOM_MUTATOR_LIBRARY=$PWD/build/fuzz-afl/afl_mutator.so AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 \
        AFL_NO_AFFINITY=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_WARN_INSTABILITY=1 \
        nice -n 19 fuzz/cpu_time.py "$log.cpu" afl-fuzz -i "build/fuzz-corpus/$target" -o "$out" -V "$seconds" -t 5000+ -m none \
        -G "$(size_max_of "$target")" -x "$(dictionary_of "$target" build/fuzz-afl)" -- "build/fuzz-afl/fuzz/$target" >"$log" 2>&1
    local status=$?
    for file in "$out"/default/crashes/id* "$out"/default/hangs/id*; do
        [ -e "$file" ] || continue
        found=$((found + 1))
        cp "$file" "build/fuzz-found/$target-afl-$(sha1sum <"$file" | cut -c1-16)"
    done
    for file in "$out"/default/queue/id*; do # for the next run of any engine: what was not there before
        case $file in
        *,orig:* | *'*') ;;
        *) cp "$file" "build/fuzz-corpus/$target/afl-$(sha1sum <"$file" | cut -c1-40)" ;;
        esac
    done
    [ "$found" -eq 0 ] || status=1
    if [ ! -e "$out/default/fuzzer_stats" ]; then
        echo "FAIL $target: afl-fuzz did not run"
        tail -n 30 "$log" | sed 's/^/     | /'
        return 1
    fi
    awk -v target="$target" -v status="$status" -v found="$found" -v cpu="$(cat "$log.cpu")" '
        $1 == "execs_done" { runs = $3 }
        $1 == "execs_per_sec" { rate = $3 }
        $1 == "edges_found" { edges = $3 }
        $1 == "corpus_count" { corpus = $3 }
        END { printf "%-4s %-8s %10d executions in %5d CPU s, %6d a second, %5d edges, %5d inputs%s\n", status == 0 ? "ok" : "FAIL", target,
              runs, cpu, rate, edges, corpus, found ? ", found " found " in build/fuzz-found" : "" }' "$out/default/fuzzer_stats"
    return "$status"
}

passed=0 failed=0 running=0
collect() {
    if wait -n; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    running=$((running - 1))
}
trap 'kill $(jobs -p) 2>/dev/null' EXIT
for target; do
    [ "$running" -lt "$jobs_max" ] || collect
    begin_corpus "$target"
    "run_$engine" "$target" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do collect; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
