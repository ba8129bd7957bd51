#!/bin/bash
# Size of the program and resident memory of an idle server, against the budgets of docs/architecture.md.
#
#   tools/size.sh target/release/weir
#
# Exit code 1 over budget.
set -eu

[ $# -eq 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
program=$1
program_budget=$((4 * 1024)) memory_budget=$((5 * 1024)) # KiB

program_size=$((($(stat -c %s "$program") + 1023) / 1024))

# A free port of the loopback interface: the server logs which.
log=$(mktemp)
"$program" --listen 127.0.0.1:0 2>"$log" &
server=$!
trap 'kill $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -f "$log"' EXIT
for _ in $(seq 100); do
    grep -q "listening on" "$log" && break
    kill -0 $server 2>/dev/null || { cat "$log" >&2; exit 1; }
    sleep 0.1
done
grep -q "listening on" "$log" || { echo "the server does not listen after 10 s" >&2; exit 1; }
sleep 0.5 # until its threads wait
memory=$(awk '/^VmRSS:/ { print $2 }' /proc/$server/status)

status=0
report() { # what, KiB, budget in KiB
    local verdict=within
    [ "$2" -le "$3" ] || { verdict=OVER; status=1; }
    printf '%-16s %6d KiB, %s the budget of %d KiB\n' "$1" "$2" "$verdict" "$3"
}
report "program" "$program_size" "$program_budget"
report "idle, resident" "$memory" "$memory_budget"
exit $status
