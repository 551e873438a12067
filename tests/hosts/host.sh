#!/usr/bin/env bash
# One test host: systemd as process 1 in a root of its own, on the machine's
# loopback, or wired to a bridge of the machine with an address of its own. More
# options for systemd-nspawn are read from the file `opts` of its folder. In the folder $LAB:
#   bridge NAME ADDRESS/BITS
#   up NAME LOWERDIRS SIO | wire NAME BRIDGE ADDRESS/BITS | poweron NAME | in NAME CMD... | poweroff NAME | down NAME
set -u
: "${LAB:?}"
n=$2 d=$LAB/$2
groups="/sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup"
lab=$(basename "$LAB")
# Where cgroups can be made; nspawn puts a host below its own, so each gets one.
cgroups() { for g in $groups; do [ -e "$g/cgroup.procs" ] && { [ "$g" != /sys/fs/cgroup ] || [ ! -d /sys/fs/cgroup/systemd ]; } && echo "$g/$lab"; done; }
leader() {
    local p c
    p=$(cat "$d/nspawn.pid" 2>/dev/null) && [ -d "/proc/$p" ] || return 1
    for c in $(cat "/proc/$p/task/$p/children"); do
        [ "$(awk '/^NSpid/{print $NF}' "/proc/$c/status")" = 1 ] && echo "$c" && return
    done
    return 1
}
poweron() {
    rm -f "$d/off"
    (
        for c in $(cgroups); do mkdir -p "$c/$n" && echo $BASHPID >"$c/$n/cgroup.procs"; done
        export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
        while [ ! -e "$d/off" ]; do
            systemd-nspawn -q -b -D "$d/root" --machine="$n" --hostname="$n" --register=no --keep-unit \
                --drop-capability=CAP_MKNOD --console=pipe --link-journal=no --resolv-conf=off --timezone=off \
                --bind-ro="$(cat "$d/sio")":/usr/local/bin/sio $(cat "$d/opts" "$d/wire" 2>/dev/null) &
            echo $! >"$d/nspawn.pid"
            wait $!
            # 133: it rebooted.
            [ $? = 133 ] || break
        done
    ) </dev/null >>"$d/console.log" 2>&1 &
}
gone() { for _ in $(seq 100); do [ -d "/proc/$(cat "$d/nspawn.pid")" ] || return 0; sleep .1; done; return 1; }
case $1 in
bridge)
    ip link add "$n" type bridge && ip addr add "$3" dev "$n" && ip link set "$n" up
    ;;
wire)
    # The space of names, and the machine's end of the cable.
    net=$3-$n
    ip netns add "$net" && ip -n "$net" link set lo up || exit 1
    ip link add "$net" type veth peer name eth0 netns "$net" || exit 1
    ip link set "$net" master "$3" up || exit 1
    ip -n "$net" addr add "$4" dev eth0 && ip -n "$net" link set eth0 up || exit 1
    echo " --network-namespace-path=/run/netns/$net" >"$d/wire"
    ;;
up)
    mkdir -p "$d/up" "$d/wk" "$d/root"
    echo "$4" >"$d/sio"
    mount -t overlay overlay -o "lowerdir=$3,upperdir=$d/up,workdir=$d/wk" "$d/root" || exit 1
    : >"$d/root/etc/machine-id"
    echo "$n" >"$d/root/etc/hostname"
    : >"$d/root/usr/local/bin/sio"
    ;;
poweron) poweron ;;
poweroff) touch "$d/off"; p=$(leader) && kill -9 "$p"; gone ;;
in)
    shift 2
    p=$(leader) || exit 125
    # nsenter keeps all capabilities; without this, root in a host could write to the machine's disks.
    exec nsenter -t "$p" -m -u -i -n -p -C -r -w -- setpriv --bounding-set=-mknod -- "$@"
    ;;
down)
    touch "$d/off"
    p=$(leader) && kill -s RTMIN+4 "$p"
    gone || { p=$(leader) && kill -9 "$p"; gone; }
    [ ! -e "$d/wire" ] || ip netns del "$(basename "$(cat "$d/wire")")"
    umount "$d/root"
    for c in $(cgroups); do find "$c" -depth -type d -exec rmdir {} + 2>/dev/null; done
    ;;
esac
