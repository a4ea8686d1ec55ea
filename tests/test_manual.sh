#!/bin/bash
# No option is missing anywhere: what the programs' tables of options have stands in --help, in the manual page, in the
# completions of three shells, and (the server's) in docs/operating.md; with a value exactly where it takes one. The
# manual pages are right for mandoc, and --help fits a terminal. P2P_BUILD names the build folder.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${P2P_BUILD:-build}
. tests/checks.sh
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

# ---- each of these prints "--name" or "--name=" (takes a value), in order ----
# shellcheck disable=SC2016
table() { # --probe is between the two programs
    local folder=${1#p2p-}
    [ "$folder" != client-gtk ] || folder=gui
    sed -nE 's/.*\{"([a-z-]+)", (no|required)_argument,.*/--\1 \2/p' "src/$folder/options.c" |
        sed '/^--probe /d; s/ no//; s/ required/=/'
}
help_of() {
    "$build/$1" --help | grep -E '^  --' |
        sed -E 's/^  ((--[a-z-]+)(, --[a-z-]+)*( [A-Za-z:|[]+[^ ]*)?).*/\1/; s/, /\n/g' | sed -E 's/ .+/=/'
}
manual() { # the options' list, not the synopsis
    sed -nE 's/^\.It Fl -([a-z-]+)( Ar| Cm)?.*/--\1\2/p' man/"$1".[18] | sed -E 's/ (Ar|Cm)$/=/'
}
bash_words() { grep -oE -- '--[a-z][a-z-]*[a-z]' "completions/bash/$1"; }
zsh_specs() { sed -nE "s/^ +['\"](\([^)]*\)|\*)?(--[a-z-]+)\[[^]]*\](:?).*/\2\3/p" "completions/zsh/_$1" | sed 's/:$/=/'; }
fish_specs() { sed -nE "s/^complete -c $1 -l ([a-z-]+)( -[rx])?.*/--\1\2/p" "completions/fish/$1.fish" | sed -E 's/ -[rx]$/=/'; }
operating() { sed -n '/^## Options/,/^## Fire/p' docs/operating.md | sed -nE 's/^\| `(--[a-z-]+)( [A-Z])?.*/\1\2/p' | sed -E 's/ [A-Z]$/=/'; }

same() { # PROGRAM COMMAND: it has exactly the options of the table
    local expected found least=10
    [ "$1" != p2p-client-gtk ] || least=9
    expected=$(table "$1" | sort)
    found=$("$2" "$1" | sort -u)
    [ "$(wc -l <<<"$expected")" -ge $least ] || { echo "the table of $1 cannot be read any more"; return 1; }
    diff <(echo "$expected") <(echo "$found") | sed -n 's/^</missing:/p; s/^>/too much:/p' | grep . && return 1
    return 0
}
names_only() { table "$1" | tr -d =; }
same_names() {
    diff <(names_only "$1" | sort) <("$2" "$1" | sort -u) | sed -n 's/^</missing:/p; s/^>/too much:/p' | grep . && return 1
    return 0
}
# Every option that the server has a line for; --version and --help go without saying.
same_in_operating() {
    diff <(table p2p-server | grep -vE '^--(version|help)$' | sort) <(operating | sort -u) |
        sed -n 's/^</missing:/p; s/^>/too much:/p' | grep . && return 1
    return 0
}
# With a value behind it an option completes that and no other option.
bash_values() {
    local option
    for option in $(table "$1" | sed -n 's/=$//p'); do
        grep -qE "^ +(.* \| )?$option( \| .*)?\)$" "completions/bash/$1" || { echo "no case for $option"; return 1; }
    done
}
fits() {
    "$build/$1" --help | awk -v program="$1" '
        length > 80 { print "line " NR " of " program " --help has " length " columns"; bad = 1 }
        END { if (NR > 24) { print program " --help has " NR " lines"; bad = 1 } exit bad }'
}
shows_an_example() { "$build/$1" --help | grep -E "^  (.*\| )?$1 --" ; }

for program in p2p-client p2p-client-gtk p2p-server; do
    check "$program: manual page" same $program manual
    check "$program: bash" same_names $program bash_words
    check "$program: bash, values" bash_values $program
    check "$program: zsh" same $program zsh_specs
    check "$program: fish" same $program fish_specs
done
for program in p2p-client p2p-server; do
    check "$program: --help" same $program help_of
    check "$program: --help fits a terminal" fits $program
    check "$program: --help has an example" shows_an_example $program
done
check "p2p-server: docs/operating.md" same_in_operating

# ---- the window's keys, the console's commands, and the codes of warnings ----
console_commands() {
    diff <(sed -nE 's/^ +"\/([a-z]+) .*",$/\1/p' src/client/console.c | sort) \
        <(sed -nE 's/^\.It Ic \/([a-z]+).*/\1/p' man/p2p-client.1 | grep -vx help | sort)
}
codes() { # in src/, as the manual page has them
    diff <({ grep -hoE '"(weak|wrong|too|room|server|bad|protocol)-[a-z-]+"' src/peer/*.c src/client/*.c | tr -d '"' |
        grep -xE 'weak-keyword|wrong-keyword|too-many-strangers|room-full|server-(unreachable|busy)|bad-command|protocol-error'; } | sort -u) \
        <(sed -n '/^\.Sh DIAGNOSTICS/,/^\.Sh SEE/s/^\.It Li \(.*\)/\1/p' man/p2p-client.1 | sort)
}
window_keys() { # each has a line in the page
    local keys
    keys=$(sed -n '/^\.Sh KEYS/,/^\.Sh ENV/p' man/p2p-client-gtk.1)
    grep -oP '"title">\K[^<]+(?=</property><property name="accelerator")' src/gui/data/shortcuts.ui |
        while read -r title; do grep -qE "^$title( |:|\.|$)" <<<"$keys" || echo "missing: $title"; done | grep . && return 1
    return 0
}
check "the window's keys in its manual page" window_keys
check "the console's commands in the manual page" console_commands
check "codes in the manual page" codes

# ---- make help ----
plain_make() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u TIME make --no-print-directory "$@"; }
soak_lasts() { # as long as it says
    local seconds
    seconds=$(plain_make help | sed -nE 's/^make soak .* TIME=([0-9]+) .*/\1/p')
    [ -n "$seconds" ] && plain_make -n soak 2>/dev/null | grep -F -- "soak.py --seconds $seconds " ||
        { echo "not $seconds s"; return 1; }
}
check "make help: soak" soak_lasts

# ---- the pages themselves ----
if command -v mandoc >/dev/null; then
    for page in man/*.[1-9]; do check "mandoc: $page" mandoc -Tlint -Wwarning "$page"; done
else
    skip "no mandoc here"
fi

# All the words of docs/protocol.md are in p2p-protocol(7); only tables are in another order.
protocol_words() {
    local words='s/[^[:alnum:]]+/\n/g'
    diff <(sed -E -e 1d -e 's/^!\[//; s/^[0-9]+\. / /' docs/protocol.md | sed -E "$words" | grep . | sort) \
        <(mandoc -Tutf8 "$folder/p2p-protocol.7" | col -bx | sed '1,/^DESCRIPTION$/d; /^SEE ALSO$/,$d' |
            sed -E 's/^ +[0-9]+\. / /' | sed -E "$words" | grep . | sort)
}
if command -v mandoc >/dev/null && command -v lowdown >/dev/null; then
    scripts/protocol-man.sh 0 2026-01-01 >"$folder/p2p-protocol.7"
    check "mandoc: p2p-protocol.7" mandoc -Tlint -Wwarning "$folder/p2p-protocol.7"
    check "p2p-protocol.7 has every word" protocol_words
else
    skip "no mandoc or lowdown here"
fi

finish
