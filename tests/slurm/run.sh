#!/bin/bash
# tests/slurm/run.sh BUILD [CASE]...: lrpipe on two hosts, by hand and under a real Slurm.
#
# For root: makes two network namespaces with a Slurm of their own, runs the cases (all of those
# below, or the ones named) and takes everything down again. Exit code 77: skipped, with the reason.
# Takes ten minutes on two free cores.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(realpath "${1:?usage: tests/slurm/run.sh BUILD [CASE]...}")
shift
# shellcheck source=tests/slurm/cluster.sh
source "$root/tests/slurm/cluster.sh"

skip() { echo "skipped: $*"; exit 77; }

((EUID == 0)) || skip "network namespaces need root"
for program in ip munged slurmctld slurmd sbatch mpirun python3; do
  type -P "$program" >/dev/null || skip "$program is not there (iproute2, munge, slurm-wlm)"
done
may_make_hosts || skip "network namespaces are forbidden here, or another such test is running"
for program in lrpipe tests/tools/synth_model; do
  [[ -x $build/$program ]] || { echo "$build/$program is not there: build it" >&2; exit 1; }
done

work=$(mktemp -d /var/tmp/lrpipe-slurm.XXXXXX)
export PATH=$build:$PATH PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
failures=0 finished=false

end() {
  cluster_down
  if ((failures > 0)) || ! $finished; then echo "logs are kept in $work"; else rm -rf "$work"; fi
}

fail() { echo "  FAILED: $*"; failures=$((failures + 1)); }

# check TEXT COMMAND...: the command must succeed.
check() {
  local text=$1
  shift
  "$@" || fail "$text"
}

# ---- runs ----

study() {
  LRPIPE_BINARY=$build/lrpipe SYNTH_MODEL=$build/tests/tools/synth_model \
    python3 "$root/tests/slurm/study.py" "$@"
}

# The whole study takes longer than a turn of a minute; most cases do with a part of it.
whole=()
part=(--set evaluate.limit=30)
size=("${part[@]}")

# The results of $1 must be those of a run on one host that nothing interrupts.
same_results() {
  local reference=$work/unbroken${size[*]:+-part}
  [[ -e $reference/tradeoff.csv ]] || mpirun --oversubscribe --bind-to none -np 2 lrpipe --quiet \
    "$work/job.yaml" --set output="$reference" "${size[@]}" >/dev/null
  check "$1: other results than $reference" study same "$reference" "$1"
}

# submit NAME OPTION...: the study over both nodes, its output in $work/NAME; sets $job and $log.
submit() {
  local name=$1
  shift
  log=$work/$name.log
  job=$(sbatch --parsable --nodes=2 --ntasks-per-node=1 --cpus-per-task=1 --output="$log" "$@" \
    "$root/slurm/lrpipe.sbatch" "$work/job.yaml" --set output="$work/$name" "${size[@]}")
  echo "  job $job: $*"
}

# field NAME: of $job, as Slurm has it.
field() { scontrol show job -o "$job" | tr ' ' '\n' | sed -n "s/^$1=//p"; }
is_in_state() { [[ $(field JobState) =~ ^($1)$ ]]; }

# The job must end in state $1 with a code that fits the pattern $2.
expect_end() {
  wait_for 1800 is_in_state 'COMPLETED|FAILED|TIMEOUT|CANCELLED|NODE_FAIL' || scancel "$job"
  echo "  job $job: $(field JobState), exit code $(field ExitCode), $(field Restarts) restarts," \
    "$(lrpipe_processes) processes left"
  grep -hE '^lrpipe(.sbatch)?: ' "$log" | sed "s/^/    /"
  [[ $(field JobState) == "$1" && $(field ExitCode) =~ ^$2:0$ ]] || fail "expected $1 $2; see $log"
}

expect_restarts() { check "restarts: expected $1 at least" [ "$(field Restarts)" -ge "$1" ]; }
expect_log() { check "$log lacks '$1'" grep -q "$1" "$log"; }

stored() { lrpipe status "$1" 2>/dev/null | awk '/ done$/ { n += $2 } END { print n + 0 }'; }
has_stored() { (($(stored "$1") >= $2)); }

lrpipe_processes() {
  local h
  for h in "${hosts[@]}"; do
    ip netns pids "$h" | while read -r pid; do cat "/proc/$pid/comm" 2>/dev/null; done
  done | grep -c '^lrpipe$'
}

