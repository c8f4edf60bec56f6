"""Which packages of Debian stand for a package of nixpkgs, and how their files come to a store path."""
import os
import re
import shutil

DEBIAN = {
    "acl": "acl", "attr": "attr", "bash": "bash", "bash-completion": "bash-completion", "bash-interactive": "bash",
    "bind": "bind9-dnsutils", "btrfs-progs": "btrfs-progs", "bzip2": "bzip2", "coreutils": "coreutils",
    "coreutils-full": "coreutils", "cpio": "cpio", "cryptsetup": "cryptsetup-bin", "curl": "curl",
    "dash": "dash", "dbus": "dbus-daemon dbus-system-bus-common dbus-bin dbus dbus-session-bus-common dbus-user-session",
    "dbus-broker": "dbus-broker", "diffutils": "diffutils", "dosfstools": "dosfstools",
    "e2fsprogs": "e2fsprogs", "fakeroot": "fakeroot", "file": "file", "findutils": "findutils",
    "gawk": "gawk", "getent": "libc-bin", "glibc": "libc-bin libc6", "gnugrep": "grep", "gnumake": "make", "gnused": "sed",
    "gnutar": "tar", "grep": "grep", "gzip": "gzip", "iproute2": "iproute2", "iptables": "iptables", "iputils": "iputils-ping",
    "jq": "jq", "kbd": "kbd", "kexec-tools": "kexec-tools", "kmod": "kmod", "less": "less", "libcap": "libcap2-bin",
    "libfaketime": "faketime libfaketime", "libressl": "netcat-openbsd", "libxslt": "xsltproc",
    "linux-pam": "libpam0g libpam-modules libpam-modules-bin", "lndir": "xutils-dev", "logrotate": "logrotate",
    "lvm2": "lvm2 dmsetup", "make": "make", "man-db": "man-db", "mtools": "mtools", "nano": "nano",
    "ncurses": "ncurses-bin ncurses-base ncurses-term", "net-tools": "net-tools", "networkmanager": "network-manager",
    "nftables": "nftables", "openssh": "openssh-server openssh-client openssh-sftp-server", "patch": "patch",
    "patchelf": "patchelf", "perl": "perl perl-base", "procps": "procps", "python3": "python3-minimal python3.13-minimal",
    "python3-minimal": "python3-minimal python3.13-minimal", "rsync": "rsync", "shadow": "passwd login uidmap", "shadow-su": "util-linux",
    "strace": "strace", "sudo": "sudo",
    "systemd": "systemd udev systemd-timesyncd systemd-resolved systemd-container systemd-oomd systemd-cryptsetup systemd-repart"
    " systemd-sysv libpam-systemd",
    "systemd-minimal": "systemd udev", "systemd-minimal-libs": "libudev1", "tzdata": "tzdata tzdata-legacy",
    "util-linux": "util-linux util-linux-extra mount fdisk bsdutils login",
    "util-linux-minimal": "util-linux util-linux-extra mount fdisk bsdutils", "which": "debianutils",
    "wirelesstools": "wireless-tools", "wpa_supplicant": "wpasupplicant", "xz": "xz-utils", "zstd": "zstd",
}
TRIPLES = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
LEFT_OUT = ("share/doc", "share/man", "share/locale", "share/lintian")


def unpack(debian, package, arch, output, place):
    """Copies the files of a package into the store path `place`: without `usr`, programs in bin, libraries in lib."""
    root = os.path.join(debian, arch, package)
    for directory, names, files in os.walk(root):
        below = os.path.relpath(directory, root)
        to = moved(below, arch)
        # Units of several outputs would be in the way of each other.
        if to.startswith(LEFT_OUT) or to.startswith("lib/systemd") and output not in ("out", "bin"):
            continue
        for name in files + [n for n in names if os.path.islink(os.path.join(directory, n))]:
            # amd64's programs are in the container image.
            installed = "/" + os.path.join(below, name) if arch == "amd64" and to in ("bin", "lib/systemd") else None
            add(os.path.join(directory, name), os.path.join(place, to, name), installed)
    if os.path.isdir(os.path.join(place, "bin")) and not os.path.lexists(os.path.join(place, "sbin")):
        os.symlink("bin", os.path.join(place, "sbin"))


def moved(below, arch):
    """Where the files of a directory of Debian are in a store path."""
    to = re.sub(r"^(\./)?(usr/)?", "", below)
    return re.sub(r"^sbin", "bin", re.sub(rf"^lib/{TRIPLES[arch]}(?=/|$)", "lib", to))


def add(source, target, installed):
    """Copies a file, or links to where it is `installed` in the container image."""
    if os.path.lexists(target):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if installed:
        os.symlink(installed, target)
    elif os.path.islink(source):
        link = os.readlink(source)
        os.symlink(os.path.basename(link) if link.startswith("/") else link, target)
    else:
        shutil.copyfile(source, target)
        os.chmod(target, 0o555 if os.stat(source).st_mode & 0o100 else 0o444)
