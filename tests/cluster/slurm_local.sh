#!/usr/bin/env bash
# Real jobs from deploy/slurm/study.sbatch on a Slurm of two nodes on one machine: two on the same nodes at once, of which
# one fails, one whose time is over and that goes on in its next run, and scancel.
#
# The nodes are hosts as in hosts.sh, each with its slurmd; slurmctld is on a third one. They share a home and /var/tmp.
# Processes are tracked by their parents alone (linuxproc), without cgroups: what Ray would leave behind is seen here.
# Needs root, and the Debian packages slurm-wlm, munge and iproute2. Takes six to ten minutes.
#
#   uv sync && sudo --preserve-env=HOME,PATH tests/cluster/slurm_local.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/cluster/hosts.sh
require slurmctld slurmd sbatch munged ip unshare
open_room slurm 10.231.78
home=$room/home shared=$room/shared
mkdir -m 755 "$room/munge"
mkdir "$home" "$shared" "$room/state"
chmod 755 "$room"

# -- Slurm

cat >"$room/hosts" <<HOSTS
127.0.0.1 localhost
$net.2 login
$net.3 node1
$net.4 node2
HOSTS
cat >"$room/slurm.conf" <<CONF
ClusterName=medray
SlurmctldHost=login($net.2)
SlurmUser=root
AuthInfo=socket=$room/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$room/state
SlurmdSpoolDir=/tmp/slurmd
SlurmctldPidFile=/tmp/slurmctld.pid
SlurmdPidFile=/tmp/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
GresTypes=gpu
KillWait=20
MpiDefault=none
NodeName=node1 NodeAddr=$net.3 CPUs=2 RealMemory=8000 Gres=gpu:2
NodeName=node2 NodeAddr=$net.4 CPUs=2 RealMemory=8000 Gres=gpu:2
PartitionName=all Nodes=node1,node2 Default=YES State=UP
CONF
printf "Name=gpu File=%s\n" /dev/null /dev/zero >"$room/gres.conf" # devices to be counted, and nothing for Ray to find
echo "CgroupPlugin=cgroup/v1" >"$room/cgroup.conf"
export SLURM_CONF=$room/slurm.conf

say "a Slurm of node1 and node2"
head -c 128 /dev/urandom >"$room/munge/key"
chmod 400 "$room/munge/key"
munged --foreground --key-file "$room/munge/key" --socket "$room/munge/socket" --pid-file "$room/munge/pid" \
  --log-file "$room/munge/log" --seed-file "$room/munge/seed" 2>/dev/null &
pids+=($!)
for _ in $(seq 50); do [ -S "$room/munge/socket" ] && break; sleep 0.1; done
make_home login "$home"
start_host login "$net.2" slurmctld -D -f "$SLURM_CONF" 2>"$room/slurmctld.log"
for node in 1 2; do
  make_home "node$node" "$home"
  mkdir "$room/node$node/tmp/slurmd"
  start_host "node$node" "$net.$((node + 2))" slurmd -D -N "node$node" -f "$SLURM_CONF" 2>"$room/node$node.log"
done
# -- jobs

options=() # of sbatch
submit() { # WORDS of medray study...: prints the job's number
  HOME=$home NO_ALBUMENTATIONS_UPDATE=1 sbatch --parsable --cpus-per-task=1 --mem=3000 --output="$room/%j.log" \
    "${options[@]}" deploy/slurm/study.sbatch "$@"
}
field() { scontrol show job "$1" | grep -oE "(^| )$2=[^ ]*" | head -n 1 | cut -d= -f2; }
ended() { case $(field "$1" JobState) in COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL) ;; *) false ;; esac; }
until_true() { # SECONDS COMMAND...: or the logs, and the end
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] && { sleep 1; continue; }
    echo "not so in time: $*" >&2
    squeue >&2 || true
    tail -n 40 "$room"/*.log >&2
    exit 1
  done
}
tiny=(organs --data phantom --max-epochs 1 --top 1 --folds 2)

idle() { [ "$(sinfo --noheader --format=%D --states=idle 2>/dev/null)" = 2 ]; }
until_true 60 idle
sinfo

say "two jobs at once on the same nodes: a study, and one that is refused"
study=$(submit "${tiny[@]}" --trials 2 --storage "$shared")
wrong=$(submit organs --data phantom --storage "$shared/wrong" --trials 0)
until_true 60 eval '[ "$(field "$study" NodeList)$(field "$wrong" NodeList)" = "node[1-2]node[1-2]" ]'
squeue
until_true 300 ended "$wrong"
until_true 300 ended "$study"
cat "$room/$wrong.log"
cat "$room/$study.log"
for job in "$study" "$wrong"; do echo "job $job: $(field "$job" JobState), exit code $(field "$job" ExitCode)"; done
[ "$(field "$study" JobState) $(field "$study" ExitCode) $(field "$wrong" ExitCode)" = "COMPLETED 0:0 2:0" ]
grep -q "2 of 2 nodes have joined" "$room/$study.log"
test -s "$shared/organs/report/index.html"

say "a study that takes longer than its four minutes goes back into the queue, and on"
options=(--time=4 --signal=B:USR1@60) # Slurm may be a minute early
long=$(submit "${tiny[@]}" --trials 500 --storage "$shared/long")
until_true 400 eval '[ "$(field "$long" Restarts)" = 1 ] && [ "$(field "$long" JobState)" = RUNNING ]'
until_true 120 eval '[ "$(grep -c "2 of 2 nodes have joined" "$room/$long.log")" = 2 ]'
until_true 120 grep -qE "Resuming: [1-9][0-9]* trials have ended" "$room/$long.log"

say "scancel leaves no process and no folder"
scancel "$long"
until_true 60 ended "$long"
until_true 60 idle
cat "$room/$long.log"
left() { # NODE: processes and folders
  echo "$(running "$1" 'ray|gcs|python|medray|study') $(find "$room/$1/tmp" -maxdepth 1 -name 'ray*' | wc -l)"
}
clean() { [ "$(left node1), $(left node2)" = "0 0, 0 0" ]; }
until_true 30 clean
echo "processes and folders on node1: $(left node1), on node2: $(left node2)"
say "all went well"
