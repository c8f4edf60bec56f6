{ stdenv }:
# A cpio archive of copies of `sources` at `targets`, packed by the command `pack`: the same bytes for the same contents. `filling`
# are commands that add to the tree, `start` prints what is before the archive.
{ name, sources, targets, filling ? "", start ? "true", pack ? "cat" }:
stdenv.mkDerivation {
  inherit name sources targets;
  buildCommand = ''
    mkdir -p root $out
    set -- $targets
    for source in $sources; do
      mkdir -p root/$(dirname $1)
      cp -r $source root/$1
      shift
    done
    ${start} >$out/initrd
    # The kernel looks for an archive that is not compressed at multiples of four bytes.
    head -c $((-$(stat -c %s $out/initrd) & 3)) /dev/zero >>$out/initrd
    cd root
    ${filling}
    find . -exec touch -h -d @1 {} +
    # Inode numbers, devices and owners are the builder's: none of them belongs into the archive.
    find . | sort | cpio -o -H newc --renumber-inodes --ignore-devno -R 0:0 | ${pack} >>$out/initrd
  '';
}
