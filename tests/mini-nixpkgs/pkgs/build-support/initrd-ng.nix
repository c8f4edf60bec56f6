{ stdenv }:
# A cpio archive of `contents` ([ { source; target; } ]) after those in `prepend`, as in nixpkgs; not compressed.
{ name ? "initrd", contents, prepend ? [ ], ... }:
import ./cpio.nix { inherit stdenv; } {
  inherit name;
  sources = map (c: c.source) contents;
  targets = map (c: c.target) contents;
  start = if prepend == [ ] then "true" else "cat ${toString prepend}";
}
