#!/bin/sh
# Shows what queuectl does, in a temporary store: deno task demo
set -u

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM HUP
cd "$folder" || exit 1
QUEUECTL_DB=$folder/queue.db
export QUEUECTL_DB

if [ -t 1 ]; then
  bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
  bold='' plain=''
fi

say() {
  printf '\n%s# %s%s\n' "$bold" "$1" "$plain"
}

# Shows a command line and carries it out.
queuectl() {
  printf '%s$ queuectl' "$bold"
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./:@=-]*) printf " '%s'" "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
  printf '%s\n' "$plain"
  "${DENO:-deno}" run -A --no-prompt --v8-flags=--no-lazy "$root/main.ts" "$@"
}

say "Jobs are shell commands. These succeed, at once or after a while"
queuectl enqueue --id hello echo "Hello Queue"
queuectl enqueue --id slow 'for i in 1 2 3; do echo "step $i"; sleep 0.5; done'
queuectl enqueue '{"id":"from-json","command":"date +%Y","timeout":"5s"}'

say "This one fails once, and this one until there is a file that it needs"
queuectl enqueue --id flaky '[ -e tried ] || { touch tried; echo "not yet"; exit 1; }'
queuectl enqueue --id report --max-retries 2 'wc -l <data.txt'
queuectl list

say "Three workers at a time run what there is; failed jobs are tried again after a while"
queuectl worker start --count 3 --drain
printf '(exit code %s: a job died)\n' "$?"

say "What became of them"
queuectl status
queuectl logs slow

say "A job that has used up its attempts is in the dead letter queue, with its output"
queuectl dlq list
queuectl show report

say "So the file was missing. With it, the job deserves another try"
printf '%s$ seq 3 >data.txt%s\n' "$bold" "$plain"
seq 3 >data.txt
queuectl dlq retry report
queuectl worker start --drain
queuectl logs report
queuectl list

say "That was a temporary store. Now your own"
cat <<'END'
deno task queuectl enqueue 'echo "my first job"'
deno task queuectl worker start --count 4      (Ctrl-C ends it)
deno task queuectl status
deno task queuectl --help
END
