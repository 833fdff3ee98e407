# shellcheck shell=bash
# Hosts on one machine, for the scripts beside this one: namespaces with a home, a /tmp, a name and processes of their
# own, joined by a bridge. Needs root, and the Debian package iproute2. To be sourced:
#
#   require ip unshare              the programs that a script needs; it ends with 77 where one is missing
#   open_room up 10.231.77          $room, a folder that all hosts see, $bridge and $net; all goes at the script's end
#   make_home head                  a host's home, $room/head/home, and its /tmp; or a second argument: another home
#   start_host head 10.231.77.2 COMMAND...      runs a command as that host's first process, in the background
#   (inside laptop COMMAND...)      a command with its own processes and /tmp, but this machine's network
#   running head REGEXP             how many processes of that host have a name that matches

require() {
  local program
  for program in "$@"; do
    PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || { echo "$(basename "$0") needs $program" >&2; exit 77; }
  done
  [ "$(id -u)" = 0 ] || { echo "$(basename "$0") needs root: it makes network namespaces" >&2; exit 77; }
  [ -x .venv/bin/ray ] || { echo "$(basename "$0") needs .venv: uv sync" >&2; exit 77; }
}

say() { printf '\n== %s\n' "$*"; }

open_room() { # TAG NET: up to five letters for names, and the first three bytes of addresses
  tag=$1 net=$2 bridge=medray-$1 pids=() hosts=()
  ip link add "$bridge" type bridge || { echo "$(basename "$0") is running already, or ip link delete $bridge" >&2; exit 1; }
  room=$(mktemp -d "/var/tmp/medray-$tag.XXXXXX") # not below /tmp, which each host has of its own
  trap clean_up EXIT
  trap 'exit 130' INT TERM
  ip address add "$net.1/24" dev "$bridge"
  ip link set "$bridge" up
}

clean_up() {
  local pid host
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done # unshare ignores SIGTERM; it takes all along
  wait 2>/dev/null || true
  for host in "${hosts[@]}"; do ip netns delete "medray-$tag-$host" 2>/dev/null || true; done
  ip link delete "$bridge" 2>/dev/null || true
  rm -rf --one-file-system "$room"
}

make_home() { # NAME [HOME]: what a host sees as root's home, /tmp and /etc/passwd
  local home=${2:-$room/$1/home}
  mkdir -p "$home" "$room/$1/tmp"
  sed "s#^root:\(.*\):[^:]*:\([^:]*\)\$#root:\1:$home:/bin/bash#" /etc/passwd >"$room/$1/passwd"
}

inside() { # NAME COMMAND...: become a command with that host's home, /tmp and processes, which end with it
  local name=$1
  shift
  exec unshare --mount --pid --uts --fork --kill-child --mount-proc bash -c '
    hostname "$1"
    case $PWD in /tmp/*) mkdir -p "$2/$1$PWD"; mount --bind "$PWD" "$2/$1$PWD" ;; esac # a checkout there stays
    mount --rbind "$2/$1/tmp" /tmp; mount --bind "$2/$1/passwd" /etc/passwd
    [ ! -e "$2/hosts" ] || mount --bind "$2/hosts" /etc/hosts
    mount -t tmpfs -o mode=1777,size=8g tmpfs /dev/shm; mount -t tmpfs tmpfs /run; mkdir /run/sshd
    export HOME=$(sed -n "s/^root:.*:\(.*\):[^:]*$/\1/p" /etc/passwd); shift 2; exec "$@"' \
    inside "$name" "$room" "$@"
}

start_host() { # NAME ADDRESS COMMAND...
  local name=$1 address=$2 space=medray-$tag-$1 link=mr$tag-$1
  shift 2
  ip netns add "$space"
  hosts+=("$name")
  ip link add "$link" type veth peer name eth0 netns "$space"
  ip link set "$link" master "$bridge" up
  ip -n "$space" link set lo up
  ip -n "$space" address add "$address/24" dev eth0
  ip -n "$space" link set eth0 up
  ip -n "$space" route add default via "$net.1" # Ray finds its own address by its route to the world
  export -f inside
  room=$room ip netns exec "$space" bash -c 'inside "$@"' - "$name" "$@" &
  pids+=($!)
}

running() { ip netns pids "medray-$tag-$1" | xargs -r ps -o comm= -p | grep -cE "$2" || true; }
