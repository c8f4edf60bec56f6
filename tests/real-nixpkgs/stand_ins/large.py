"""Packages of the size that a real system has on the average: 75 files and 2 MB, which compress to some 40 %."""
import os
import random
import re

# Those of `large-packages.nix`. Other configurations have few of them.
NAME = re.compile(r"^perl5\.\d+\.\d+-")
FILES = 75
BYTES = 27_000


def fill(place, name):
    """Writes the files of the package `name`: the same ones each time, and others for each package, at paths of its own, because
    Perl's environments join packages."""
    numbers = random.Random(name)
    directory = os.path.join(place, "share/stand-ins", name)
    os.makedirs(directory, exist_ok=True)
    for number in range(FILES):
        # Half as much and half as much again: sizes differ.
        size = numbers.randrange(BYTES // 2, BYTES * 3 // 2)
        unique = numbers.randbytes(size * 2 // 5)
        with open(os.path.join(directory, str(number)), "wb") as file:
            file.write(unique + b"as good as any other line\n" * ((size - len(unique)) // 26))
