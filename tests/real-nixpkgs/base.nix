{ lib, modulesPath, options, ... }:
let
  # Until 20.09 the SD images lay beside the CDs', the platform was told by an argument, and file systems were a list.
  directory = if builtins.pathExists (modulesPath + "/installer/sd-card") then "sd-card" else "cd-dvd";
  isNew = directory == "sd-card";
in
{
  imports = [ (modulesPath + "/installer/${directory}/sd-image-aarch64.nix") ];
  nixpkgs = lib.optionalAttrs (options.nixpkgs ? hostPlatform) { hostPlatform = lib.mkDefault "aarch64-linux"; };
  networking.hostName = lib.mkDefault "base";
  services.openssh.enable = true;
  users.users.root.openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBenchBenchBenchBenchBenchBenchBenchBenchBen a" ];
  boot.supportedFilesystems = if isNew then { zfs = lib.mkForce false; } else lib.mkForce [ "vfat" ];
  documentation.enable = lib.mkDefault false;
  sdImage.compressImage = false;
  system.stateVersion = "26.05";
}
