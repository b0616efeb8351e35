#!/bin/bash
# tests/slurm/run.sh [BUILD] [CASE]...: lrpipe on two hosts, by hand and under a real Slurm.
#
# Root only: makes two network namespaces with a Slurm of their own, runs the cases below and takes
# everything down again. Exit code 77: skipped. Takes 10 minutes where two cores are free.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(realpath "${1:-$root/build/release}")
shift
# shellcheck source=tests/slurm/cluster.sh
source "$root/tests/slurm/cluster.sh"

skip() { echo "skipped: $*"; exit 77; }

((EUID == 0)) || skip "network namespaces need root"
for program in ip munged slurmctld slurmd sbatch mpirun python3; do
  type -P "$program" >/dev/null || skip "$program is not installed (iproute2, munge, slurm-wlm)"
done
ip netns add lrptry 2>/dev/null && ip netns del lrptry || skip "network namespaces are forbidden here"
for program in lrpipe tests/tools/synth_model; do
  [[ -x $build/$program ]] || { echo "$build/$program is not there: build it" >&2; exit 1; }
done

work=$(mktemp -d /var/tmp/lrpipe-slurm.XXXXXX)
export PATH=$build:$PATH PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
failures=0

end() {
  cluster_down
  if ((failures > 0)); then echo "logs are kept in $work"; else rm -rf "$work"; fi
}

fail() { echo "  FAILED: $*"; failures=$((failures + 1)); }

# check TEXT COMMAND...: the command must succeed.
check() {
  local text=$1
  shift
  "$@" || fail "$text"
}

study() {
  LRPIPE_BINARY=$build/lrpipe SYNTH_MODEL=$build/tests/tools/synth_model \
    python3 "$root/tests/slurm/study.py" "$@"
}

unbroken() { # made once
  [[ -e $work/unbroken/tradeoff.csv ]] ||
    mpirun --oversubscribe --bind-to none -np 2 lrpipe --quiet "$work/job.yaml" \
      --set output="$work/unbroken" >/dev/null
}

same_results() { unbroken; check "$1: other results than the unbroken run" study same "$work/unbroken" "$1"; }

# ---- jobs ----

# submit NAME OPTION...: the job with its output in $work/NAME, over both nodes; sets $job and $log.
submit() {
  local name=$1
  shift
  log=$work/$name.log
  job=$(sbatch --parsable --nodes=2 --ntasks-per-node=1 --cpus-per-task=1 --output="$log" "$@" \
    "$root/slurm/lrpipe.sbatch" "$work/job.yaml" --set output="$work/$name")
  echo "  job $job: $*"
}

# field NAME: of $job, as Slurm has it.
field() { scontrol show job -o "$job" | tr ' ' '\n' | sed -n "s/^$1=//p"; }

ended() { [[ $(field JobState) =~ ^(COMPLETED|FAILED|TIMEOUT|CANCELLED|NODE_FAIL)$ ]]; }
pending() { [[ $(field JobState) == PENDING ]]; }
gone() { [[ -z $(squeue -h -j "$job" 2>/dev/null) ]]; }

# The job must end in that state with that exit code, and say so.
expect_end() {
  wait_for 1800 ended || { scancel "$job"; fail "does not end"; }
  wait_for 60 gone
  echo "  job $job: $(field JobState), exit code $(field ExitCode), $(field Restarts) restarts"
  [[ $(field JobState) == "$1" && $(field ExitCode) == "$2" ]] || fail "expected $1 $2; see $log"
}

expect_restarts() { check "restarts: expected at least $1" [ "$(field Restarts)" -ge "$1" ]; }
expect_log() { check "$log: lacks '$1'" grep -q "$1" "$log"; }
expect_no_log() { check "$log: has '$1'" test -z "$(grep "$1" "$log")"; }

stored() { lrpipe status "$1" 2>/dev/null | awk '/ done$/ { n += $2 } END { print n + 0 }'; }
has_stored() { (($(stored "$1") >= $2)); }

# ---- cases ----

# The limit: USR2 from Slurm, through the script and the launcher, to the process ranks; requeued
# until complete.
limit() {
  LAUNCHER=$1 RESERVE_S=2 submit "limit-$1" --time=1 --signal=B:USR2@20
  expect_end COMPLETED 0:0
  expect_restarts 1
  expect_log "USR2: the limit is near"
  expect_log "stopped early by signal USR2"
  expect_log "requeued"
  same_results "$work/limit-$1"
}

case_mpirun() { limit mpirun; }
case_srun() { limit srun; }

# --max-time from squeue's end time ends the first turn; STOP ends the second, for good.
case_stop() {
  RESERVE_S=45 submit stop --time=1 --signal=B:USR2@1
  wait_for 300 grep -q "requeued" "$log"
  wait_for 300 grep -q "restart 1" "$log"
  touch "$work/stop/STOP"
  expect_end FAILED 75:0
  expect_restarts 1
  expect_log "stopped early by the time limit"
  expect_log "not requeued: stopped by .*/STOP"
  check "STOP is still there" test ! -e "$work/stop/STOP"
  submit stop --time=30
  expect_end COMPLETED 0:0
  same_results "$work/stop"
}

# A limit in which nothing can be done must not be tried for ever.
case_no_progress() {
  RESERVE_S=3600 submit no-progress --time=2
  expect_end FAILED 75:0
  expect_log "needs about"
  expect_log "not requeued: this turn stored nothing"
  expect_no_log "lrpipe.sbatch: requeued"
}

# A node loses its power.
lost() {
  LAUNCHER=$1 submit "lost-$1-$2" --time=30
  wait_for 600 has_stored "$work/lost-$1-$2" 10
  host_kill "$2"
  echo "  $2 killed, $(stored "$work/lost-$1-$2") pieces stored"
  wait_for 300 node_is_down "$2"
  echo "  node down: job $(field JobState), exit code $(field ExitCode)"
}

hosts_case() { :; }

trap end EXIT
trap 'exit 1' INT TERM
