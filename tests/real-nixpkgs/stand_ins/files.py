"""Reads and writes files."""
import os
import shutil


def write(target, text, mode=0o444):
    """Writes a file with the directories above it."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(target, mode)


def replace(target, text):
    """Writes a file in the place of another, if there is one."""
    if os.path.lexists(target):
        os.remove(target)
    write(target, text)


def copy(source, target):
    """Copies a directory into another; links stay links."""
    shutil.copytree(source, target, symlinks=True, copy_function=shutil.copyfile, dirs_exist_ok=True)


def contents(place):
    """What may name store paths: the bytes of all files and links."""
    if os.path.islink(place):
        yield os.readlink(place).encode()
    elif os.path.isfile(place):
        with open(place, "rb") as file:
            yield file.read()
    else:
        for entry in sorted(os.listdir(place)):
            yield from contents(os.path.join(place, entry))
