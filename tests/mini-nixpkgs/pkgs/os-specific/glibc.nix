{ lib, debian, stdenv }:
stdenv.mkDerivation {
  pname = "glibc";
  version = debian.version "libc6";
  deb = debian.deb "libc6";
  inherit (debian) libFolder;
  # Of the character sets only the one that mcopy wants.
  buildCommand = ''
    dpkg-deb -x $deb .
    mkdir -p $out/lib/gconv
    cp -d $libFolder/*.so* $out/lib/
    cp $libFolder/gconv/IBM850.so $out/lib/gconv/
    grep -E '^(alias|module)[[:space:]].*(IBM|CP)850' $(find $libFolder/gconv -name '*.conf' -o -name gconv-modules) -h >$out/lib/gconv/gconv-modules
  '';
}
