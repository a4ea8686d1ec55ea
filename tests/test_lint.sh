#!/bin/bash
# Can scripts/lint.sh fail? A small clean tree passes; each planted violation is caught, by the check and in the
# file that it belongs to, and nothing else is blamed.
set -u
cd "$(dirname "$0")/.." || exit 1
root=$PWD
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
clean=$scratch/clean tree=$scratch/clean
cc=${CC:-gcc}
. tests/checks.sh

# put FILE LINE...
put() {
    local file=$tree/$1
    shift
    mkdir -p "$(dirname "$file")"
    printf '%s\n' "$@" >"$file"
}

make_clean_tree() {
    mkdir -p "$tree/scripts" "$tree/tests" "$tree/fuzz"
    cp "$root/scripts/lint.sh" "$tree/scripts/"
    cp "$root/.clang-format" "$tree/"
    put src/wire/text.h '#include <stddef.h>' 'size_t text_length(const char *text);'
    put src/wire/text.c '#include "wire/text.h"' '#include <string.h>' \
        'size_t text_length(const char *text)' '{' '    return strlen(text);' '}'
    put src/peer/room.h 'int room_size(void);'
    put src/peer/room.c '#include "peer/room.h"' '#include "wire/text.h"' \
        'static const char *const names[] = {"ann", "bob"};' \
        'int room_size(void)' '{' '    return (int)text_length(names[0]);' '}'
    put src/server/core.h 'int core_count(void);'
    put src/server/core.c '#include "server/core.h"' 'int core_count(void)' '{' '    return 2;' '}'
    put src/net/udp.c '#include <sys/socket.h>' '#include "wire/text.h"' 'int udp_open(void);' \
        'int udp_open(void)' '{' '    return socket(AF_INET, SOCK_DGRAM, 0);' '}'
}

plant_clean_tree() {
    rm -rf "$tree"
    cp -a "$clean" "$tree"
}

