{ debian, stdenv }:
stdenv.mkDerivation {
  pname = "tzdata";
  version = debian.version "tzdata";
  deb = debian.deb "tzdata";
  buildCommand = ''
    dpkg-deb -x $deb .
    mkdir -p $out/share
    cp -a usr/share/zoneinfo $out/share/
  '';
}
