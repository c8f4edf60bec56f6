"""Writes the store paths."""
import os
import re
import shutil

import debian
import large
from files import contents, replace, write
from special import SPECIAL

# A colon before a slash separates two paths.
PATH = re.compile(r"/nix/store/([0-9a-z]{32}-[0-9A-Za-z+._?=-]+)((?:/(?:[0-9A-Za-z+._@=\\-]|:(?!/))+)*)")
# Names that are directories rather than files, where nothing else tells.
DIRECTORIES = set(
    "applications bin boot dbus-1 dtbs etc example firmware include info lib libexec locale man modules perl5 rc.d sbin security"
    " share site_perl system system-services systemd terminfo udev user xml zoneinfo".split()
)
# What is a single file where nothing below it is named, as sources are.
SINGLE_FILE = re.compile(r"\.(sh|nix|tar\.\w+|patch|zip|conf|bin|json|gz|xml)$")


class Store:
    """Store paths to make: `needed` has (derivation, output) by path; `built` has the derivations that use them, by path.

    With `filled` the packages of large.py have the size of real ones.
    """

    def __init__(self, out, packages, built, needed, filled):
        self.out, self.packages, self.built, self.needed, self.filled = out, packages, built, needed, filled
        self.directory = os.path.join(out, "store")
        self.made_up = []
        # What is named below each path, without what follows it in a string of a shell or a pattern of sed.
        self.named = {}
        for one in [*built.values(), *(drv for drv, _ in needed.values())]:
            for name, below in PATH.findall(one.text):
                self.named.setdefault(name, set()).add(re.split(r"\\(?!x)|@g$", below)[0].strip("/").rstrip(".:"))

    def make(self):
        """Writes everything below `out`."""
        os.makedirs(self.directory)
        for path, (one, output) in sorted(self.needed.items()):
            self.path(path, one, output)
        self.register()
        with open(os.path.join(self.out, "made-up"), "w", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in self.made_up)

    def path(self, path, one, output):
        """Writes one store path."""
        base = os.path.basename(path)
        place, names = os.path.join(self.directory, base), self.named.get(base, set()) - {""}
        special, packages = SPECIAL.get(one.pname), debian.DEBIAN.get(one.pname)
        if not special and packages is None and SINGLE_FILE.search(one.name) and output == "out" and not names:
            write(place, f"# {one.name}\n")
            return
        os.makedirs(place)
        for package in (packages or "").split():
            debian.unpack(self.packages, package, one.arch, output, place)
        if special:
            special(self, place, one, output)
        if os.path.isfile(place):
            return
        self.rules(place, path, one)
        if self.filled and output == "out" and large.NAME.match(one.name):
            large.fill(place, one.name)
        # The longest first: a directory is known by what is in it.
        for name in sorted(names, reverse=True):
            self.plausible(place, name, one)
        if not os.listdir(place):
            # An environment has the files of several.
            write(os.path.join(place, "share/stand-ins", f"{one.name}-{output}"), one.name + "\n")

    def plausible(self, place, name, one):
        """Something at a path that a derivation names."""
        target = os.path.join(place, name)
        if os.path.lexists(target):
            return
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            return
        directory, base = os.path.split(name)
        if os.path.basename(directory) in ("bin", "sbin", "libexec") or "-generators" in directory or name.startswith("lib/systemd/systemd"):
            self.program(target, one)
        elif base in DIRECTORIES or base.endswith(".d") or "." not in base and not directory:
            os.makedirs(target)
            return
        else:
            write(target, f"# {name} of {one.name}\n")
        self.made_up.append(f"{os.path.basename(place)}/{name}")

    def rules(self, place, path, one):
        """Changes Debian's paths in rules of udev, and makes up the programs that they name."""
        directory = os.path.join(place, "lib/udev/rules.d")
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            file = os.path.join(directory, name)
            with open(file, encoding="utf-8") as text:
                changed = re.sub(r"/(usr/)?(s?bin|lib)/", rf"{path}/\2/", text.read())
            replace(file, changed)
            for program in re.findall(rf"{path}/([\w/.-]+)", changed):
                target = os.path.join(place, program)
                if not os.path.lexists(target):
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    self.program(target, one)

    def program(self, target, one):
        """A program that does nothing."""
        if one.arch == "amd64":
            os.symlink("/usr/bin/true", target)
        else:
            shutil.copyfile(os.path.join(self.packages, "arm64/coreutils/usr/bin/true"), target)
            os.chmod(target, 0o555)

    def register(self):
        """Writes what `nix-store --register-validity` reads: path, deriver, number of references, references."""
        names = {os.path.basename(path).encode()[:32]: path for path in self.needed}
        with open(os.path.join(self.out, "registration"), "w", encoding="utf-8") as file:
            for path in sorted(self.needed):
                references = set()
                for text in contents(os.path.join(self.directory, os.path.basename(path))):
                    found = set(re.findall(rb"(?<=/nix/store/)[0-9a-z]{32}", text))
                    references |= {names[one] for one in found if one in names}
                lines = [path, "", str(len(references)), *sorted(references)]
                file.write("\n".join(lines) + "\n")
