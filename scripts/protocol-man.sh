#!/bin/bash
# p2p-protocol(7) out of docs/protocol.md, with lowdown. usage: scripts/protocol-man.sh VERSION DATE
set -euo pipefail
cd "$(dirname "$0")/.."
cat <<END
.\\" generated from docs/protocol.md
.TH P2P-PROTOCOL 7 "$2" "p2p $1"
.SH NAME
p2p-protocol \\- how p2p-client and p2p-server talk
.SH DESCRIPTION
END
# Its own title goes; a picture becomes a link to it. lowdown is kept from changing what stands there, as in lv_cat and 2^b. mandoc knows neither \fC nor
# conditions of that kind, and wants no paragraph where a section begins one.
sed -e '1d' -e 's/^##/#/' -e 's/^!\[/[/' docs/protocol.md |
    lowdown -Tman --parse-no-intraemph --parse-no-super --out-no-smarty |
    sed -e 's/\\fC/\\f(CW/g' -e '/^\.if [nt] *\\$/d' -e '/^\.sp -/d' |
    awk 'NR == 1 || heading == NR - 1 { if (/^\.[PL]P$/) next } /^\.S[HS]$/ { heading = NR + 1 } { print }'
cat <<END
.SH SEE ALSO
.BR p2p-client (1),
.BR p2p-server (8)
END
