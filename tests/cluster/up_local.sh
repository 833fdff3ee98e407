#!/usr/bin/env bash
# A real `ray up cluster.local.yaml` onto two hosts on one machine, a search as a job, and `ray down`.
#
# The hosts are namespaces with an sshd, a home, a /tmp and processes of their own, joined by a bridge; the machine
# that commands them is a third one, so that no `ray stop` reaches any other Ray here. Packages come from uv's cache.
# Needs root, and the Debian packages openssh-server, rsync and iproute2. Takes two to five minutes.
#
#   uv sync && sudo --preserve-env=HOME,PATH tests/cluster/up_local.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/cluster/hosts.sh
require sshd rsync ip unshare script ssh-keygen uv
open_room up 10.231.77
tunnel=18265

# -- hosts

make_host() { # NAME: its home has uv and what a shell there sets
  make_home "$1"
  # As the hosts reach no registry, their uv is this machine's, with its cache.
  mkdir -p "$room/$1/home/.local/bin"
  cat >"$room/$1/home/.local/bin/uv" <<UV
#!/bin/sh
exec env HOME='$HOME' PATH='$PATH' UV_CACHE_DIR='$(uv cache dir)' UV_OFFLINE=1 '$(command -v uv)' "\$@"
UV
  chmod +x "$room/$1/home/.local/bin/uv"
  echo "export HOSTNAME=$1 NO_ALBUMENTATIONS_UPDATE=1" >"$room/$1/home/.bashrc"
}

start_sshd() { # NAME ADDRESS
  make_host "$1"
  cat >"$room/$1/sshd_config" <<SSHD
ListenAddress $2
HostKey $room/host_key
AuthorizedKeysFile $room/key.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
StrictModes no
UsePAM no
PidFile none
SSHD
  start_host "$1" "$2" /usr/sbin/sshd -D -f "$room/$1/sshd_config"
}

say "two hosts: $net.2 and $net.3"
ssh-keygen -q -t ed25519 -N '' -f "$room/key"
ssh-keygen -q -t ed25519 -N '' -f "$room/host_key"
start_sshd head "$net.2"
start_sshd worker "$net.3"
make_host laptop
mkdir "$room/shared"

# -- the machine that commands them

.venv/bin/python - "$room" "$net" <<'PYTHON'
import sys, pathlib, yaml
room, net = sys.argv[1:]
config = yaml.safe_load(pathlib.Path("cluster.local.yaml").read_text())
config["provider"].update(head_ip=f"{net}.2", worker_ips=[f"{net}.3"])
config["auth"] = {"ssh_user": "root", "ssh_private_key": f"{room}/key"}
pathlib.Path(room, "cluster.local.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
PYTHON
cat >"$room/laptop.sh" <<LAPTOP
set -euo pipefail
export PATH=$PWD/.venv/bin:\$PATH RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 TERM=dumb
cluster=$room/cluster.local.yaml
say() { printf '\n== %s\n' "\$*"; }

ray get-auth-token --generate >/dev/null
nodes() {
  status=\$(ray exec \$cluster 'ray status' 2>/dev/null) && grep -q '^ 2 local.cluster.node' <<<"\$status"
}
# Ray gives a node 30 seconds to start, which may be too few where a busy machine imports without .pyc files.
for try in 1 2 3; do
  say "ray up cluster.local.yaml"
  ray up --yes --no-config-cache \$cluster || continue
  say "ray exec cluster.local.yaml 'ray status', until there are two nodes"
  for _ in \$(seq 15); do nodes && break 2; sleep 3; done
done
nodes || { echo "the worker did not come: ray exec cluster.local.yaml tells why" >&2; exit 1; }
echo "\$status"

say "ray job submit, through ray dashboard cluster.local.yaml"
ray dashboard --port $tunnel \$cluster >/dev/null 2>&1 &
for _ in \$(seq 30); do (: </dev/tcp/127.0.0.1/$tunnel) 2>/dev/null && break; sleep 1; done
job=\$(ray job submit --address http://127.0.0.1:$tunnel --no-wait -- \
  python -m medray.search organs --data phantom --trials 2 --max-epochs 1 --storage $room/shared \
  | grep -o 'raysubmit_[A-Za-z0-9]*' | head -n 1)
ray job logs --address http://127.0.0.1:$tunnel --follow \$job
ray job list --address http://127.0.0.1:$tunnel | grep -o 'SUCCEEDED' | head -n 1

say "ray rsync-up and rsync-down"
mkdir -p $room/films && echo image >$room/films/one.png
ray rsync-up \$cluster $room/films/ films/
ray exec \$cluster 'ls films' 2>/dev/null
ray rsync-down \$cluster films/ $room/back/
ls $room/back

say "ray attach"
script -qec "ray attach \$cluster" /dev/null <<<'hostname; exit' | grep -x 'head.\?'

say "ray down cluster.local.yaml"
ray down --yes \$cluster
LAPTOP
(inside laptop bash "$room/laptop.sh") </dev/null &
pids+=($!)
wait $! # not in the foreground: Ctrl-C cleans up at once

say "what is left"
ls "$room/shared/organs"
column -s, -t "$room/shared/organs/leaderboard.csv" 2>/dev/null | cut -c1-100 || true
test -f "$room/shared/organs/ensemble/manifest.json"
rays() { echo "$(running head 'raylet|gcs_server')$(running worker 'raylet|gcs_server')"; }
for _ in $(seq 40); do # the worker's Ray ends when it misses the head
  [ "$(rays)" = 00 ] && break
  sleep 3
done
echo "Ray's processes on the head and on the worker: $(rays)"
[ "$(rays)" = 00 ]
say "all went well"
