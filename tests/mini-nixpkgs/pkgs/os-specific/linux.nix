{ lib, debian, stdenv, forBoards ? false }:
# Debian's kernel: the one for virtual machines, or with `forBoards` the one with the drivers and device trees of boards. Its
# release stands in the package's name, which only the lock knows.
let
  pattern = if forBoards then "linux-image-([0-9][^-]*-arm64)" else "linux-image-([0-9].*-cloud-.*)";
  name = lib.findFirst (name: builtins.match pattern name != null) (throw "no kernel in the lock") debian.names;
  target = if stdenv.hostPlatform.isAarch64 then "Image" else "bzImage";
in
stdenv.mkDerivation {
  pname = "linux";
  version = debian.version name;
  src = debian.deb name;
  outputs = [ "out" "modules" ];
  inherit target;
  buildCommand = ''
    dpkg-deb -x $src .
    mkdir -p $out $modules/lib
    mv boot/vmlinuz-* $out/$target
    mv usr/lib/modules $modules/lib/
    [ -z "${lib.optionalString forBoards "trees"}" ] || mv usr/lib/linux-image-* $out/dtbs
  '';
  passthru = {
    modDirVersion = builtins.head (builtins.match pattern name);
    buildDTBs = forBoards;
    inherit target;
  };
}
