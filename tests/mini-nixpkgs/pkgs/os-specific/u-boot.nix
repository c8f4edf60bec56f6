{ debian, stdenv, package ? "u-boot-qemu", board ? "qemu_arm64" }:
stdenv.mkDerivation {
  pname = "u-boot-${board}";
  version = debian.version package;
  deb = debian.deb package;
  inherit board;
  buildCommand = ''
    dpkg-deb -x $deb .
    mkdir $out
    cp usr/lib/u-boot/$board/u-boot.bin $out/
  '';
}
