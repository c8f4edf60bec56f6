{ stdenv }:
# A compressed cpio archive of `contents` ([ { object; symlink; } ], as in nixpkgs).
{ name ? "initrd", contents, ... }:
import ./cpio.nix { inherit stdenv; } {
  inherit name;
  sources = map (c: c.object) contents;
  targets = map (c: c.symlink) contents;
  filling = "mkdir -p dev proc sys run sysroot";
  pack = "gzip -9n";
}
