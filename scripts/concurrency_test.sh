#!/bin/sh
# Many worker processes on one store: each job runs exactly once.
#   sh scripts/concurrency_test.sh [JOBS] [PROCESSES] [WORKERS EACH]
# QUEUECTL is the command to try, if it is not this source.
set -u

jobs=${1:-20000}
processes=${2:-8}
each=${3:-1}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
folder=$(mktemp -d)
store=$folder/queue.db
pids=

queuectl() {
  if [ -n "${QUEUECTL:-}" ]; then
    # shellcheck disable=SC2086 # a command with its arguments
    $QUEUECTL --db "$store" "$@"
  else
    "${DENO:-deno}" run -A --no-prompt --v8-flags=--no-lazy "$root/main.ts" --db "$store" "$@"
  fi
}

finish() {
  # Workers that still run here were interrupted.
  [ -z "$pids" ] || queuectl worker stop --force >/dev/null 2>&1
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
cd "$folder" || exit 1

awk -v jobs="$jobs" 'BEGIN {
  for (i = 1; i <= jobs; i++) {
    printf "{\"id\":\"job-%d\",\"command\":\"echo $QUEUECTL_JOB_ID >>ran\",\"max_retries\":1}\n", i
  }
}' >jobs.jsonl
enqueued=$(queuectl enqueue @jobs.jsonl | wc -l)
echo "$((enqueued)) jobs for $processes worker processes with $each workers each"

began=$(date +%s)
i=0
while [ "$i" -lt "$processes" ]; do
  i=$((i + 1))
  queuectl worker start --drain --quiet --count "$each" &
  pids="$pids $!"
done
code=0
for pid in $pids; do wait "$pid" || code=1; done
pids=
seconds=$(($(date +%s) - began))

touch ran
lines=$(wc -l <ran)
distinct=$(sort -u ran | wc -l)
completed=$(queuectl status --json | sed 's/.*"completed":\([0-9]*\).*/\1/')
echo "$((lines)) lines, $((distinct)) of them distinct, $completed jobs completed, in $seconds s"
[ "$code" -eq 0 ] || echo "not ok - a worker process did not end with 0"
if [ "$code" -eq 0 ] && [ "$lines" -eq "$jobs" ] && [ "$distinct" -eq "$jobs" ] &&
  [ "$completed" -eq "$jobs" ]; then
  echo "ok - every job ran exactly once"
else
  echo "not ok - expected $jobs jobs to run exactly once"
  exit 1
fi
