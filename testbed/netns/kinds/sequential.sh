# mapping address-and-port-dependent
# filtering address-and-port-dependent
# ports sequential
# The next port for each new flow. A rule for each port: of n rules, each takes the first of the n packets that it sees,
# and the others see one less. Only the first packet of a flow comes here.
drop_strangers
let_in_answers
count=1024
i=0
while [ $i -lt $count ]; do
    # In pieces: the kernel takes no more from somebody without rights outside.
    {
        echo '*nat'
        end=$((i + 128))
        while [ $i -lt $end ]; do
            echo "-A POSTROUTING -o wan -p udp -m statistic --mode nth --every $((count - i)) --packet 0" \
                "-j SNAT --to-source $public:$((50000 + i))"
            i=$((i + 1))
        done
        echo COMMIT
    } >/run/rules
    "${IPTABLES:-iptables}-restore" --noflush /run/rules
done
masquerade
