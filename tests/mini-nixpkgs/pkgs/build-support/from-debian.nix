{ lib, debian, glibc, patchelf, stdenv }:
# Programs of Debian as a package of a Nix store: the named programs and their own libraries, with interpreter and
# library path inside the store. The first .deb gives name and version.
{ debs, programs, libraries ? [ "*.so*" ], pname ? builtins.head debs, postFixup ? "" }:
stdenv.mkDerivation {
  inherit pname programs libraries postFixup glibc;
  version = debian.version (builtins.head debs);
  debs = map debian.deb debs;
  nativeBuildInputs = [ patchelf ];
  inherit (debian) libFolder dynamicLinker;
  buildCommand = ''
    for deb in $debs; do dpkg-deb -x $deb .; done
    mkdir -p $out/bin $out/lib
    for name in $programs; do
      for directory in usr/bin usr/sbin usr/lib/openssh; do [ ! -e $directory/$name ] || cp -d $directory/$name $out/bin/; done
    done
    for file in $(cd $libFolder 2>/dev/null && ls -d $libraries 2>/dev/null); do cp -d $libFolder/$file $out/lib/; done
    patchelf --set-interpreter $glibc/lib/$dynamicLinker $(find $out/bin -type f)
    patchelf --set-rpath $out/lib:$glibc/lib $(find $out/bin $out/lib -type f)
    rmdir $out/lib 2>/dev/null || true
    eval "$postFixup"
  '';
  meta.mainProgram = builtins.head programs;
}
