#!/bin/sh
# Fuzzes one target for some seconds; prints what libFuzzer did; exit code other than 0 on a finding.
#
#   tools/fuzz/run.sh TARGET SECONDS [libFuzzer options]
#
# Stable Rust and a C++ compiler will do: the coverage passes that `cargo fuzz` switches on are given to LLVM here.
# Begins with seeds/TARGET and keeps what it learns in corpus/TARGET. A finding is written to artifacts/TARGET; give
# the file instead of SECONDS to run it again.
set -eu

[ $# -ge 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
target=$1 what=$2
shift 2
cd "$(dirname "$0")"
[ -f "targets/$target.rs" ] || { echo "no target $target; there are: $(ls targets | sed 's/\.rs$//' | tr '\n' ' ')" >&2; exit 2; }
case $what in
    [0-9]*) ;;
    /*) ;;
    *) what=$OLDPWD/$what ;;
esac

host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="--cfg fuzzing -Cdebug-assertions -Coverflow-checks=yes -Ccodegen-units=1 \
-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTFLAGS
# With --target the flags are for what runs on the target, not for build scripts.
cargo build --release --locked --quiet --target "$host" --bin "$target"
program=target/$host/release/$target
mkdir -p "corpus/$target" "artifacts/$target"

if [ -f "$what" ]; then
    exec "$program" "$what" "$@"
fi
log=artifacts/$target/log
status=0
"$program" -max_total_time="$what" -rss_limit_mb=512 -timeout=5 -print_final_stats=1 \
    -artifact_prefix="artifacts/$target/" "$@" "corpus/$target" "seeds/$target" >"$log" 2>&1 || status=$?
if [ $status -ne 0 ]; then
    cut -c1-2000 "$log"
    echo "$target: FINDING, see above and tools/fuzz/artifacts/$target" >&2
    exit $status
fi
coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
echo "$target: $executions executions in $what s, coverage $coverage, no finding"
[ "${coverage:-0}" -gt 100 ] || { echo "$target: the coverage passes do not work" >&2; exit 1; }
