# A system of stand-ins that boots: Debian's programs find their libraries and each other at Debian's own paths, in the initrd and
# in the image. Whatever NixOS makes stays as it is.
{ config, lib, pkgs, ... }:
let
  # Never built: it comes with the stand-ins (stand_ins/booted.py).
  debian = derivation { name = "debian-root"; system = "aarch64-linux"; builder = "/bin/false"; };
  modules = "${config.system.build.modulesClosure}/lib";
in
{
  imports = [ ./base.nix ];

  boot.initrd.systemd.contents = {
    "/usr/lib".source = "${debian}/lib";
    # Modules of the kernel, and beside them what loads Debian's programs.
    "/lib".source = lib.mkForce (pkgs.runCommand "initrd-lib" { } ''
      mkdir $out
      ln -s ${modules}/* ${debian}/lib/ld-linux-aarch64.so.1 $out/
    '');
  };

  sdImage.storePaths = [ debian ];
  sdImage.populateRootCommands = lib.mkAfter ''
    mkdir -p files/usr/bin
    ln -s ${debian}/bin/* files/usr/bin/
    ln -s ${debian}/lib ${debian}/share files/usr/
    ln -s bin files/usr/sbin
    ln -s usr/lib usr/sbin files/
  '';
  # It has the place of what loads Debian's programs, to explain that NixOS has none.
  environment.stub-ld.enable = false;

  # What stands in for nsncd does nothing, and Debian's dhcpcd wants more rights than NixOS gives it.
  services.nscd.enable = false;
  system.nssModules = lib.mkForce [ ];
  networking.useNetworkd = true;
  # Built into nixpkgs' kernel, modules of Debian's: the card of a Raspberry Pi, and the network adapter of its model.
  boot.initrd.availableKernelModules = [ "bcm2835" "sdhci_iproc" "phy_generic" "dwc2" "cdc_ether" "rndis_host" "cdc_subset" ];
  # Debian's kernel ends where the U-Boot of a Raspberry Pi loads the device tree of a generation to.
  boot.loader.generic-extlinux-compatible.useGenerationDeviceTree = false;
  # Where Debian's sshd confines itself.
  systemd.tmpfiles.rules = [ "d /run/sshd 0755 root root" ];
}
