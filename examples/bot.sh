#!/bin/bash
# Tells whoever writes "uptime" how this machine is; all else goes by.    ./bot.sh --server HOST --keyword-file FILE
# In a pipe p2p-client takes a message a line, and gives one as `NAME: TEXT`. P2P_CLIENT: where it is, if not in the PATH.
coproc CLIENT { exec "${P2P_CLIENT:-p2p-client}" --console --name bot "$@"; }
exec {messages}<&"${CLIENT[0]}" {answers}>&"${CLIENT[1]}"
client=$CLIENT_PID
trap 'kill "$client"; wait "$client"' EXIT # it leaves, and says so
trap exit INT TERM
while IFS= read -ru "$messages" line; do
    case $line in
    *': uptime') uptime >&"$answers" ;;
    esac
done
trap - EXIT
wait "$client" # its status is ours
