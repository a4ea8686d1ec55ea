#!/bin/bash
# What `make install` installs of the engine is enough for a program of somebody else: a header, a library, pkg-config's
# file. P2P_BUILD names the build folder, CC the compiler. The examples that are built here run in tests/blackbox.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${P2P_BUILD:-build}
cc=${CC:-gcc}
. tests/checks.sh
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

sanitize=() make_args=(B="$build")
if grep -q __asan_init "$build/p2p-server"; then
    sanitize=(-fsanitize=address,undefined)
    make_args+=(SAN=1)
fi

# Paths in the file are those of the final place; --define-prefix moves them below DESTDIR.
flags() {
    PKG_CONFIG_PATH=$folder/opt/p2p/lib/pkgconfig pkg-config --define-prefix "$@" p2p-peer
}

builds() { # COMPILER... SOURCE PROGRAM
    # shellcheck disable=SC2046
    "${@:1:$#-2}" -Wall -Wextra -Wpedantic -Werror "${sanitize[@]}" -o "${@: -1}" "${@: -2:1}" $(flags --cflags --libs)
}

# From C++, into a shared library (a program, under a sanitizer, which cannot be in one): every function is wanted.
cat >"$folder/all.cc" <<END
#include <p2p.h>
int main() { return 0; }
void (*const all[])() = {
$(scripts/public-header.sh --symbols | sed 's/.* \(.*\)/    (void (*)())\1,/')
};
END
shared() {
    local kind=(-shared -fPIC -Wl,-z,text)
    [ ${#sanitize[@]} -eq 0 ] || kind=()
    # shellcheck disable=SC2046
    ${CXX:-g++} -std=c++11 "${kind[@]}" -Wall -Wextra -Werror -Wno-cast-function-type "${sanitize[@]}" \
        -o "$folder/all.so" "$folder/all.cc" $(flags --cflags --libs --static)
}

hides_the_rest() {
    local seen
    seen=$(nm --defined-only --extern-only "$folder/opt/p2p/lib/libp2p-peer.a" | awk 'NF == 3 { print $3 }' | sort)
    diff <(scripts/public-header.sh --symbols | cut -d' ' -f2 | sort) <(echo "$seen")
}

knows_its_version() {
    [ "$(flags --modversion)" = "$("$build/p2p-client" --version | cut -d' ' -f2)" ] &&
        grep -q "^#define P2P_VERSION \"$(flags --modversion)\"$" "$folder/opt/p2p/include/p2p.h"
}

includes_no_other_header() {
    [ -z "$(find "$folder/opt/p2p/include" -type f ! -name p2p.h)" ] &&
        ! grep -n '#include "' "$folder/opt/p2p/include/p2p.h"
}

leaves_nothing() {
    make -s uninstall "${make_args[@]}" PREFIX=/opt/p2p DESTDIR="$folder" &&
        [ -z "$(find "$folder/opt" ! -type d)" ] || { find "$folder/opt" ! -type d; return 1; }
}

check "make install" make -s install "${make_args[@]}" PREFIX=/opt/p2p DESTDIR="$folder"
check "examples/echo.c with the installed header only" builds "$cc" -std=c11 examples/echo.c "$folder/echo"
check "the program says how it is used" bash -c '"$1" 2>&1 | grep -q "^usage: echo"' - "$folder/echo"
if command -v "${CXX:-g++}" >/dev/null; then check "C++, a shared library, every function" shared; fi
check "no other name is visible" hides_the_rest
check "one version" knows_its_version
check "one header" includes_no_other_header
check "make uninstall" leaves_nothing
finish
