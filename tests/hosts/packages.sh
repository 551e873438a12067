#!/usr/bin/env bash
# Builds stub packages of ScaleIO into a folder, as .rpm (el7), .deb (Ubuntu
# 18.04) and bundles of plain files: the vendor's names, variables and services,
# and none of its code. Beside them stubs of REX-Ray and dvdcli, and in `os` what
# the operating system has for them. Built once for
# what is in these scripts, and kept in the second folder.
set -euo pipefail
stubs=$(dirname "$0")/stubs
kept=$2/packages-$(cat "$0" "$stubs"/* | sha256sum | cut -c1-16)
if [[ -d $kept ]]; then
    cp -a "$kept/." "$1"
    exit 0
fi
out=$(realpath "$1")
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

# What is in a component's package, at its place.
fill() {
    local root=$1 component=$2
    mkdir -p "$root/opt/emc/scaleio/$component/bin" "$root/usr/lib/systemd/system"
    case $component in
    sds)
        cat >"$root/opt/emc/scaleio/sds/bin/sds" <<'PY'
#!/usr/bin/python3
import os, socket, threading, time
# /etc/sio-stub-sds says this host's address, and where the world is in which this server shows.
own, world = "127.0.0.1", None
if os.path.exists("/etc/sio-stub-sds"):
    own, world = open("/etc/sio-stub-sds").read().split()
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((own, 7072))
server.listen()
def show():
    host, port = world.split(":")
    version = open("/opt/emc/scaleio/sds/version").read().strip()
    while True:
        try:
            line = socket.create_connection((host, int(port)))
            line.sendall(f"sds\t{own}\t{version}\n".encode())
            line.recv(1)
        except OSError:
            pass
        time.sleep(0.2)
if world:
    threading.Thread(target=show, daemon=True).start()
while True:
    server.accept()[0].close()
PY
        unit=sds service='ExecStart=/opt/emc/scaleio/sds/bin/sds'
        ;;
    mdm)
        # /etc/sio-stub-mdm says this host's address and where the landscape of all MDMs is.
        cat >"$root/opt/emc/scaleio/mdm/bin/mdm" <<'PY'
#!/usr/bin/python3
import socket, time
own, land = open("/etc/sio-stub-mdm").read().split()
is_manager = "actor_role_is_manager=1" in open("/opt/emc/scaleio/mdm/cfg/conf.txt").read()
held = []
for at in [9011, 6611] if is_manager else [9011]:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((own, at))
    server.listen()
    held.append(server)
host, port = land.split(":")
version = open("/opt/emc/scaleio/mdm/version").read().strip()
while True:
    try:
        line = socket.create_connection((host, int(port)))
        line.sendall(f"daemon\t{own}\t{int(is_manager)}\t{version}\n".encode())
        line.recv(1)
    except OSError:
        pass
    time.sleep(0.2)
PY
        mkdir -p "$root/usr/bin"
        cat >"$root/usr/bin/scli" <<'PY'
#!/usr/bin/python3
import socket, sys
own, land = open("/etc/sio-stub-mdm").read().split()
args, typed = sys.argv[1:], []
def ask(prompt):
    # Passwords come from the terminal, whatever the standard input is.
    with open("/dev/tty", "r") as lines, open("/dev/tty", "w") as words:
        words.write(prompt)
        words.flush()
        typed.append(lines.readline().rstrip("\n"))
if "--login" in args and "--password" not in args:
    ask("Enter password: ")
if "--set_password" in args and "--old_password" not in args:
    for prompt in ("Enter old password: ", "Enter new password: ", "Confirm new password: "):
        ask(prompt)
host, port = land.split(":")
line = socket.create_connection((host, int(port)))
line.sendall(("\t".join(["scli", own, "\x1f".join(args), "\x1f".join(typed)]) + "\n").encode())
answer = b""
while piece := line.recv(4096):
    answer += piece
status, text = answer.decode().split("\n", 1)
(sys.stdout if status == "0" else sys.stderr).write(text)
sys.exit(int(status))
PY
        chmod 755 "$root/usr/bin/scli"
        unit=mdm service='ExecStart=/opt/emc/scaleio/mdm/bin/mdm'
        ;;
    sdc)
        cat >"$root/opt/emc/scaleio/sdc/bin/drv_cfg" <<'PY'
#!/usr/bin/python3
import os, sys
PATH = "/etc/emc/scaleio/drv_cfg.txt"
def guid():
    own = "/etc/sio-stub-guid"
    return open(own).read().strip() if os.path.exists(own) else "0D1E0D1E-0000-0000-0000-000000000001"
def lists():
    lines = open(PATH).read().splitlines() if os.path.exists(PATH) else []
    return [line[4:].split(",") for line in lines if line.startswith("mdm ")]
def keep(all):
    os.makedirs(os.path.dirname(PATH), exist_ok=True)
    open(PATH, "w").write(f"ini_guid {guid()}\n" + "".join(f"mdm {','.join(ips)}\n" for ips in all))
args = sys.argv[1:]
if args == ["--query_guid"]:
    print(guid())
elif args in (["--load_cfg_file", PATH], ["--boot_wait"]):
    pass
elif args == ["--query_mdms"]:
    all = lists()
    print(f"Retrieved {len(all)} mdm(s)")
    for ips in all:
        print("MDM-ID 4c8a0b2300000001 SDC ID 5d00000000000001 INSTALLATION ID 1234567890abcdef IPs " + " ".join(f"[{at}]-{ip}" for at, ip in enumerate(ips)))
elif args == ["--query_vols"]:
    count = int(open("/run/volumes").read()) if os.path.exists("/run/volumes") else 0
    print(f"Retrieved {count} volume(s)")
elif args[:2] == ["--add_mdm", "--ip"]:
    keep(lists() + [args[2].split(",")])
elif args[:2] == ["--mod_mdm_ip", "--ip"]:
    keep([args[4].split(",") if args[2] in ips else ips for ips in lists()])
else:
    sys.exit("usage: drv_cfg ...")
PY
        # What the driver is to the MDM. /etc/sio-stub-sdc says this host's address and where the world is.
        cat >"$root/opt/emc/scaleio/sdc/bin/scini" <<'PY'
#!/usr/bin/python3
import os, socket, time
PATH = "/etc/emc/scaleio/drv_cfg.txt"
own, world = None, None
if os.path.exists("/etc/sio-stub-sdc"):
    own, world = open("/etc/sio-stub-sdc").read().split()
def knows():
    lines = open(PATH).read().splitlines() if os.path.exists(PATH) else []
    return ";".join(line[4:] for line in lines if line.startswith("mdm "))
version, told, line = open("/opt/emc/scaleio/sdc/version").read().strip(), None, None
while True:
    try:
        now = knows()
        if world and now != told:
            host, port = world.split(":")
            if line is None:
                line = socket.create_connection((host, int(port)))
            line.sendall(f"sdc\t{own}\t{version}\t{now}\n".encode())
            told = now
    except OSError:
        told, line = None, None
    time.sleep(0.2)
PY
        unit=scini service='ExecStart=/opt/emc/scaleio/sdc/bin/scini'
        ;;
    lia)
        cat >"$root/opt/emc/scaleio/lia/bin/lia" <<'PY'
#!/usr/bin/python3
import os, socket
# What it knew when it started.
path = "/opt/emc/scaleio/lia/cfg/installation_id.txt"
open("/run/lia-id", "w").write(open(path).read() if os.path.exists(path) else "")
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", 9099))
server.listen()
while True:
    server.accept()[0].close()
PY
        unit=lia service='ExecStart=/opt/emc/scaleio/lia/bin/lia'
        ;;
    gateway)
        cat >"$root/opt/emc/scaleio/gateway/bin/gateway" <<'PY'
#!/usr/bin/python3
import os, socket, threading
path = "/opt/emc/scaleio/gateway/webapps/ROOT/WEB-INF/classes/gatewayUser.properties"
properties = open(path).read()
open("/run/gateway-properties", "w").write(properties)
# /etc/sio-stub-gateway says this host's address, and where the system is to which it is the way.
own, system = "127.0.0.1", None
if os.path.exists("/etc/sio-stub-gateway"):
    own, system = open("/etc/sio-stub-gateway").read().split()
knows = any(line.startswith("mdm.ip.addresses=") and line.strip()[-1] != "=" for line in properties.splitlines())
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((own, 443))
server.listen()
def carry(one, other):
    try:
        while piece := one.recv(65536):
            other.sendall(piece)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass
while True:
    client = server.accept()[0]
    # One that was told no managers answers nobody.
    if not (system and knows):
        client.close()
        continue
    host, port = system.split(":")
    line = socket.create_connection((host, int(port)))
    for ends in ((client, line), (line, client)):
        threading.Thread(target=carry, args=ends, daemon=True).start()
PY
        unit=scaleio-gateway service='ExecStart=/opt/emc/scaleio/gateway/bin/gateway'
        ;;
    esac
    chmod 755 "$root/opt/emc/scaleio/$component/bin/"*
    printf '[Unit]\nDescription=stub\n[Service]\n%s\n[Install]\nWantedBy=multi-user.target\n' "$service" \
        >"$root/usr/lib/systemd/system/$unit.service"
}

# The scripts: `wait` makes the last one wait for a file, `fail` makes it fail.
post() {
    local unit=$1 kind=$2 version=$3
    echo "echo \"MDM_IP=\$MDM_IP\" >>/run/seen"
    # How often each script ran, over boots.
    echo "echo $unit-$version >>/var/log/stub-scripts"
    case $kind in
    wait) echo 'echo $$ >/run/post.pid; i=0; while [ ! -e /run/go ] && [ $i -lt 200 ]; do sleep 0.1; i=$((i+1)); done' ;;
    fail) echo 'exit 3' ;;
    esac
    if [[ $unit == scini ]]; then
        # The module that the vendor's package brings for this kernel.
        echo "for os in RHEL7 Ubuntu18.04; do"
        echo "    cache=/bin/emc/scaleio/scini_sync/driver_cache/\$os/${version/-/.}/\$(uname -r)"
        echo '    mkdir -p "$cache"; : >"$cache/scini.ko"; done'
    fi
    if [[ $unit == mdm ]]; then
        echo 'mkdir -p /opt/emc/scaleio/mdm/cfg; echo "actor_role_is_manager=${MDM_ROLE_IS_MANAGER:-0}" >/opt/emc/scaleio/mdm/cfg/conf.txt'
    fi
    if [[ $unit == lia ]]; then
        echo '[ -n "$TOKEN" ] || { echo "LIA asks for TOKEN" >&2; exit 1; }'
        echo 'mkdir -p /opt/emc/scaleio/lia/cfg; echo "lia_token=$TOKEN" >/opt/emc/scaleio/lia/cfg/conf.txt'
    fi
    if [[ $unit == scaleio-gateway ]]; then
        echo '[ -n "$GATEWAY_ADMIN_PASSWORD" ] || { echo "the gateway asks for GATEWAY_ADMIN_PASSWORD" >&2; exit 1; }'
        echo 'cd /opt/emc/scaleio/gateway && mkdir -p webapps/ROOT/WEB-INF/classes && cd webapps/ROOT/WEB-INF/classes'
        echo '[ -e gatewayUser.properties ] || printf "mdm.ip.addresses=\nsecurity.bypass_certificate_check=false\n" >gatewayUser.properties'
    fi
    echo "systemctl daemon-reload; systemctl enable $unit; systemctl restart $unit"
}
sure='[ "$I_AM_SURE" = 1 ] || { echo "removal asks for I_AM_SURE=1" >&2; exit 1; }'

make() {
    local component=$1 version=$2 kind=${3:-} unit
    local root=$build/$component-$version
    fill "$root" "$component"
    # The vendor's gateway is for all systems, and its .deb has another kind of name.
    local rpm_tag=.el7 rpm_name="%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"
    local deb="EMC-ScaleIO-$component-$version.Ubuntu.18.04.x86_64.deb"
    [[ $component == gateway ]] && rpm_tag='' deb="emc-scaleio-gateway_${version}_amd64.deb"
    echo "$version" >"$root/opt/emc/scaleio/$component/version"
    [[ $kind == conflict ]] && mkdir -p "$root/opt/emc/scaleio/sds/bin" && echo other >"$root/opt/emc/scaleio/sds/bin/sds"
    local files
    files=$(cd "$root" && find . -type f | sed 's/^\.//')
    mkdir -p "$root/DEBIAN"
    printf 'Package: emc-scaleio-%s\nVersion: %s\nArchitecture: amd64\nMaintainer: nobody\nDescription: stub\n' \
        "$component" "$version" >"$root/DEBIAN/control"
    { echo '#!/bin/sh'; echo 'set -e'; post "$unit" "$kind" "$version"; } >"$root/DEBIAN/postinst"
    { echo '#!/bin/sh'; echo "if [ \"\$1\" = remove ]; then $sure; systemctl disable --now $unit; fi"; } >"$root/DEBIAN/prerm"
    chmod 755 "$root/DEBIAN/"{postinst,prerm}
    dpkg-deb --root-owner-group -Zgzip -b "$root" "$out/$deb" >/dev/null
    rm -rf "$root/DEBIAN"
    # rpmbuild takes the files away when it is done.
    cat >"$build/$component.spec" <<SPEC
Name: EMC-ScaleIO-$component
Version: ${version%%-*}
Release: ${version#*-}$rpm_tag
Summary: stub
License: none
BuildArch: x86_64
AutoReqProv: no
%description
A stub.
%post
$(post "$unit" "$kind" "$version")
%preun
if [ "\$1" = 0 ]; then
$sure
systemctl disable --now $unit
fi
%files
$files
SPEC
    rpmbuild --quiet -bb --target x86_64-linux --buildroot "$root" --define "_topdir $build" --define "_rpmdir $out" \
        --define "_build_name_fmt $rpm_name" --define '_binary_payload w1.gzdio' \
        --define 'debug_package %{nil}' --define '__os_install_post %{nil}' \
        --define "__spec_install_pre %{nil}" --define '__spec_clean_post %{nil}' --define '_unpackaged_files_terminate_build 0' \
        "$build/$component.spec"
    rm -rf "$root"
}

# Plain files for hosts without a package manager; `other` has a module of another kernel, `torn` is cut off.
bundle() {
    local component=$1 version=$2 kind=${3:-} root=$build/bare-$1-$2 kernel unit service
    fill "$root" "$component"
    if [[ $component == sdc ]]; then
        kernel=$(uname -r)
        [[ $kind == other ]] && kernel=1.2.3-other
        mkdir -p "$root/opt/emc/scaleio/sdc/modules/$kernel"
        echo "scini $version" >"$root/opt/emc/scaleio/sdc/modules/$kernel/scini.ko"
    fi
    echo "$version" >"$root/opt/emc/scaleio/$component/version"
    local file=$out/EMC-ScaleIO-$component-$version.x86_64.tgz
    tar -czf "$file" -C "$root/opt/emc/scaleio/$component" .
    [[ $kind != torn ]] || truncate -s 200 "$file"
    rm -rf "$root"
}

make sds 3.5-1.1
make sds 3.6-100.101
make sds 3.6-200.1 fail
make sds 3.6-300.1
make sds 3.6-400.1 wait
make sds 3.6-500.1 wait
make sdc 3.6-100.101
make sdc 3.6-200.1 conflict
make mdm 2.0-13000.211
make mdm 3.6-100.101
for component in lia gateway; do
    make $component 3.5-1.1
    make $component 3.6-100.101
    make $component 3.6-200.1 fail
    make $component 3.6-300.1
    make $component 3.6-400.1 conflict
done
bundle sds 3.5-1.1
bundle sds 3.6-100.101
bundle sds 3.6-200.1 torn
bundle sds 3.6-300.1
bundle sdc 3.5-1.1 other
bundle sdc 3.6-100.101
bundle sdc 3.6-200.1
mkdir "$out/os"
for name in numactl libaio bash-completion binutils java-1.8.0-openjdk; do
    cat >"$build/$name.spec" <<SPEC
Name: $name
Version: 1
Release: 1
Summary: stub
License: none
BuildArch: noarch
AutoReqProv: no
%description
A stub.
%files
SPEC
    rpmbuild --quiet -bb --define "_topdir $build" --define "_rpmdir $out/os" --define '_build_name_fmt %%{NAME}.rpm' "$build/$name.spec"
done
install -m 755 "$stubs/yum" "$out/os/yum"
install -m 755 "$stubs/rexray" "$out/rexray-0.11.4"
install -m 755 "$stubs/dvdcli" "$out/dvdcli-0.2.1"
# Whole or not at all: others may be building them too.
cp -a "$out" "$kept.$$"
mv -T "$kept.$$" "$kept" 2>/dev/null || rm -rf "$kept.$$"
