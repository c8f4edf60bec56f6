# A squashfs with a store, as one file. Takes what nixpkgs' function of this name takes.
{ stdenv, squashfsTools, closureInfo, storeContents ? [ ], comp ? "zstd", fileName ? "squashfs", ... }:
stdenv.mkDerivation {
  name = "${fileName}.img";
  nativeBuildInputs = [ squashfsTools ];
  buildCommand = ''
    closureInfo=${closureInfo { rootPaths = storeContents; }}
    cp $closureInfo/registration nix-path-registration
    SOURCE_DATE_EPOCH=0 mksquashfs nix-path-registration $(cat $closureInfo/store-paths) $out -no-hardlinks -keep-as-directory \
      -all-root -b 1048576 -comp ${comp} -processors $((NIX_BUILD_CORES > 0 ? NIX_BUILD_CORES : $(nproc))) -root-mode 0755 -quiet -no-progress
  '';
}
