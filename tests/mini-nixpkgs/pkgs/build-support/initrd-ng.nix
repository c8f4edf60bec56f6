{ stdenv }:
# A cpio archive of `contents` ([ { source; target; } ]) after those in `prepend`, as in nixpkgs; not compressed.
{ name ? "initrd", contents, prepend ? [ ], ... }:
stdenv.mkDerivation {
  inherit name prepend;
  sources = map (c: c.source) contents;
  targets = map (c: c.target) contents;
  buildCommand = ''
    mkdir -p root $out
    set -- $targets
    for source in $sources; do
      mkdir -p root/$(dirname $1)
      cp -r $source root/$1
      shift
    done
    cat $prepend >$out/initrd
    # The kernel looks for an archive that is not compressed at multiples of four bytes.
    head -c $((-$(stat -c %s $out/initrd) & 3)) /dev/zero >>$out/initrd
    cd root
    find . -exec touch -h -d @1 {} +
    find . | sort | cpio -o -H newc --renumber-inodes --ignore-devno -R 0:0 >>$out/initrd
  '';
}
