{ stdenv }:
# A cpio archive of `contents` ([ { object; symlink; } ], as in nixpkgs): the same bytes for the same contents.
{ name ? "initrd", contents, ... }:
stdenv.mkDerivation {
  inherit name;
  objects = map (c: c.object) contents;
  places = map (c: c.symlink) contents;
  buildCommand = ''
    mkdir -p root $out
    set -- $places
    for object in $objects; do
      mkdir -p root/$(dirname $1)
      cp -r $object root/$1
      shift
    done
    cd root
    mkdir -p dev proc sys run sysroot
    find . -exec touch -h -d @1 {} +
    # Inode numbers, devices and owners are the builder's: none of them belongs into the archive.
    find . | sort | cpio -o -H newc --renumber-inodes --ignore-devno -R 0:0 | gzip -9n >$out/initrd
  '';
}
