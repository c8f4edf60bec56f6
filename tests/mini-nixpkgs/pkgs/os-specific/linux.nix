{ lib, debian, stdenv }:
# Debian's kernel for virtual machines. Its release stands in the package's name, which only the lock knows.
let
  pattern = "linux-image-([0-9].*)";
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
  '';
  passthru = {
    modDirVersion = builtins.head (builtins.match pattern name);
    inherit target;
  };
}
