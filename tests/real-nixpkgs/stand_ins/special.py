"""Packages that need more than files of Debian: functions of the store, the path's place, its derivation and its output."""
import glob
import os
import re
import shutil
import subprocess

from booted import debian_root, nixos_init
from files import copy, replace, write

UNIT = re.compile(
    r"(?<![\w/@.-])([A-Za-z0-9@:_.\\-]+\.(?:service|socket|target|mount|automount|slice|timer|path|scope))(?![\w.-])"
)


def stdenv(_store, place, one, _output):
    """What its builder writes: the variables, then nixpkgs' own setup."""
    v = one.variables
    lines = [
        f"export SHELL={v['shell']}",
        f'initialPath="{words(v.get("initialPath"))}"',
        f'defaultNativeBuildInputs="{words(v.get("defaultNativeBuildInputs"))}"',
        f'defaultBuildInputs="{words(v.get("defaultBuildInputs"))}"',
        v.get("preHook", ""),
        f"source {v['setup']}",
    ]
    write(os.path.join(place, "setup"), "\n".join(lines) + "\n")
    write(os.path.join(place, "nix-support/propagated-user-env-packages"), "")


def words(value):
    """A list as a shell has it."""
    return " ".join(value) if isinstance(value, list) else value or ""


def kernel(store, place, one, output):
    """Debian's kernel, modules and device trees."""
    root = os.path.join(store.packages, "arm64/linux-image")
    source = os.path.join(root, "usr/lib/modules")
    version = os.listdir(source)[0]
    if output == "modules" or "modules" not in one.outputs:
        modules(store, source, place, version)
    if output == "out":
        shutil.copyfile(os.path.join(root, f"boot/vmlinuz-{version}"), os.path.join(place, "Image"))
        write(os.path.join(place, "System.map"), "")
        if "modules" in one.outputs:
            write(os.path.join(place, f"lib/modules/{version}/modules.order"), "")
        device_trees(os.path.join(root, f"usr/lib/linux-image-{version}"), os.path.join(place, "dtbs"))


def modules(store, source, place, version):
    """Debian's modules; what NixOS wants besides counts as built in."""
    wanted = {module for drv in store.built.values() for module in words(drv.variables.get("rootModules")).split()}
    copy(source, os.path.join(place, "lib/modules"))
    base = os.path.join(place, "lib/modules", version)
    have = {re.sub(r"\.ko.*", "", f).replace("-", "_") for _, _, files in os.walk(base) for f in files}
    with open(os.path.join(base, "modules.builtin"), "a", encoding="utf-8") as file:
        file.writelines(f"kernel/stand-in/{name}.ko\n" for name in sorted(wanted) if name.replace("-", "_") not in have)
    for link in ("build", "source"):
        if os.path.lexists(os.path.join(base, link)):
            os.remove(os.path.join(base, link))
    # The depmod of the container image: this machine may have none.
    root = os.path.join(store.packages, "../image/usr/lib")
    loader = [f"{root}64/ld-linux-x86-64.so.2", "--library-path", f"{root}/x86_64-linux-gnu", "--argv0", "depmod"]
    subprocess.run([*loader, os.path.join(store.packages, "amd64/kmod/usr/bin/kmod"), "-b", place, version], check=True)


def device_trees(source, target):
    for directory, _, files in os.walk(source):
        for file in files:
            if "broadcom" in directory or "rockchip" in directory:
                to = os.path.join(target, os.path.relpath(directory, source), file)
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copyfile(os.path.join(directory, file), to)


def kernel_config(store, place, _one, _output):
    boot = os.path.join(store.packages, "arm64/linux-image/boot")
    (name,) = (name for name in os.listdir(boot) if name.startswith("config-"))
    os.rmdir(place)
    shutil.copyfile(os.path.join(boot, name), place)
    os.chmod(place, 0o444)


def systemd(store, place, one, output):
    """NixOS takes units from `example`, and names those that it wants."""
    if output != "out":
        return
    for kind in ("system", "user"):
        units(store, place, one, kind)
    for name in ("udev/hwdb.d", "udev/rules.d", "tmpfiles.d", "sysusers.d", "sysctl.d"):
        os.makedirs(os.path.join(place, "lib", name), exist_ok=True)
    # NixOS replaces the package's own path in it.
    core = f"kernel.core_pattern=|{one.outputs['out']}/lib/systemd/systemd-coredump %P %u %g %s %t %c %h\n"
    write(os.path.join(place, "example/sysctl.d/50-coredump.conf"), core)


