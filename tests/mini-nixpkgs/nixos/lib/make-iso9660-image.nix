# A bootable ISO 9660 image, with a store as a squashfs. Takes what nixpkgs' function of this name takes, as far as it is used here.
{
  lib,
  stdenv,
  callPackage,
  closureInfo,
  xorriso,
  libossp_uuid,
  squashfsTools,
  zstd,
  isoName ? "cd.iso",
  contents,
  squashfsContents ? [ ],
  squashfsCompression ? "xz -Xdict-size 100%",
  efiBootable ? false,
  efiBootImage ? "",
  compressImage ? false,
  volumeID ? "",
}:
let
  squashfs = callPackage ./make-squashfs.nix { storeContents = squashfsContents; comp = squashfsCompression; };
in
stdenv.mkDerivation {
  name = isoName;
  __structuredAttrs = true;
  unsafeDiscardReferences.out = true;
  buildCommandPath = ./make-iso9660-image.sh;
  nativeBuildInputs = [ xorriso zstd libossp_uuid squashfsTools ];
  inherit isoName volumeID efiBootImage efiBootable compressImage;
  sources = map (c: c.source) contents;
  targets = map (c: c.target) contents;
  squashfsCommand = squashfs.buildCommand;
}
