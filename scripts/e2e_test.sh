#!/bin/sh
# Tries queuectl out from its command line, in a temporary store: sh scripts/e2e_test.sh
# QUEUECTL is the command to try, if it is not this source: QUEUECTL=./queuectl sh scripts/e2e_test.sh
set -u

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
folder=$(mktemp -d)
store=$folder/queue.db
passed=0
failed=0

queuectl() {
  if [ -n "${QUEUECTL:-}" ]; then
    # shellcheck disable=SC2086 # a command with its arguments
    $QUEUECTL --db "$store" "$@"
  else
    "${DENO:-deno}" run -A --no-prompt --v8-flags=--no-lazy "$root/main.ts" --db "$store" "$@"
  fi
}

# check NAME ACTUAL EXPECTED
check() {
  if [ "$2" = "$3" ]; then
    passed=$((passed + 1))
    echo "ok - $1"
  else
    failed=$((failed + 1))
    echo "not ok - $1"
    echo "  expected: $3"
    echo "  was:      $2"
  fi
}

# field ID NAME: a number or a string of a job's JSON
field() {
  queuectl show "$1" --json | sed "s/.*\"$2\":\"\{0,1\}\([^\",}]*\).*/\1/"
}

# outcomes ID: those of all attempts, in order
outcomes() {
  queuectl show "$1" --json | tr '{' '\n' | sed -n 's/.*"outcome":"\([a-z_]*\)".*/\1/p' | tr '\n' ' '
}

# wait_for SECONDS COMMAND…: until the command succeeds
wait_for() {
  tries=$(($1 * 20))
  shift
  until "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.05
  done
}

finish() {
  queuectl worker stop --force --timeout 5s >/dev/null 2>&1
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
cd "$folder" || exit 1

# --- Adding jobs
queuectl enqueue --id words echo "Hello Queue" >out
check "enqueue prints the id" "$(cat out)" "words"
queuectl enqueue --id shell 'echo a  b | tr a-z A-Z' >/dev/null
queuectl enqueue '{"id":"json","command":"echo from JSON"}' >/dev/null
printf '%s\n' '{"id":"line1","command":"echo 1"}' '{"id":"line2","command":"echo 2"}' >jobs.jsonl
check "enqueue reads a file" "$(queuectl enqueue @jobs.jsonl | tr '\n' ' ')" "line1 line2 "
check "enqueue reads its input" \
  "$(echo '[{"id":"input","command":"true"}]' | queuectl enqueue @-)" "input"
queuectl enqueue --id words true 2>err
check "an id that exists is refused with 1" "$?" 1
queuectl enqueue '{"id":"broken"' 2>err
check "broken JSON is refused with 2" "$?" 2
check "an error is one line" "$(wc -l <err | tr -d ' ')" 1
queuectl show broken 2>err
check "a refused job is not there" "$?" 1

# --- Running them
queuectl worker start --drain --count 2 2>events
check "worker start --drain runs them and returns 0" "$?" 0
check "the jobs are completed" "$(queuectl list --state completed | grep -c completed)" 6
check "an argument with a space stayed one" "$(queuectl logs words)" "Hello Queue"
check "a shell command was taken as it was" "$(queuectl logs shell)" "A B"
check "a job from JSON ran" "$(queuectl logs json)" "from JSON"

# --- Failures
touch tries
queuectl config set backoff-base 0.5 >/dev/null
# shellcheck disable=SC2016 # for the shell of the job
queuectl enqueue --id failing 'echo "$QUEUECTL_ATTEMPT" >>tries; [ -e fixed ]' >/dev/null
queuectl worker start --drain 2>events
check "worker start --drain returns 1 if a job died" "$?" 1
check "a failing job has three attempts" "$(tr '\n' ' ' <tries)" "1 2 3 "
check "a failing job is dead in the end" "$(field failing state)" dead
check "it is in the dead letter queue" "$(queuectl dlq list | grep -c failing)" 1
touch fixed
check "dlq retry takes it out" "$(queuectl dlq retry failing)" failing
queuectl worker start --drain 2>events
check "it succeeds once its cause is mended" "$(field failing state)" completed
queuectl enqueue --id endless --timeout 300ms --max-retries 1 'sleep 100' >/dev/null
queuectl worker start --drain 2>events
check "a job that runs for too long is ended" "$(outcomes endless)" "timed_out "
queuectl logs -f endless
check "logs -f returns 124 for it" "$?" 124
queuectl dlq purge --all 2>err
check "dlq purge --all asks for --yes" "$?" 2
queuectl dlq purge --all --yes >/dev/null
check "dlq purge empties the dead letter queue" "$(queuectl dlq list --json)" "[]"

# --- Stopping
check "worker stop says that none is running" "$(queuectl worker stop)" "No worker is running"
worker=$(queuectl worker start --detach 2>err)
queuectl enqueue --id stopped 'touch started; until [ -e go ]; do sleep 0.05; done' >/dev/null
[ -n "$worker" ] && wait_for 10 test -e started
queuectl worker stop >out &
stop=$!
touch go
wait "$stop"
check "worker stop lets the running job finish" "$(field stopped state)" completed
check "no worker is left" "$(queuectl worker list)" "No worker is running"

# --- A crash
worker=$(queuectl worker start --detach 2>err)
# shellcheck disable=SC2016 # for the shell of the job
queuectl enqueue --id crash 'touch begun; [ "$QUEUECTL_ATTEMPT" = 2 ] || sleep 100' >/dev/null
[ -n "$worker" ] && wait_for 10 test -e begun && kill -9 "$worker"
queuectl worker start --drain 2>events
check "a job whose worker was killed runs again" "$(outcomes crash)" "lost completed "
check "no job is left behind" "$(queuectl list --state processing --json)" "[]"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
