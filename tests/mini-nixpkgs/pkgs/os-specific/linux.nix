{ lib, debian, stdenv }:
# Debian's kernel for virtual machines. Its release stands in the package's name, which only the lock knows.
let
  pattern = "linux-image-([0-9].*)";
  name = lib.findFirst (name: builtins.match pattern name != null) (throw "no kernel in the lock") debian.names;
  inherit (stdenv.hostPlatform) isAarch64;
in
stdenv.mkDerivation {
  pname = "linux";
  version = debian.version name;
  deb = debian.deb name;
  outputs = [ "out" "modules" ];
  file = if isAarch64 then "Image" else "bzImage";
  buildCommand = ''
    dpkg-deb -x $deb .
    mkdir -p $out $modules/lib
    mv boot/vmlinuz-* $out/$file
    mv usr/lib/modules $modules/lib/
  '';
  passthru = {
    modDirVersion = builtins.head (builtins.match pattern name);
    target = if isAarch64 then "Image" else "bzImage";
  };
}
