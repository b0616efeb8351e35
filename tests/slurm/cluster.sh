# shellcheck shell=bash
# Two hosts as network namespaces on a bridge, with a Slurm of their own; sourced by run.sh.
# Everything lives below $work and in the namespaces $hosts; nothing of the machine is changed.

# shellcheck disable=SC2154 # work is run.sh's
bridge=lrpbr
network=10.213.77
hosts=(lrph1 lrph2)
controller_port=16871
daemons=() # process ids of what runs outside of the namespaces

address() { echo "$network.1${1#lrph}"; }

may_make_hosts() {
  # What a killed test left behind has no processes any more.
  [[ -n $(ip netns pids "${hosts[0]}" 2>/dev/null) ]] || hosts_down 2>/dev/null
  ip netns add "${hosts[0]}" 2>/dev/null && ip netns del "${hosts[0]}"
}

hosts_up() {
  ip link add $bridge type bridge && ip addr add $network.1/24 dev $bridge || return
  ip link set $bridge up
  local h
  for h in "${hosts[@]}"; do
    ip netns add "$h" || return
    ip link add "ve$h" type veth peer name eth0 netns "$h" || return
    ip link set "ve$h" master $bridge up
    ip -n "$h" addr add "$(address "$h")/24" dev eth0
    ip -n "$h" link set eth0 up
    ip -n "$h" link set lo up
  done
}

# All processes of a host, at once and without a warning: a power cut.
host_kill() {
  local pids
  mapfile -t pids < <(ip netns pids "$1")
  ((${#pids[@]} == 0)) || kill -9 "${pids[@]}" 2>/dev/null
}

hosts_down() {
  local h
  for h in "${hosts[@]}"; do
    host_kill "$h"
    ip link del "ve$h" # the host itself lives as long as the last of its processes
    ip netns del "$h"
  done
  ip link del $bridge
}

# Runs a command in the namespace of a host, under that host's name.
on_host() {
  # shellcheck disable=SC2016 # the inner shell expands it
  ip netns exec "$1" unshare --uts --ipc bash -c 'hostname "$0"; exec "$@"' "$@"
}

# AuthInfo: a requeued job waits as long as its old credential lives; Slurm's own value is 120 s.
# linuxproc, task/none: no cgroups. TmpFS: each node its own, or their PMIx servers collide.
write_configuration() {
  local h
  cat <<END
ClusterName=lrpipe
SlurmctldHost=$(hostname -s)($network.1)
SlurmctldPort=$controller_port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket,cred_expire=10
CryptoType=crypto/munge
StateSaveLocation=$work/controller
SlurmctldPidFile=$work/controller/pid
SlurmctldLogFile=$work/log/controller
SlurmdSpoolDir=$work/%n
TmpFS=$work/%n/tmp
SlurmdPidFile=$work/%n/pid
SlurmdLogFile=$work/log/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=15
InactiveLimit=0
KillWait=5
UnkillableStepTimeout=30
SlurmdParameters=config_overrides
PartitionName=main Nodes=$(IFS=,; echo "${hosts[*]}") Default=YES MaxTime=INFINITE State=UP
END
  for h in "${hosts[@]}"; do
    echo "NodeName=$h NodeHostname=$h NodeAddr=$(address "$h") Port=17001 CPUs=2 RealMemory=1000"
  done
}

node_up() {
  # What a killed node leaves behind: a step of the same number would fail, "File exists".
  rm -rf "$work/$1"/{pmix.*,stepd.slurm.pmix.*,tmp}
  mkdir -p "$work/$1/tmp"
  on_host "$1" slurmd -D -N "$1" >"$work/log/$1.out" 2>&1 &
}

slurm_up() {
  local h
  mkdir -p "$work"/{munge,controller,log} || return
  (umask 077 && dd if=/dev/urandom of="$work/munge/key" bs=128 count=1 status=none)
  munged --foreground --force --key-file="$work/munge/key" --socket="$work/munge/socket" \
    --pid-file="$work/munge/pid" --log-file="$work/log/munged" --seed-file="$work/munge/seed" \
    >"$work/log/munged.out" 2>&1 &
  daemons+=($!)
  export SLURM_CONF=$work/slurm.conf
  write_configuration >"$SLURM_CONF"
  printf '%s\n' CgroupPlugin=cgroup/v1 CgroupAutomount=no >"$work/cgroup.conf"
  wait_for 20 test -S "$work/munge/socket" || return
  slurmctld -D >"$work/log/controller.out" 2>&1 &
  daemons+=($!)
  for h in "${hosts[@]}"; do node_up "$h"; done
  wait_for 60 nodes_idle
}

nodes_idle() { [[ $(sinfo -h -N -o %T 2>/dev/null | grep -c '^idle$') -eq ${#hosts[@]} ]]; }

# wait_for SECONDS COMMAND...: until the command succeeds; fails after that time.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || { echo "waited too long for: $*" >&2; return 1; }
    sleep 0.5
  done
}

cluster_down() {
  ((${#daemons[@]} == 0)) || kill "${daemons[@]}" 2>/dev/null
  hosts_down 2>/dev/null
  wait
}
