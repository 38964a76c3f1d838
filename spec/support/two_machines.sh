#!/bin/sh
# Two machines made of this one: network namespaces NAME-a and NAME-b, joined by a cable (a pair of veth), each with a
# name and an address of its own. Needs root, and a kernel that permits it.
#
#   two_machines.sh up NAME             makes them: NAMEa is 10.77.0.1, NAMEb 10.77.0.2
#   two_machines.sh on NAME a|b CMD...  runs a command on one of them
#   two_machines.sh ssh NAME HOST CMD.. the same in ssh's way, for mpirun (plm_rsh_agent, through NAME.ssh)
#   two_machines.sh cut NAME            pulls the cable
#   two_machines.sh down NAME           ends what runs there, and removes them
set -eu
name=$2
self=$(cd "$(dirname "$0")" && pwd)/two_machines.sh
hosts() {
  for side in a b; do
    mkdir -p "/etc/netns/$name-$side"
    printf '127.0.0.1 localhost\n10.77.0.1 %sa\n10.77.0.2 %sb\n' "$name" "$name" > "/etc/netns/$name-$side/hosts"
  done
}
case $1 in
  up)
    hosts
    ip netns add "$name-a"
    ip netns add "$name-b"
    ip link add eth0 netns "$name-a" type veth peer name eth0 netns "$name-b"
    ip -n "$name-a" addr add 10.77.0.1/24 dev eth0
    ip -n "$name-b" addr add 10.77.0.2/24 dev eth0
    for side in a b; do
      ip -n "$name-$side" link set lo up
      ip -n "$name-$side" link set eth0 up
    done
    ;;
  on)
    side=$3
    shift 3
    exec ip netns exec "$name-$side" unshare --uts sh -c 'hostname "$1"; shift; exec "$@"' sh "$name$side" "$@"
    ;;
  ssh)
    host=$3
    shift 3
    exec "$self" on "$name" "${host#"$name"}" sh -c "$*"
    ;;
  cut) ip -n "$name-a" link set eth0 down ;;
  down)
    for side in a b; do
      ip netns pids "$name-$side" 2> /dev/null | xargs -r kill -9 2> /dev/null || true
      ip netns delete "$name-$side" 2> /dev/null || true
      rm -rf "/etc/netns/$name-$side"
    done
    rmdir /etc/netns 2> /dev/null || true
    ;;
  *) echo "two_machines.sh: up, on, ssh, cut or down expected, got '$1'" >&2; exit 2 ;;
esac
