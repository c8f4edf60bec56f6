"""Makes stand-ins for the packages that the build of a real NixOS image takes from a binary cache.

    python3 stand_ins [--large] OUT DEBIAN GRAPH...

Writes OUT/store, the store paths; OUT/registration, what Nix is told about them; OUT/made-up, the files that are made up. DEBIAN
has the unpacked packages of Debian below `amd64` and `arm64`. A GRAPH is what `nix derivation show --recursive` prints of an
image; the last two are of another configuration, which tells what a binary cache can have: what both need. With --large the
packages of Perl have the size of real ones.

NixOS's own derivations are built. What they take from packages is made here: programs that builds run are Debian's, anything
else is a plausible file at each path that a derivation names.
"""
import sys

from graph import chosen, load
from store import Store


def main():
    words = sys.argv[1:]
    large = words[:1] == ["--large"]
    out, debian, *files = words[large:]
    graphs = [load(file) for file in files]
    built, needed = chosen(graphs[:-2], graphs[-2:])
    store = Store(out, debian, built, needed, large)
    store.make()
    said = f"{len(built)} derivations are built, {len(needed)} paths stand in, {len(store.made_up)} files are made up"
    print(said, file=sys.stderr)


main()
