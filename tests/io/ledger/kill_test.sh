#!/bin/bash
# Kill a run (mpirun and its process ranks) ten times at random moments; after every kill the ledger
# can be read and what it says to be done is right; at last, the run completes.
# kill_test.sh WORKER MPIEXEC DIRECTORY
set -u
worker=$1 mpiexec=$2
dir=$(mktemp -d "$3/kill_test.XXXXXX") || exit 1
file=$dir/factors.h5
fail() { echo "kill_test: $1"; rm -rf "$dir"; exit 1; }

"$worker" create "$file" || fail "create"
kills=0 tries=0
while [ $kills -lt 10 ]; do
  tries=$((tries + 1))
  [ $tries -le 40 ] || fail "only $kills of 10 kills hit a run"
  : >"$dir/out"
  "$mpiexec" -np $((1 + tries % 3)) "$worker" run "$file" >"$dir/out" 2>&1 &
  run=$!
  for _ in $(seq 500); do # until the ledger is open, or the run is over
    grep -q opened "$dir/out" && break
    kill -0 $run 2>/dev/null || break
    sleep 0.02
  done
  sleep 0.0$((RANDOM % 10))$((RANDOM % 10))
  ranks=$(cat /proc/$run/task/*/children 2>/dev/null)
  if kill -9 $run $ranks 2>/dev/null; then kills=$((kills + 1)); fi
  wait $run 2>/dev/null
  for p in $ranks; do # no process rank of before writes any more
    while [ -d /proc/$p ] && ! grep -q '^State:[[:space:]]*Z' /proc/$p/status 2>/dev/null; do
      sleep 0.02
    done
  done
  done_units=$("$worker" check "$file") || fail "after kill $kills: $done_units"
  echo "kill $kills: $done_units units done"
  if [ "$done_units" -ge 22 ]; then # not much is left to kill: begin again
    rm "$file" && "$worker" create "$file" || fail "create again"
  fi
done
"$mpiexec" -np 2 "$worker" run "$file" || fail "the last run"
"$worker" full "$file" || fail "the last check"
rm -rf "$dir"