compile() { # what is newer than its object
    local source object
    for source in "$tree"/src/*/*.c; do
        object=$tree/build/${source#"$tree"/}
        object=${object%.c}.o
        [ "$source" -nt "$object" ] || continue
        mkdir -p "$(dirname "$object")"
        "$cc" -std=c11 -D_GNU_SOURCE -fPIE -O1 -w -I"$tree/src" -c -o "$object" "$source" || return 1
    done
}

# expect NAME ok|FAIL CHECK [WORD]: the check's verdict on the tree, and, of a failure, that it says WORD.
expect() {
    local name=$1 verdict=$2 check=$3 word=${4:-} out
    out=$(compile 2>&1 && cd / && bash "$tree/scripts/lint.sh" build "$check")
    if grep -q "^$verdict *$check\$" <<<"$out" && { [ -z "$word" ] || grep -qF -- "$word" <<<"$out"; } &&
        [ "$(grep -c '^     ' <<<"$out")" -eq "$([ "$verdict" = ok ] && echo 0 || echo 1)" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $name: wanted '$verdict $check' $word, got:"
        awk '{ print "     " $0 }' <<<"$out"
    fi
    plant_clean_tree
}

append() {
    local file=$tree/$1
    shift
    printf '%s\n' "$@" >>"$file"
}

make_clean_tree
compile || exit 1
cp -a "$clean" "$scratch/tree"
tree=$scratch/tree
for check in layers purity sizes words; do expect "the clean tree" ok $check; done

# ---- layers ----
append src/wire/text.c '#include "peer/room.h"'
expect "wire includes peer" FAIL layers 'src/wire/text.c:7: may not include "peer/room.h"'
append src/peer/room.c '#include "server/core.h"'
expect "peer includes server" FAIL layers 'src/peer/room.c:8'
put src/server/registry.h 'int registry_size(void);'
append src/server/core.c '  #  include "server/registry.h"'
expect "the server's core includes its shell" FAIL layers src/server/core.c
append src/net/udp.c '#include "peer/room.h"'
expect "net includes peer" FAIL layers src/net/udp.c
put src/loop/loop.c '#include "peer/room.h"'
expect "the loop includes the engine's inside" FAIL layers src/loop/loop.c
append src/wire/text.h '#include <time.h>'
expect "a clock's header in pure code" FAIL layers src/wire/text.h
put src/wire/p2p.pb-c.h ''
append src/wire/text.c '#include "p2p.pb-c.h"'
expect "generated code outside of the codec" FAIL layers src/wire/text.c
put src/gui/room.c '#include "peer/room.h"'
expect "the window includes peer" FAIL layers src/gui/room.c
put src/gui/model.h '#include <gtk/gtk.h>'
expect "the window's model includes GTK" FAIL layers src/gui/model.h
put src/extra/new.h '#include "wire/text.h"'
expect "a folder without a rule" FAIL layers src/extra/new.h

# ---- purity ----
append src/peer/room.c 'extern long time(long *);' 'long room_now(void);' 'long room_now(void) { return time(0); }'
expect "pure code reads the clock" FAIL purity 'build/src/peer/room.o needs time'
append src/wire/text.c '#include <stdlib.h>' 'void *text_new(void);' 'void *text_new(void) { return malloc(9); }'
expect "pure code allocates" FAIL purity 'build/src/wire/text.o needs malloc'
append src/server/core.c 'extern void randombytes_buf(void *, unsigned long);' 'void core_draw(char *p);' \
    'void core_draw(char *p) { randombytes_buf(p, 8); }'
expect "pure code draws entropy" FAIL purity 'build/src/server/core.o needs randombytes_buf'
append src/peer/room.c '#include <stdio.h>' 'int room_log(void);' 'int room_log(void) { return puts("hi"); }'
expect "pure code writes to a stream" FAIL purity 'build/src/peer/room.o needs puts'
append src/wire/text.c 'int room_size(void);' 'int text_up(void);' 'int text_up(void) { return room_size(); }'
expect "wire calls up into peer" FAIL purity 'build/src/wire/text.o needs room_size'
append src/peer/room.c 'int room_next(void);' 'int room_next(void) { static int last; return ++last; }'
expect "pure code keeps state" FAIL purity 'build/src/peer/room.o: keeps state in'

# ---- sizes, words ----
append src/wire/text.c 'int text_long(void);' 'int text_long(void)' '{' "$(yes '    ;' | head -n 118)" '}'
expect "a function of 120 lines" ok sizes
append src/wire/text.c 'int text_long(void);' 'int text_long(void)' '{' "$(yes '    ;' | head -n 119)" '}'
expect "a function of 121 lines" FAIL sizes '121 lines: int text_long(void)'
append src/wire/text.c "$(yes '/* */' | head -n 695)"
expect "a file of 701 lines" FAIL sizes 'src/wire/text.c: 701 lines'
append src/net/udp.c '/* FIXME: later */'
expect "a word that does not belong" FAIL words src/net/udp.c:8

# ---- what is only checked where the tool is ----
for tool in clang-format cppcheck clang; do
    command -v $tool >/dev/null || skip "$tool is not installed here"
done
if command -v clang-format >/dev/null; then
    append src/wire/text.c 'int  text_odd( void );'
    out=$(cd / && bash "$tree/scripts/lint.sh" build format)
    if grep -q '^FAIL format$' <<<"$out" && grep -q 'src/wire/text.c$' <<<"$out"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL a line out of shape: $out"
    fi
    plant_clean_tree
fi
if command -v cppcheck >/dev/null; then
    append src/wire/text.c 'int text_over(void);' 'int text_over(void)' '{' '    int a[2] = {0};' '    return a[2];' '}'
    expect "an index out of bounds" FAIL cppcheck src/wire/text.c:11
fi

if command -v clang >/dev/null; then
    append src/wire/text.c 'struct text_in { int a, b; };' 'struct text_out { int c; struct text_in in; };' \
        'struct text_out text_made(void);' 'struct text_out text_made(void)' '{' \
        '    return (struct text_out){.c = 1, .in = {1}};' '}'
    expect "a part left out that clang misses" FAIL clang 'src/wire/text.c:'
fi

finish
