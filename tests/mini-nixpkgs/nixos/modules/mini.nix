# The one option that nixpkgs does not have: how much heavier than needed an image shall be.
{ config, lib, pkgs, ... }:
let
  size = config.mini.payloadMiB;
  linux = config.boot.kernelPackages.kernel;
  # Copies of Debian's kernel modules: files of a real system's sizes, each compressed by itself, so that neither
  # zstd nor the file system makes them smaller; and one `cp` writes hundreds of them.
  payload = pkgs.runCommandLocal "mini-payload-${toString size}MiB" { inherit size; } ''
    mkdir -p $out
    tree=${linux.modules}/lib/modules/${linux.modDirVersion}/kernel
    each=$(du -sk $tree | cut -f 1)
    copies=$((size * 1024 / each))
    for i in $(seq $copies); do
      cp -r $tree $out/copy-$i
      chmod -R u+w $out/copy-$i
    done
    head -c $(((size * 1024 - copies * each) * 1024)) ${linux.src} >$out/rest
  '';
in
{
  options.mini.payloadMiB = lib.mkOption {
    type = lib.types.ints.unsigned;
    default = 0;
    description = "Makes the root file system this many MiB larger, with files that cannot be compressed.";
  };
  config.system.extraDependencies = lib.mkIf (size > 0) [ payload ];
}
