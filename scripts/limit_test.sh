#!/bin/sh
# A queue with a limit of one, and kill -9 all the time: never two of its jobs run at once, none is stuck.
#   sh scripts/limit_test.sh [JOBS] [PROCESSES] [WORKERS EACH]
# Every second a worker process is killed, in turns the one that runs a job and any one, and another
# one started in its place. QUEUECTL is the command to try, if it is not this source.
set -u

jobs=${1:-200}
processes=${2:-4}
each=${3:-2}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
folder=$(mktemp -d)
store=$folder/queue.db

queuectl() {
  if [ -n "${QUEUECTL:-}" ]; then
    # shellcheck disable=SC2086 # a command with its arguments
    $QUEUECTL --db "$store" "$@"
  else
    "${DENO:-deno}" run -A --no-prompt --v8-flags=--no-lazy "$root/main.ts" --db "$store" "$@"
  fi
}

# In silence, because a shell says of each one that it was killed.
start_worker() { (queuectl worker start --quiet --count "$each" >/dev/null 2>&1 &) 2>/dev/null; }

any_worker() {
  queuectl worker list --json | tr ',' '\n' | sed -n 's/^"pid"://p' |
    awk -v random="$(od -An -N2 -tu2 /dev/urandom)" '{ line[NR] = $0 }
      END { if (NR) print line[random % NR + 1] }'
}

# The worker process that runs a job at this moment, if one is found soon.
busy_worker() {
  tries=0
  while [ "$tries" -lt 20 ]; do
    for hold in $(ls holds); do
      kill -0 "${hold##*.}" 2>/dev/null && echo "${hold##*.}" && return
    done
    tries=$((tries + 1))
    sleep 0.05
  done
}

finish() {
  queuectl worker stop --force >/dev/null 2>&1
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
cd "$folder" || exit 1
mkdir holds
touch overlaps ran

# A job's hold is a folder that has its id, its process group and its worker in the name. Each one makes its
# own before it looks for others, so of two that run at once at least the later one sees the earlier
# one. A job whose worker was killed leaves its hold behind; what counts is whether any process of its
# group lives when another job runs, and a zombie does not.
cat >job.sh <<'JOB'
mine=$QUEUECTL_JOB_ID.$$.$PPID
look() {
  for other in $(ls holds); do
    [ "$other" != "$mine" ] || continue
    group=${other#*.}
    if cat /proc/[0-9]*/stat 2>/dev/null |
      awk -v group="${group%.*}" '$5 == group && $3 !~ /[ZX]/ { lives = 1 } END { exit !lives }'
    then
      echo "$mine met $other" >>overlaps
    else
      rmdir "holds/$other"
    fi
  done
}
mkdir "holds/$mine" || echo "$mine was there" >>overlaps
look
sleep 0.1
look
rmdir "holds/$mine"
echo "$QUEUECTL_JOB_ID" >>ran
JOB

awk -v jobs="$jobs" 'BEGIN {
  for (i = 1; i <= jobs; i++) {
    printf "{\"id\":\"job-%d\",\"command\":\". ./job.sh\",\"queue\":\"one\",\"max_retries\":1000}\n", i
  }
}' >jobs.jsonl
queuectl queue limit one 1 >/dev/null
queuectl enqueue @jobs.jsonl >/dev/null || exit 1
echo "$jobs jobs for $processes worker processes with $each workers each"

began=$(date +%s)
i=0
while [ "$i" -lt "$processes" ]; do
  i=$((i + 1))
  start_worker
done

kills=0
while :; do
  sleep 1
  left=$(queuectl list --queue one --limit 0 --json | grep -o '"state":"[a-z]*"' |
    grep -c -e pending -e processing -e failed)
  [ "$left" -gt 0 ] || break
  if [ $(($(date +%s) - began)) -gt $((60 + jobs)) ]; then
    echo "not ok - $left jobs are left"
    exit 1
  fi
  [ $((kills % 2)) -eq 0 ] && victim=$(busy_worker) || victim=$(any_worker)
  [ -n "$victim" ] && kill -9 "$victim" 2>/dev/null || continue
  kills=$((kills + 1))
  start_worker
done
seconds=$(($(date +%s) - began))

# The history says the same: between one claim and the next, the first job has come to an end.
queuectl events >events
lost=$(grep -c "Its worker died" events)
at_once=$(awk '
  $3 == "claimed" { if (held) print $4, "beside", held; held = $4 }
  $3 ~ /^(completed|failed|dead|interrupted)$/ && $4 == held { held = "" }' events | wc -l)
completed=$(queuectl status --json | sed 's/.*"completed":\([0-9]*\).*/\1/')
distinct=$(sort -u ran | wc -l)
overlaps=$(wc -l <overlaps)
echo "$completed jobs completed in $seconds s, $((distinct)) ran to their end," \
  "$kills worker processes killed, $lost attempts lost"
echo "$((overlaps)) overlaps seen by jobs, $((at_once)) in the history"
if [ "$completed" -eq "$jobs" ] && [ "$distinct" -eq "$jobs" ] && [ "$overlaps" -eq 0 ] &&
  [ "$at_once" -eq 0 ]; then
  echo "ok - no two jobs ran at once"
else
  cat overlaps
  echo "not ok - expected $jobs jobs to run one by one"
  exit 1
fi
