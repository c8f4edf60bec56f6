# A system that runs from a CD or USB stick, under the names of nixpkgs' module. Of boot loaders there is GRUB for UEFI.
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  cfg = config.isoImage;
  inherit (pkgs.stdenv.hostPlatform) efiArch;
  inherit (config.boot.kernelPackages) kernel;
  ramdisk = config.system.build.initialRamdisk;
  grub = pkgs.grub2_efi;

  entry = suffix: params: ''
    menuentry '${cfg.prependToMenuLabel}NixOS ${config.system.nixos.label}${cfg.appendToMenuLabel}${suffix}' {
      linux /boot/${kernel}/${kernel.target} init=${config.system.build.toplevel}/init ${toString config.boot.kernelParams} ${params}
      initrd /boot/${ramdisk}/initrd
    }
  '';
  menu = pkgs.writeText "grub.cfg" ''
    set timeout=${toString (if config.boot.loader.timeout == null then -1 else config.boot.loader.timeout)}
    search --set=root --file /EFI/nixos-installer-image
    ${entry "" ""}
    ${entry " (debug)" "debug"}
  '';
  efiDir = pkgs.runCommand "efi-directory" { nativeBuildInputs = [ pkgs.buildPackages.grub2_efi ]; } ''
    mkdir -p $out/EFI/BOOT
    touch $out/EFI/nixos-installer-image
    grub-mkimage --directory=${grub}/lib/grub/${grub.grubTarget} -o $out/EFI/BOOT/BOOT${lib.toUpper efiArch}.EFI -p /EFI/BOOT -O ${grub.grubTarget} \
      fat iso9660 part_gpt part_msdos normal boot linux configfile halt ls search search_label search_fs_file test echo serial
    cp ${menu} $out/EFI/BOOT/grub.cfg
    grub-script-check $out/EFI/BOOT/grub.cfg
    cp ${grub}/share/grub/unicode.pf2 $out/EFI/BOOT/
  '';
  efiImg =
    pkgs.runCommand "efi-image_eltorito" { nativeBuildInputs = [ pkgs.buildPackages.mtools pkgs.buildPackages.dosfstools ]; } ''
      export MTOOLS_SKIP_CHECK=1
      mkdir -p contents/EFI/BOOT && cd contents
      cp ${efiDir}/EFI/BOOT/{grub.cfg,*.EFI} EFI/BOOT/
      find . -exec touch -d '2000-01-01 00:00:00' {} +
      truncate -s 4M $out
      SOURCE_DATE_EPOCH=946684800 mkfs.vfat --invariant -i 12345678 -n EFIBOOT $out
      for d in EFI EFI/BOOT; do SOURCE_DATE_EPOCH=946684800 mmd -i $out ::/$d; done
      for f in $(find EFI -type f | sort); do mcopy -pm -i $out $f ::/$f; done
      fsck.vfat -n $out
    '';
in
{
  imports = [ ../../image/file-options.nix ];

  # nixpkgs declares it for every system.
  options.lib = mkOption { type = types.attrsOf types.raw; default = { }; internal = true; };
  options.isoImage = {
    compressImage = mkOption { type = types.bool; default = false; description = "Whether the image is compressed with zstd."; };
    squashfsCompression = mkOption { type = types.nullOr types.str; default = "zstd -Xcompression-level 19"; description = "How the store is compressed."; };
    edition = mkOption { type = types.str; default = ""; description = "A part of the volume ID and of the name."; };
    volumeID = mkOption {
      type = types.str;
      default = "nixos${lib.optionalString (cfg.edition != "") "-${cfg.edition}"}-${config.system.nixos.release}-${pkgs.stdenv.hostPlatform.qemuArch}";
      description = "The label, by which the first stage of the boot finds the medium.";
    };
    contents = mkOption { type = types.listOf types.attrs; description = "Files beside the store: { source; target; }."; };
    storeContents = mkOption { type = types.listOf types.package; description = "What is in the store, with all that it needs."; };
    makeBiosBootable = mkOption { type = types.bool; default = false; description = "Whether a BIOS starts it; not here."; };
    makeEfiBootable = mkOption { type = types.bool; default = false; description = "Whether UEFI starts it."; };
    makeUsbBootable = mkOption { type = types.bool; default = false; description = "Whether it starts from a USB stick too."; };
    prependToMenuLabel = mkOption { type = types.str; default = ""; };
    appendToMenuLabel = mkOption { type = types.str; default = " Installer"; };
  };

  config = {
    assertions = [
      { assertion = lib.stringLength cfg.volumeID <= 32; message = "isoImage.volumeID ${cfg.volumeID} is ${toString (lib.stringLength cfg.volumeID)} characters. That is ${toString (lib.stringLength cfg.volumeID - 32)} characters longer than the limit of 32."; }
    ];
    boot.loader.grub.enable = lib.mkImageMediaOverride false;
    boot.kernelParams = [ "root=LABEL=${cfg.volumeID}" ];
    fileSystems = config.lib.isoFileSystems;
    lib.isoFileSystems = lib.mapAttrs (_: lib.mkImageMediaOverride) {
      "/" = { fsType = "tmpfs"; options = [ "mode=0755" ]; };
      "/iso" = { device = "/dev/root"; fsType = "iso9660"; neededForBoot = true; noCheck = true; };
      "/nix/.ro-store" = { fsType = "squashfs"; device = "/iso/nix-store.squashfs"; options = [ "loop" ]; neededForBoot = true; };
      "/nix/.rw-store" = { fsType = "tmpfs"; options = [ "mode=0755" ]; neededForBoot = true; };
      "/nix/store".overlay = { lowerdir = [ "/nix/.ro-store" ]; upperdir = "/nix/.rw-store/store"; workdir = "/nix/.rw-store/work"; };
    };
    # The names of the kernel's files. `ahci` and `sr_mod` are among nixpkgs' own for every system.
    boot.initrd.availableKernelModules = [ "squashfs" "isofs" "overlay" "ahci" "sr_mod" ];
    boot.initrd.kernelModules = [ "loop" "overlay" ];

    isoImage.storeContents = [ config.system.build.toplevel ];
    isoImage.contents =
      let
        file = source: target: { inherit source target; };
      in
      [
        (file (pkgs.writeText "version" config.system.nixos.label) "/version.txt")
        (file "${kernel}/${kernel.target}" "/boot/${kernel}/${kernel.target}")
        (file "${ramdisk}/initrd" "/boot/${ramdisk}/initrd")
      ]
      ++ lib.optionals cfg.makeEfiBootable [ (file efiImg "/boot/efi.img") (file "${efiDir}/EFI" "/EFI") ];
    boot.loader.timeout = 10;

    image.extension = if cfg.compressImage then "iso.zst" else "iso";
    image.filePath = "iso/${config.image.fileName}";
    image.baseName = "nixos${lib.optionalString (cfg.edition != "") "-${cfg.edition}"}-${config.system.nixos.label}-${pkgs.stdenv.hostPlatform.system}";
    system.build.image = config.system.build.isoImage;
    system.build.isoImage = pkgs.callPackage ../../../lib/make-iso9660-image.nix (
      {
        inherit (cfg) compressImage volumeID contents squashfsCompression;
        isoName = "${config.image.baseName}.iso";
        squashfsContents = cfg.storeContents;
      }
      // lib.optionalAttrs cfg.makeEfiBootable { efiBootable = true; efiBootImage = "boot/efi.img"; }
    );
  };
}
