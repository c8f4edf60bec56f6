# The one option that nixpkgs does not have: how much heavier than needed an image shall be.
{ config, lib, pkgs, ... }:
let
  size = config.mini.payloadMiB;
  linux = config.boot.kernelPackages.kernel;
  # Copies of Debian's kernel package and of its module files: thousands of files per GiB as in a real store, each
  # compressed by itself, so that neither zstd nor the file system makes them smaller; and few processes write them.
  payload = pkgs.runCommandLocal "mini-payload-${toString size}MiB" { inherit size; } ''
    mkdir -p $out
    tree=${linux.modules}/lib/modules/${linux.modDirVersion}/kernel
    each=$(find $tree ${linux.src} -type f -exec stat -c %s {} + | awk '{ n += int(($1 + 4095) / 4096) } END { print n * 4 }')
    copies=$((size * 1024 / each))
    for i in $(seq $copies); do
      cp -r $tree $out/modules-$i
      cp ${linux.src} $out/package-$i
    done
    cat ${linux.src} ${linux.src} >$out/rest
    truncate -s $((size * 1024 - copies * each))K $out/rest
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
