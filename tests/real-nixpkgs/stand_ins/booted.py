"""What only a system that boots needs (bootable.nix)."""
import os
import re

from debian import add
from files import write

# What Debian's programs look for at Debian's own paths, below /usr. Units and what else NixOS makes itself are left out: Debian's
# would be read beside NixOS's.
TAKEN = re.compile(r"s?bin$|lib(/systemd)?$|lib/(aarch64-linux-gnu|dbus-1\.0|locale|openssh)(/|$)|lib/udev$|share/perl5?(/|$)")
# NixOS leaves these where systemd was compiled to look for its own.
OF_SYSTEMD = re.compile(r"lib/systemd/system-generators$|lib/udev/rules\.d$")
# And where Debian's programs find what NixOS makes.
LINKS = {
    "sbin": "bin",
    "lib/modules": "/run/booted-system/kernel-modules/lib/modules",
    "share/dbus-1/system.conf": "/etc/dbus-1/system.conf",
}


def debian_root(store, place, _one, _output):
    """Programs, libraries and perl's modules of all packages of arm64, as Debian has them."""
    root = os.path.join(store.packages, "arm64")
    for package in sorted(set(os.listdir(root)) - {"linux-image", "u-boot-rpi"}):
        usr = os.path.join(root, package, "usr")
        for directory, names, files in os.walk(usr):
            below = os.path.relpath(directory, usr)
            if TAKEN.match(below) or package in ("systemd", "udev") and OF_SYSTEMD.match(below):
                for name in files + [n for n in names if os.path.islink(os.path.join(directory, n))]:
                    add(os.path.join(directory, name), os.path.join(place, re.sub(r"^sbin(?=/|$)", "bin", below), name), None)
    for name, target in LINKS.items():
        os.makedirs(os.path.dirname(os.path.join(place, name)), exist_ok=True)
        os.symlink(target, os.path.join(place, name))


RESOLVE_IN_ROOT = """#!/bin/sh
# In the place of NixOS's own program: where a path leads below another root.
path=$2
while [ -L "$1$path" ]; do
  link=$(readlink "$1$path")
  case $link in
    /*) path=$link ;;
    *) path=$(dirname "$path")/$link ;;
  esac
done
printf '%s\\n' "$path"
"""


def nixos_init(_store, place, _one, output):
    """The initrd asks it for the system to start."""
    if output == "out":
        write(os.path.join(place, "bin/resolve-in-root"), RESOLVE_IN_ROOT, 0o555)
