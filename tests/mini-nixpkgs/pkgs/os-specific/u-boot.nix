{ debian, stdenv }:
stdenv.mkDerivation {
  pname = "u-boot-qemu";
  version = debian.version "u-boot-qemu";
  deb = debian.deb "u-boot-qemu";
  buildCommand = ''
    dpkg-deb -x $deb .
    mkdir $out
    cp usr/lib/u-boot/qemu_arm64/u-boot.bin $out/
  '';
}
