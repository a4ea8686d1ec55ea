#!/bin/bash
# What the compiler does not check. usage: scripts/lint.sh [BUILD [CHECK]...]
# BUILD is where the objects of the pure code are (default: build). Checks, each counted as one test:
#
#   layers   who may include whom; dependencies point one way: wire <- peer <- client, wire <- server, wire <- gui,
#            peer and net <- loop
#   purity   pure objects need no symbol of sockets, clocks, heap, entropy, streams or events, and keep no state
#   format   .clang-format, on the .c files (headers hold tables that are aligned by hand); if clang-format is here
#   sizes    no file over 700 lines, no function over 120
#   words    nothing left "to do later" in the tree
#   cppcheck errors only; if cppcheck is here
#   clang    compiles it without a warning, too (all but the window); if clang is here
#
# The last line is "N passed, N failed[, N skipped]".
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:-build}
shift $(($# > 0 ? 1 : 0))
checks=("$@")
[ ${#checks[@]} -gt 0 ] || checks=(layers purity format sizes words cppcheck clang)
export LC_ALL=C.UTF-8
shopt -s nullglob globstar

FILE_LINES_MAX=700
FUNCTION_LINES_MAX=120

# Each check prints what is wrong and returns 0, 1, or 2 with the reason why it could not be made.

# ---- layers ----
# May FILE include "INCLUDED"? Headers of libraries are another matter, see below.
may_include() {
    local file=$1 included=$2
    case $file in
    src/wire/codec.h) [[ $included == wire/* ]] ;;
    src/wire/codec* | src/wire/wire_check.c) [[ $included == wire/* || $included == p2p.pb-c.h ]] ;;
    src/wire/*) [[ $included == wire/* ]] ;;
    src/peer/*) [[ $included == wire/* || $included == peer/* ]] ;;
    src/server/core*) [[ $included == wire/* || $included == server/core* ]] ;;
    src/net/*) [[ $included == wire/* || $included == net/* ]] ;;
    src/loop/*) [[ $included == wire/* || $included == peer/engine.h || $included == net/* || $included == loop/* ]] ;;
    src/server/*) [[ $included == wire/* || $included == net/* || $included == server/* ]] ;;
    src/client/*) [[ $included == wire/* || $included == peer/* || $included == net/* || $included == loop/tell.h || $included == client/* ]] ;;
    # A process of its own beside the client: of it only what makes foreign text fit to be shown.
    src/gui/*) [[ $included == gui/* || $included == client/display.h || $included == client/buffer.h ||
        $included == wire/keyword.h || $included == wire/limits.h || $included == wire/text.h ]] ;;
    *) false ;; # a new folder needs a line here
    esac
}

# What a pure file may include of the system: no header that could bring a socket or a clock.
may_include_system() {
    local file=$1 included=$2
    case $file in
    src/gui/model* | src/gui/sentences*) # known without GTK
        case $included in stdbool.h | stddef.h | stdint.h | stdio.h | stdlib.h | string.h | jansson.h) return 0 ;; esac
        return 1
        ;;
    src/wire/* | src/peer/* | src/server/core*) ;;
    *) return 0 ;;
    esac
    case $included in
    assert.h | inttypes.h | limits.h | stdalign.h | stdarg.h | stdbool.h | stddef.h | stdint.h | stdio.h | string.h) ;;
    sodium.h) ;;
    arpa/inet.h) [[ $file == src/wire/addr.c ]] ;; # for inet_pton and inet_ntop, which only know text
    utf8proc.h | stdlib.h) [[ $file == src/wire/keyword*.c ]] ;;
    protobuf-c/protobuf-c.h) [[ $file == src/wire/codec*.c ]] ;;
    *) false ;;
    esac
}

check_layers() {
    local file line included bad=0
    while IFS=: read -r file line included; do
        if [[ $included == \"* ]]; then
            may_include "$file" "${included:1:-1}" && continue
        else
            may_include_system "$file" "${included:1:-1}" && continue
        fi
        echo "$file:$line: may not include $included"
        bad=1
    done < <(grep -rnoP --include='*.[ch]' '^\s*#\s*include\s*\K["<][^">]+[">]' src)
    return $bad
}

# ---- purity ----
# What pure code may need from outside, as "object symbol": the compilers' own first, then what only some may.
allowed_needs=(
    ' (_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__assert_fail|__(asan|ubsan|sanitizer|lsan)_.*)$'
    ' (__)?(memcpy|memset|memmove|snprintf|vsnprintf|strncpy|explicit_bzero)(_chk)?$'
    ' (memcmp|memchr|bcmp|strlen|strnlen|strcmp|strncmp|strchr)$'
    ' sodium_(memzero|memcmp|is_zero|increment|compare|add)$'
    ' crypto_core_ristretto255_(from_hash|is_valid_point|add|sub|scalar_(reduce|add|mul|sub|negate|invert))$'
    ' crypto_scalarmult_ristretto255(_base)?$'
    ' crypto_(hash_sha(256|512)|generichash|auth_hmacsha512)(_init|_update|_final)?$'
    ' crypto_(verify_(16|32|64)|kdf_derive_from_key|shorthash(_siphashx24)?)$'
    ' crypto_(aead|stream)_x?chacha20(poly1305)?(_ietf)?(_(encrypt|decrypt|xor|xor_ic|ext|ext_ic))?(_detached)?$'
    '/src/wire/(codec[a-z_]*|wire_check)\.o (protobuf_c_|p2p__v1__)'
    '/src/wire/keyword[a-z_]*\.o (utf8proc_[a-z0-9_]+|free)$'
    '/src/wire/addr\.o inet_(pton|ntop)$'
)

# check_needs OBJECTS... -- PROVIDERS...: what the objects need is defined by one another, by the providers, or allowed.
check_needs() {
    local objects=() found
    while [ "$1" != -- ]; do objects+=("$1") && shift; done
    shift
    [ ${#objects[@]} -gt 0 ] || return 0
    nm -A -P --defined-only "${objects[@]}" "$@" | awk '{ print $2 }' >"$scratch"
    found=$(nm -A -P -u "${objects[@]}" |
        awk -v defined="$scratch" '
            BEGIN { while ((getline symbol <defined) > 0) have[symbol] = 1 }
            { sub(/:$/, "", $1); if (!($2 in have)) print $1, $2 }' |
        grep -vE -f <(printf '%s\n' "${allowed_needs[@]}") | sed 's/ / needs /')
    [ -z "$found" ] || { echo "$found"; return 1; }
}

# Variables that a program could change: in .data or .bss. Tables of pointers (.data.rel.ro) are constant.
check_stateless() {
    local bad=0 found
    found=$(objdump -t "$@" | awk '
        /file format/ { object = $1; sub(/:$/, "", object) }
        / O / { for (i = 1; i < NF; i++)
                    if ($i ~ /^\.(data|bss|tdata|tbss)/ && $i !~ /^\.data\.rel\.ro/ && $NF !~ /^__?(asan|ubsan)|^\.L|^\*\./)
                        print object ": keeps state in " $NF }')
    [ -z "$found" ] || { echo "$found"; bad=1; }
    return $bad
}

objects_of() { # the objects of the given sources; complains about one that is not there
    local source object
    for source; do
        object=$build/${source%.c}.o
        if [ -e "$object" ]; then echo "$object"; else echo "$object: not built" >&2; fi
    done
}

check_purity() {
    local wire peer core missing bad=0
    missing=$({ objects_of src/wire/*.c src/peer/*.c src/server/core*.c >/dev/null; } 2>&1)
    [ -z "$missing" ] || { echo "$missing"; return 1; }
    mapfile -t wire < <(objects_of src/wire/*.c)
    mapfile -t peer < <(objects_of src/peer/*.c)
    mapfile -t core < <(objects_of src/server/core*.c)
    check_needs "${wire[@]}" -- || bad=1
    check_needs "${peer[@]}" -- "${wire[@]}" || bad=1
    check_needs "${core[@]}" -- "${wire[@]}" || bad=1
    # Sanitizers put their own descriptions into .data, so this is for the plain build.
    nm "${wire[@]}" "${peer[@]}" "${core[@]}" 2>/dev/null | grep -qE '__(asan|ubsan)_' && return $bad
    check_stateless "${wire[@]}" "${peer[@]}" "${core[@]}" || bad=1
    return $bad
}

# ---- format, sizes, words, cppcheck, clang ----
check_format() {
    command -v clang-format >/dev/null || { echo "no clang-format here"; return 2; }
    local files=(src/**/*.c tests/**/*.c fuzz/**/*.c bench/*.c examples/*.c) out
    [ ${#files[@]} -gt 0 ] || return 0
    out=$(clang-format --dry-run "${files[@]}" 2>&1 | grep -F 'warning: ' | cut -d: -f1 | sort | uniq -c)
    [ -z "$out" ] || { echo "lines that clang-format would change (make format):"; echo "$out"; return 1; }
}

check_sizes() {
    local files=(src/**/*.[ch])
    [ ${#files[@]} -gt 0 ] || return 0
    awk -v file_max=$FILE_LINES_MAX -v function_max=$FUNCTION_LINES_MAX '
        FNR == 1 { if (file) end_file(); file = FILENAME; opened = 0 }
        { lines = FNR }
        # Linux braces: a function body, and nothing else, opens and closes with a brace alone in column one.
        /^\{$/ { opened = FNR; name = before }
        /^\}$/ && opened {
            if (FNR - opened + 1 > function_max) { printf "%s:%d: %d lines: %s\n", FILENAME, opened, FNR - opened + 1, name; bad = 1 }
            opened = 0
        }
        /^[a-zA-Z_]/ { before = $0 }
        function end_file() { if (lines > file_max) { printf "%s: %d lines\n", file, lines; bad = 1 } }
        END { if (file) end_file(); exit bad }' "${files[@]}"
}

tracked() { # NUL-separated; without git, everything that is not hidden or built
    git ls-files -z 2>/dev/null || find . -type f -not -path '*/.*' -not -path './build/*' -print0
}

check_words() {
    local found
    found=$(tracked | grep -zvE '(^|/)(lint\.sh|test_lint\.sh)$' | xargs -0r grep -nIwE 'TODO|FIXME|XXX' /dev/null --)
    [ -z "$found" ] || { echo "$found"; return 1; }
}

check_cppcheck() {
    command -v cppcheck >/dev/null || { echo "no cppcheck here"; return 2; }
    # uninitvar: misled by pointers in arrays; the compilers and valgrind look for those.
    cppcheck --suppress=uninitvar --quiet -j2 --std=c11 --error-exitcode=1 --inline-suppr -Isrc --template='{file}:{line}: {message}' src 2>&1
}

check_clang() {
    command -v clang >/dev/null || { echo "no clang here"; return 2; }
    local out
    out=$(clang -std=c11 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra -Werror -DP2P_VERSION='"0"' -Isrc -I"$build/gen" \
        src/{wire,peer,server,net,loop,client}/*.c 2>&1) && return
    grep error: <<<"$out"
    return 1
}

# ---- run ----
scratch=$(mktemp) || exit 1
trap 'rm -f "$scratch"' EXIT
passed=0 failed=0 skipped=0
for check in "${checks[@]}"; do
    declare -F "check_$check" >/dev/null || { echo "lint: no check called $check" >&2; exit 2; }
    out=$("check_$check")
    case $? in
    0) passed=$((passed + 1)) && echo "ok   $check" ;;
    2) skipped=$((skipped + 1)) && echo "skip $check: $out" ;;
    *)
        failed=$((failed + 1))
        echo "FAIL $check"
        awk '{ print "     " $0 }' <<<"$out"
        ;;
    esac
done
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