def units(store, place, one, kind):
    """Debian's units, and for what else is named a unit that does nothing."""
    source, target = (os.path.join(place, above, "systemd", kind) for above in ("lib", "example"))
    if os.path.isdir(source):
        copy(source, target)
    os.makedirs(target, exist_ok=True)
    for drv in store.built.values():
        if one.outputs["out"] not in drv.text or not re.match(r"(initrd-|system-|user-)?units", drv.name):
            continue
        for unit in UNIT.findall(drv.text):
            file = os.path.join(target, unit)
            if not os.path.lexists(file):
                write(file, f"[Unit]\nDescription={unit}\n")
        for wants in re.findall(r"([A-Za-z0-9@-]+\.target\.wants)", drv.text):
            os.makedirs(os.path.join(target, wants), exist_ok=True)


def make_initrd_ng(_store, place, _one, _output):
    """A program of our own: it copies what it is told, and what the links among it lead to."""
    our_program(place, "make-initrd-ng", "make-initrd-ng")


def json2x(_store, place, _one, _output):
    """A program of our own, which writes TOML."""
    our_program(place, "json2x", "json2x")


def remarshal(_store, place, _one, output):
    """The same under the name by which it writes YAML."""
    if output == "out":
        our_program(place, "json2x", "json2yaml")


