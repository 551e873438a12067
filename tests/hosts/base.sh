#!/usr/bin/env bash
# Makes the roots of test hosts in a folder, once: base (Debian 12 with systemd,
# dpkg, rpm and what a Mesos agent needs), and layers over it that make it an
# "el7", an "Ubuntu" and a "Flatcar".
set -euo pipefail
folder=$1
include=systemd,systemd-sysv,dbus,udev,procps,rpm,util-linux,fdisk,e2fsprogs,python3
include+=,libsvn1,libapr1,libsasl2-2,libsasl2-modules,libcurl4
# Another list or another script makes another base.
key=$(cat "$0" | sha256sum | cut -c1-16)
[[ -e $folder/$key.done ]] && exit 0
# Several tests of one program ask at the same time: one makes them, the others wait for that.
mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
flock 9
[[ -e $folder/$key.done ]] && exit 0
rm -rf "$folder" && mkdir -p "$folder" && cd "$folder"
mmdebstrap --quiet --variant=minbase --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --include=$include bookworm base
rm -f base/etc/resolv.conf base/etc/hostname

# What the layers have goes through an overlay, so that removals are kept too.
layer() {
    mkdir -p "$1" work merged
    mount -t overlay overlay -o "lowerdir=$PWD/base,upperdir=$PWD/$1,workdir=$PWD/work" merged
}
leave() {
    umount merged
    rm -rf work merged
}

layer el7
rm -f merged/etc/os-release
cat >merged/etc/os-release <<'OS'
NAME="CentOS Linux"
ID="centos"
VERSION_ID="7"
ID_LIKE="rhel fedora"
PRETTY_NAME="CentOS Linux 7 (Core)"
OS
# Gone, as on a host of that family.
rm -rf merged/usr/bin/dpkg* merged/usr/bin/apt* merged/var/lib/dpkg merged/var/lib/apt merged/etc/debian_version
mkdir -p merged/etc/rpm merged/var/lib/rpm
echo '%_dbpath /var/lib/rpm' >merged/etc/rpm/macros.dbpath
# Debian's rpm warns at each call that this is a Debian.
mv merged/usr/bin/rpm merged/usr/bin/rpm.bin
printf '#!/bin/sh\nexec /usr/bin/rpm.bin --force-debian "$@"\n' >merged/usr/bin/rpm && chmod 755 merged/usr/bin/rpm
# Something in the database must provide what packages ask for.
build=$(mktemp -d)
cat >"$build/release.spec" <<'SPEC'
Name: centos-release
Version: 7
Release: 9
Summary: what scripts need
License: none
BuildArch: noarch
AutoReqProv: no
Provides: /bin/sh
Provides: /usr/sbin/useradd
Provides: glibc = 2.17
%description
What scripts need.
%files
SPEC
rpmbuild --quiet -bb --define "_topdir $build" --define "_rpmdir $build/RPMS" \
    --define '_build_name_fmt %%{NAME}.rpm' "$build/release.spec"
rpm --force-debian --root "$PWD/merged" --dbpath /var/lib/rpm -i "$build/RPMS/centos-release.rpm"
rm -rf "$build"
leave

# No package manager; that /usr cannot be written is up to the host.
layer flatcar
rm -f merged/etc/os-release
cat >merged/etc/os-release <<'OS'
NAME="Flatcar Container Linux by Kinvolk"
ID=flatcar
ID_LIKE=coreos
VERSION_ID=3760.2.0
PRETTY_NAME="Flatcar Container Linux by Kinvolk 3760.2.0 (Oklo)"
OS
rm -rf merged/usr/bin/{dpkg,apt,rpm}* merged/var/lib/{dpkg,apt,rpm} merged/etc/debian_version
# The kernel of a test machine takes no modules: these keep what it would know of one, and start what stands for it.
rm -f merged/usr/sbin/{insmod,rmmod}
cat >merged/usr/sbin/insmod <<'SH'
#!/bin/sh
[ -s "$1" ] || exit 1
mkdir -p /run/stub
cp "$1" /run/stub/loaded
printf 'Character devices:\n  1 mem\n246 scini\n' >/run/stub/devices
mount --bind /run/stub/devices /proc/devices
# Where a test has a system in which the client shows. As a module it belongs to no service.
if [ -e /etc/sio-stub-sdc ]; then
    systemd-run --quiet --collect --unit=stub-scini /opt/emc/scaleio/sdc/bin/scini
fi
SH
cat >merged/usr/sbin/rmmod <<'SH'
#!/bin/sh
[ ! -e /etc/sio-stub-sdc ] || systemctl stop stub-scini
umount /proc/devices
rm -rf /run/stub
SH
# Nor may a host make devices.
printf '#!/bin/sh\necho "$*" >"$1"\n' >merged/usr/bin/mknod
# Waits, where a test wants to kill somebody in its middle.
cat >merged/usr/local/sbin/tar <<'SH'
#!/bin/sh
if [ -e /run/slow ]; then
    echo $$ >/run/tar.pid
    while [ ! -e /run/go ]; do sleep 0.05; done
fi
exec /usr/bin/tar "$@"
SH
chmod 755 merged/usr/sbin/{insmod,rmmod} merged/usr/bin/mknod merged/usr/local/sbin/tar
leave

layer ubuntu
rm -f merged/etc/os-release
printf 'NAME="Ubuntu"\nID=ubuntu\nVERSION_ID="18.04"\nPRETTY_NAME="Ubuntu 18.04 LTS"\n' >merged/etc/os-release
leave
touch "$key.done"
