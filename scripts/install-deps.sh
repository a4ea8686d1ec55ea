#!/bin/bash
# Installs what is missing, and nothing else, on Debian and Ubuntu.
# usage: scripts/install-deps.sh [GROUP]...     (no GROUP: all of them)
# Quick and silent when nothing is missing. Status 1 when something is missing and cannot be installed.
set -u

# package             how it is noticed       group   wanted by
table='
make                  command:make            build   everything
gcc                   command:gcc             build   the compiler; nm for scripts/lint.sh
libc6-dev             header:stdio.h          build   the compiler
pkg-config            command:pkg-config      build   Makefile
protobuf-c-compiler   command:protoc-c        build   proto/p2p.proto
libprotobuf-c-dev     module:libprotobuf-c    build   src/wire/codec.c
libsodium-dev         module:libsodium        build   src/wire: CPace, sealing, hashes
libutf8proc-dev       module:libutf8proc      build   src/wire/keyword.c
libevent-dev          module:libevent_core    build   both shells: event loop
libmicrohttpd-dev     module:libmicrohttpd    build   src/server: --metrics
libseccomp-dev        module:libseccomp       build   src/server/confine.c: system calls
libedit-dev           module:libedit          build   src/client: line editing
libjansson-dev        module:jansson          build   src/client: --json
python3               command:python3         run     scripts/demo.py; tests/blackbox
iproute2              command:ip              run     testbed/netns
iptables              command:iptables        run     testbed/netns
conntrack             command:conntrack       testbed testbed/netns: a router that forgets
ipset                 command:ipset           testbed testbed/netns: address-restricted filtering
libcmocka-dev         module:cmocka           test    tests/test_*.c
protobuf-compiler     command:protoc          test    scripts/check-vectors.sh
tmux                  command:tmux            test    tests/blackbox: the console on a terminal
valgrind              command:valgrind        test    the real binaries without instrumentation
mandoc                command:mandoc          test    man/
lowdown               command:lowdown         test    p2p-protocol(7), which make install leaves out without it
bash-completion       file:/usr/share/bash-completion/bash_completion test completions/bash
libgtk-4-dev          module:gtk4             gui     src/gui
libadwaita-1-dev      module:libadwaita-1     gui     src/gui
libqrencode-dev       module:libqrencode      gui     src/gui/invite.c
librsvg2-common       file:/usr/share/thumbnailers/librsvg.thumbnailer gui src/gui: its icon
xvfb                  command:Xvfb            gui     tests/gui: a screen
xdotool               command:xdotool         gui     tests/gui: a keyboard
dbus                  command:dbus-daemon     gui     tests/gui: a session
at-spi2-core          file:/usr/share/dbus-1/services/org.a11y.Bus.service gui tests/gui: what a screen reader sees
python3-gi            file:/usr/lib/python3/dist-packages/gi/__init__.py gui tests/gui
gir1.2-atspi-2.0      file:/usr/lib/*/girepository-1.0/Atspi-2.0.typelib gui tests/gui
imagemagick           command:convert         gui     tests/gui: is it dark?
clang                 command:clang           clang   CC=clang
libclang-rt-dev       clang-runtime           clang   CC=clang SAN=1
clang                 command:clang           fuzz    fuzz/, make coverage
libclang-rt-dev       clang-runtime           fuzz    libFuzzer, sanitizers, profiles
afl++                 command:afl-fuzz        fuzz    make fuzz ENGINE=afl
llvm                  command:llvm-cov        fuzz    make coverage
python3               command:python3         fuzz    fuzz/pack.py, fuzz/dictionary.py
g++                   command:g++             fuzz    fuzz/google.cc
protobuf-compiler     command:protoc          fuzz    fuzz/google.cc
libprotobuf-dev       module:protobuf         fuzz    fuzz/google.cc
'

noticed() {
    case $1 in
    command:*) command -v "${1#*:}" >/dev/null ;;
    header:*) [ -e "/usr/include/${1#*:}" ] ;;
    file:*) compgen -G "${1#*:}" >/dev/null ;;
    module:*) pkg-config --exists "${1#*:}" 2>/dev/null ;;
    clang-runtime) compgen -G '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.asan-*.a' >/dev/null ;;
    *) echo "install-deps: bad row: $1" >&2; exit 1 ;;
    esac
}

# Leaves the packages that the groups ask for and that are not there in `missing`.
find_missing() {
    local package how group
    missing=()
    while read -r package how group _; do
        [ -n "$package" ] || continue
        case " $wanted " in *" $group "* | '  ') noticed "$how" || missing+=("$package") ;; esac
    done <<<"$table"
}

cannot() {
    echo "install-deps: $1; please install: ${missing[*]}" >&2
    exit 1
}

# sbin is not in everybody's PATH, and iptables and ip live there.
PATH=$PATH:/usr/sbin:/sbin
wanted=$*
find_missing
[ ${#missing[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null || cannot "no apt-get here"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || cannot "neither root nor sudo"
    as_root=(sudo)
    # With nobody there to type a password sudo must not wait for one.
    [ -t 0 ] || as_root=(sudo -n)
    "${as_root[@]}" true || cannot "sudo does not let us"
fi

echo "install-deps: installing ${missing[*]}" >&2
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
if ! "${apt[@]}" update >"$log" 2>&1 </dev/null ||
    ! "${apt[@]}" install --no-install-recommends "${missing[@]}" >>"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    cannot "apt-get failed"
fi
find_missing
[ ${#missing[@]} -eq 0 ] || cannot "installed, but still not found"
