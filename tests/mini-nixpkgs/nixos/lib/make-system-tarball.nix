# A compressed archive of a root directory with a store. Takes what nixpkgs' function of this name takes.
{ stdenv, closureInfo, xz-utils, fakeroot, fileName, contents, storeContents ? [ ], extraCommands ? "", ... }:
stdenv.mkDerivation {
  name = "tarball";
  nativeBuildInputs = [ xz-utils fakeroot ];
  sources = map (c: c.source) contents;
  targets = map (c: c.target) contents;
  buildCommand = ''
    closureInfo=${closureInfo { rootPaths = map (c: c.object) storeContents; }}
    mkdir -p root/nix/store $out/tarball $out/nix-support
    set -- $targets
    for source in $sources; do
      mkdir -p root$(dirname $1)
      cp -a $source root$1
      shift
    done
    cp -RpP $(cat $closureInfo/store-paths) root/nix/store/
    cp $closureInfo/registration root/nix-path-registration
    cd root
    ${extraCommands}
    chmod u+w . nix nix/store
    find . -exec touch -h -d @1 {} +
    # busybox' tar has no option for an order; the lowest level, because the compressor is emulated.
    fakeroot tar -c --no-recursion -f ../root.tar $(find . -mindepth 1 | sort)
    xz -0 -T1 -c ../root.tar >$out/tarball/${fileName}.tar.xz
    echo "file system-tarball $out/tarball/${fileName}.tar.xz" >$out/nix-support/hydra-build-products
  '';
}
