# The system as one store path; assertions and warnings are told when it is asked for.
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  failed = map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
  told = drv: lib.foldr lib.warn drv config.warnings;
  checked = drv: if failed != [ ] then throw "\nFailed assertions:\n${lib.concatMapStringsSep "\n" (m: "- ${m}") failed}" else told drv;
  kernel = config.boot.kernelPackages.kernel;
  # Of the modules only the names of those that are built in: the others are in the initial RAM disk.
  builtIn = pkgs.runCommand "linux-modules-builtin" { } ''
    mkdir -p $out/lib/modules/${kernel.modDirVersion}
    cp ${kernel.modules}/lib/modules/${kernel.modDirVersion}/modules.builtin $out/lib/modules/${kernel.modDirVersion}/
  '';
  bootFiles = ''
    ln -s ${kernel}/${kernel.target} $out/kernel
    ${lib.optionalString (kernel.buildDTBs or false) "ln -s ${kernel}/dtbs $out/dtbs"}
    ln -s ${config.system.build.initialRamdisk}/initrd $out/initrd
    ln -s ${builtIn} $out/kernel-modules
  '';
in
{
  options.system = {
    build = mkOption { type = types.lazyAttrsOf types.unspecified; default = { }; description = "What can be built of this configuration."; };
    name = mkOption { type = types.str; default = if config.networking.hostName == "" then "unnamed" else config.networking.hostName; };
    extraSystemBuilderCmds = mkOption { type = types.lines; default = ""; };
    extraDependencies = mkOption { type = types.listOf types.package; default = [ ]; };
  };

  config.system.build.toplevel = checked (
    pkgs.stdenvNoCC.mkDerivation {
      name = "nixos-system-${config.system.name}-${config.system.nixos.label}";
      inherit (config.system) extraDependencies;
      kernelParams = config.boot.kernelParams;
      label = config.system.nixos.label;
      buildCommand = ''
        mkdir $out
        ${lib.optionalString (!config.boot.isContainer) bootFiles}
        ln -s ${config.system.path} $out/sw
        ln -s ${config.system.build.etc}/etc $out/etc
        ln -s ${config.system.build.activate} $out/activate
        sed "s|@systemConfig@|$out|" ${config.system.build.stage2} >$out/init
        chmod +x $out/init
        printf %s "$kernelParams" >$out/kernel-params
        printf %s "$label" >$out/nixos-version
        printf %s ${pkgs.stdenv.hostPlatform.system} >$out/system
        printf %s "$extraDependencies" >$out/extra-dependencies
        ${config.system.extraSystemBuilderCmds}
      '';
    }
  );
}