# ---- cases ----

# Several hosts without Slurm.
case_hosts() {
  cat >"$work/agent" <<'END'
#!/bin/bash
# Open MPI's plm_rsh_agent: [OPTION]... HOST COMMAND...
while [[ $1 == -* ]]; do shift; done
exec ip netns exec "$1" unshare --uts --ipc bash -c 'hostname "$0"; exec bash -c "$*"' "$@"
END
  chmod +x "$work/agent"
  check "mpirun" mpirun -np 2 --host "$(IFS=,; echo "${hosts[*]/%/:1}")" --bind-to none \
    --mca plm rsh --mca plm_rsh_agent "$work/agent" --mca btl_tcp_if_include "$network.0/24" \
    --mca oob_tcp_if_include "$network.0/24" \
    lrpipe "$work/job.yaml" --set output="$work/hosts" "${size[@]}" >"$work/hosts.log" 2>&1
  log=$work/hosts.log
  expect_log "2 process ranks on 2 nodes"
  same_results "$work/hosts"
}

# The limit: USR2 from Slurm through script and launcher to the process ranks; requeued until done.
limit() {
  size=("${whole[@]}")
  LAUNCHER=$1 RESERVE_S=2 submit "limit_$1" --time=1 --signal=B:USR2@15
  expect_end COMPLETED 0
  expect_restarts 1
  expect_log "USR2: the limit is near"
  expect_log "stopped early by signal USR2"
  expect_log "exit code 75"
  expect_log "requeueing"
  same_results "$work/limit_$1"
}

case_limit_mpirun() { limit mpirun; }
case_limit_srun() { limit srun; }

# The first turn ends by --max-time, from the end time that squeue says; the second by STOP.
case_stop() {
  RESERVE_S=50 submit stop --time=1 --signal=B:USR2@1
  wait_for 300 grep -qs "restart 1" "$log"
  touch "$work/stop/STOP"
  expect_end FAILED 75
  expect_restarts 1
  expect_log "stopped early by the time limit"
  expect_log "not requeued: stopped by .*/STOP"
  check "STOP is still there" test ! -e "$work/stop/STOP"
  submit stop --time=30
  expect_end COMPLETED 0
  same_results "$work/stop"
}

# A limit in which nothing can be done is not tried for ever.
case_no_progress() {
  RESERVE_S=3600 submit no_progress --time=2
  expect_end FAILED 75
  check "restarts: expected none" [ "$(field Restarts)" -eq 0 ]
  expect_log "the next piece of work needs about"
  expect_log "not requeued: this turn stored nothing"
}

# Kill everything on host $1 while the job runs.
lose() {
  wait_for 600 has_stored "$2" 5
  host_kill "$1"
  echo "  $1 is dead, $(stored "$2") pieces are stored"
}

# mpirun notices that a node is lost and ends; the same sbatch again goes on.
case_lost_node() {
  submit lost_node --time=30
  lose "${hosts[1]}" "$work/lost_node"
  expect_end FAILED '[1-9][0-9]*'
  node_up "${hosts[1]}"
  wait_for 120 nodes_idle
  submit lost_node --time=30
  expect_end COMPLETED 0
  same_results "$work/lost_node"
}

# With the first node the batch script is lost: Slurm itself requeues the job.
case_lost_first_node() {
  LAUNCHER=srun submit lost_first_node --time=30
  lose "${hosts[0]}" "$work/lost_first_node"
  wait_for 300 is_in_state PENDING
  node_up "${hosts[0]}"
  expect_end COMPLETED 0
  expect_restarts 1
  same_results "$work/lost_first_node"
}

# ---- all of it ----

trap end EXIT
trap 'exit 1' INT TERM
cases=("$@")
((${#cases[@]} > 0)) ||
  cases=(hosts limit_mpirun limit_srun stop no_progress lost_node lost_first_node)
if ! { study make "$work" && hosts_up && slurm_up; }; then
  exit 1
fi
for name in "${cases[@]}"; do
  echo "$name"
  start=$SECONDS before=$failures
  size=("${part[@]}")
  "case_$name"
  echo "  $( ((failures == before)) && echo passed || echo FAILED) after $((SECONDS - start)) s"
done
finished=true
echo "$failures failures"
((failures == 0))