def our_program(place, file, name):
    """Copies a program that lies beside the configurations."""
    target = os.path.join(place, "bin", name)
    os.makedirs(os.path.dirname(target))
    shutil.copyfile(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", file), target)
    os.chmod(target, 0o555)


WRAPPERS = """# In the place of nixpkgs' hook, which compiles programs: its options are left out.
makeBinaryWrapper() {
  mkdir -p "$(dirname "$2")"
  printf '#!%s\\nexec %s "$@"\\n' @shell@ "$1" >"$2"
  chmod +x "$2"
}
wrapProgramBinary() {
  local hidden
  hidden=$(dirname "$1")/.$(basename "$1")-wrapped
  mv "$1" "$hidden"
  makeBinaryWrapper "$hidden" "$1"
}
makeWrapper() { makeBinaryWrapper "$@"; }
wrapProgram() { wrapProgramBinary "$@"; }
"""


def wrappers(_store, place, one, _output):
    # The programs that nixpkgs' hook compiles name no shell; these scripts need one of the hook's own system.
    write(os.path.join(place, "nix-support/setup-hook"), WRAPPERS.replace("@shell@", one.builder))


def sudo(store, place, one, _output):
    """Debian's visudo needs libraries outside the usual directories."""
    target = os.path.join(place, "bin/visudo")
    if os.path.lexists(target):
        os.remove(target)
        store.program(target, one)


# What the Raspberry Pi's boot loader reads.
FIRMWARE = """bootcode.bin fixup.dat fixup4.dat start.elf start4.elf bcm2710-rpi-3-b.dtb bcm2710-rpi-3-b-plus.dtb bcm2710-rpi-cm3.dtb
bcm2710-rpi-zero-2.dtb bcm2710-rpi-zero-2-w.dtb bcm2711-rpi-4-b.dtb bcm2711-rpi-400.dtb bcm2711-rpi-cm4.dtb bcm2711-rpi-cm4s.dtb"""


def firmware(store, place, one, _output):
    """Device trees of Debian's kernel under their names in the Raspberry Pi's own, and files that are made up."""
    (trees,) = glob.glob(os.path.join(store.packages, "arm64/linux-image/usr/lib/linux-image-*/broadcom"))
    for name in FIRMWARE.split():
        target = os.path.join(place, "share/raspberrypi/boot", name)
        tree = os.path.join(trees, name.replace("bcm2710", "bcm2837"))
        if os.path.exists(tree):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(tree, target)
        else:
            write(target, f"{name} of {one.name}\n" * 1000)


def u_boot(store, place, one, output):
    """Debian's U-Boot for the board in the package's name, such as `uboot-rpi_3_defconfig`."""
    board = one.pname.removeprefix("uboot-").removesuffix("_defconfig")
    if output == "out":
        boards = os.path.join(store.packages, "arm64/u-boot-rpi/usr/lib/u-boot")
        shutil.copyfile(os.path.join(boards, board, "u-boot.bin"), os.path.join(place, "u-boot.bin"))


def aliases_of_modules(_store, place, one, _output):
    """Debian's file for modprobe, which is no directory."""
    os.rmdir(place)
    write(place, f"# {one.name}\n")


def linux_firmware(_store, place, one, _output):
    for number in range(200):
        write(os.path.join(place, f"lib/firmware/stand-in/{number}.bin"), f"{number} of {one.name}\n" * 2000)


def locales(_store, place, _one, _output):
    write(os.path.join(place, "lib/locale/locale-archive"), "locales\n" * 1000)
    write(os.path.join(place, "share/i18n/SUPPORTED"), "en_US.UTF-8/UTF-8 \\\nC.UTF-8/UTF-8 \\\n")


def dbus(_store, place, _one, _output):
    """NixOS copies and changes its configuration with xsltproc, which reads the document type."""
    elements = set()
    for name in ("system", "session"):
        file = os.path.join(place, f"share/dbus-1/{name}.conf")
        with open(file, encoding="utf-8") as text:
            changed = re.sub(r'"http://[^"]*\.dtd"', '"busconfig.dtd"', text.read())
        replace(file, changed)
        elements |= set(re.findall(r"<(\w+)", changed))
    for directory in ("share/dbus-1", "share/xml/dbus-1"):
        text = "".join(f"<!ELEMENT {name} ANY>\n" for name in sorted(elements))
        replace(os.path.join(place, directory, "busconfig.dtd"), text)


def bash(_store, place, _one, output):
    alias(place, output, "sh", "bash")


def which(_store, place, _one, output):
    alias(place, output, "which", "which.debianutils")


def gawk(_store, place, _one, output):
    alias(place, output, "awk", "gawk")


def iptables(_store, place, _one, output):
    """Debian's alternatives, which NixOS has no choice of."""
    for family in ("iptables", "ip6tables"):
        for does in ("", "-save", "-restore"):
            alias(place, output, family + does, "xtables-nft-multi")


def alias(place, output, name, program):
    """A name that Debian's maintainer scripts would have given to a program."""
    target = os.path.join(place, "bin", name)
    if output == "out" and not os.path.lexists(target):
        os.symlink(program, target)


def fakeroot(store, place, one, _output):
    """Debian's, with the programs that it looks for elsewhere."""
    with open(os.path.join(store.packages, one.arch, "fakeroot/usr/bin/fakeroot-sysv"), encoding="utf-8") as file:
        text = file.read()
    text = text.replace("FAKEROOT_BINDIR=/usr/bin", f"FAKEROOT_BINDIR=/nix/store/{os.path.basename(place)}/bin")
    write(os.path.join(place, "bin/fakeroot"), text.replace("getopt ", "/usr/bin/getopt "), 0o555)


def faketime(_store, place, _one, _output):
    target = os.path.join(place, "bin/faketime")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if not os.path.lexists(target):
        os.symlink("/usr/bin/faketime", target)


def nginx_formatter(_store, place, _one, _output):
    """It leaves the configuration as it is."""
    write(os.path.join(place, "bin/nginxfmt"), "#!/bin/sh\nexec cat\n", 0o555)


def gixy(store, place, one, output):
    """A check of nginx's configuration that finds nothing."""
    nothing(store, place, one, output, "gixy")


def postgresql(store, place, one, output):
    """NixOS runs it by the path of an environment, to check its configuration."""
    nothing(store, place, one, output, "postgres")


def podman(_store, place, _one, output):
    """NixOS takes a line out of what it has for temporary files, and adds to its units."""
    if output != "out":
        return
    write(os.path.join(place, "lib/tmpfiles.d/podman.conf"), "D! /run/podman 0700 root root\nD! /run/crun 0700 root root\n")
    for kind in ("service", "socket"):
        write(os.path.join(place, f"lib/systemd/system/podman.{kind}"), f"[Unit]\nDescription=podman.{kind}\n")


def nothing(store, place, one, output, name):
    """A program that does nothing."""
    if output == "out":
        target = os.path.join(place, "bin", name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        store.program(target, one)


SPECIAL = {
    "bash": bash, "bash-interactive": bash, "dbus": dbus, "debian-root": debian_root, "fakeroot": fakeroot,
    "gawk": gawk, "gixy": gixy, "glibc-locales": locales, "iptables": iptables, "json2x": json2x,
    "kmod-debian-aliases.conf": aliases_of_modules, "libfaketime": faketime, "linux": kernel, "linux-config": kernel_config,
    "linux-firmware": linux_firmware, "make-binary-wrapper-hook": wrappers, "make-initrd-ng": make_initrd_ng,
    "nginx-config-formatter": nginx_formatter, "nixos-init": nixos_init, "podman": podman, "postgresql": postgresql,
    "raspberrypi-firmware": firmware, "raspberrypifw": firmware, "remarshal": remarshal, "stdenv-linux": stdenv, "sudo": sudo,
    "systemd": systemd, "systemd-minimal": systemd, "uboot-rpi_3_defconfig": u_boot, "uboot-rpi_4_defconfig": u_boot, "which": which,
}
