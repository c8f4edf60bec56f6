{ lib, modulesPath, ... }:
{
  imports = [ (modulesPath + "/installer/sd-card/sd-image-aarch64.nix") ];
  nixpkgs.hostPlatform = lib.mkDefault "aarch64-linux";
  networking.hostName = lib.mkDefault "base";
  services.openssh.enable = true;
  users.users.root.openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBenchBenchBenchBenchBenchBenchBenchBenchBen a" ];
  boot.supportedFilesystems.zfs = lib.mkForce false;
  documentation.enable = lib.mkDefault false;
  sdImage.compressImage = false;
  system.stateVersion = "26.05";
}
