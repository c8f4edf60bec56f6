{ lib, debian, glibc, patchelf, stdenv }:
# Programs of Debian as a package of a Nix store: the named programs and their own libraries, with interpreter and
# library path inside the store. The first .deb gives name and version.
{ debs, programs ? [ ], pname ? builtins.head debs, postInstall ? "" }:
stdenv.mkDerivation {
  inherit pname programs postInstall glibc;
  version = debian.version (builtins.head debs);
  debs = map debian.deb debs;
  nativeBuildInputs = [ patchelf ];
  inherit (debian) libFolder dynamicLinker;
  buildCommand = ''
    for deb in $debs; do dpkg-deb -x "$deb" .; done
    mkdir -p $out/bin $out/lib
    for name in $programs; do
      for folder in usr/bin usr/sbin; do [ ! -e $folder/$name ] || cp -d $folder/$name $out/bin/; done
    done
    for lib in $libFolder/*.so*; do [ ! -e "$lib" ] || cp -d "$lib" $out/lib/; done
    eval "$postInstall"
    patchelf --set-interpreter $glibc/lib/$dynamicLinker $(find $out/bin -type f)
    patchelf --set-rpath $out/lib:$glibc/lib $(find $out/bin $out/lib -type f)
    rmdir $out/lib 2>/dev/null || true
  '';
  meta.mainProgram = builtins.head (programs ++ [ pname ]);
}
