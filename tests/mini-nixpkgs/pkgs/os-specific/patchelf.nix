{ debian, glibc, stdenv }:
# The program that all others are fitted into the store with, so it is fitted by itself: once through the store's
# own dynamic linker.
stdenv.mkDerivation {
  pname = "patchelf";
  version = debian.version "patchelf";
  debs = map debian.deb [ "patchelf" "libstdc++6" "libgcc-s1" ];
  inherit (debian) libFolder dynamicLinker;
  inherit glibc;
  buildCommand = ''
    for deb in $debs; do dpkg-deb -x $deb .; done
    mkdir -p $out/bin $out/lib
    cp usr/bin/patchelf $out/bin/
    cp -d $libFolder/*.so* $out/lib/
    run() { $glibc/lib/$dynamicLinker --library-path $glibc/lib:$PWD/$libFolder usr/bin/patchelf "$@"; }
    run --set-interpreter $glibc/lib/$dynamicLinker $out/bin/patchelf
    run --set-rpath $out/lib:$glibc/lib $(find $out -type f)
  '';
}
