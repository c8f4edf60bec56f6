# A module for a variant of nixpkgs' images that is a disk for UEFI: makes the disk natively, of the same system, in place of the
# virtual machine that nixpkgs uses. The result is an ordinary NixOS, which `nixos-rebuild` can change: an ESP with systemd-boot
# and the entry of the first generation, and a root file system that grows into its disk.
#
# `format` is that of format.nix.
{ format, ... }:
{ config, lib, options, pkgs, ... }:
let
  # The extension of the file, and the arguments of `qemu-img convert`, which makes it of the raw disk; null for the raw disk itself. What
  # QEMU writes there by chance or by the clock is replaced by the commands `settle`, so that the same disk gives the same bytes.
  forms = {
    amazon = plain;
    qcow2 = { extension = "qcow2"; arguments = "-O qcow2 -c"; };
    raw-efi = plain;
    vhd = { extension = "vhd"; arguments = "-O vpc -o subformat=fixed,force_size=on"; settle = settleVhd; };
    vmdk = { extension = "vmdk"; arguments = "-O vmdk -o subformat=streamOptimized"; settle = settleVmdk; };
  };
  plain = { extension = "img"; arguments = null; };
  form = forms.${format.name};
  # The content id in the descriptor, which has 20 sectors behind the first one (block/vmdk.c of QEMU).
  settleVmdk = ''
    dd if=$disk bs=512 skip=1 count=20 status=none | tr -d '\0' >descriptor
    grep -q '^CID=' descriptor
    sed -i "s/^CID=.*/CID=''${identity:0:8}/" descriptor
    truncate -s $((20 * 512)) descriptor
    dd if=descriptor of=$disk bs=512 seek=1 conv=notrunc status=none
  '';
  # The time stamp, the UUID and the checksum of both in the footer, the last 512 bytes ("Virtual Hard Disk Image Format Specification").
  settleVhd = ''
    footer=$(($(stat -c %s $disk) - 512))
    put() {
      printf "$(sed 's/../\\x&/g' <<<"$2")" | dd of=$disk bs=1 seek=$((footer + $1)) conv=notrunc status=none
    }
    put 24 00000000
    put 64 00000000
    put 68 "''${identity:0:32}"
    sum=0
    for byte in $(tail -c 512 $disk | od -A n -v -t u1); do sum=$((sum + byte)); done
    put 64 "$(printf %08x $((~sum & 0xffffffff)))"
  '';

  native = import ./native.nix pkgs;
  # As nixpkgs' make-disk-image.nix has them, as far as it has any.
  labels = { root = "nixos"; esp = "ESP"; };
  rootUuid = "f222513b-ded1-49fa-b591-20ce86a2fe7f";
  espId = "4E49-584F";
  # As in `CardPartition` of crates/image/src/card.rs.
  partitions = [
    { number = 1; label = labels.esp; part_label = labels.esp; uuid = espId; fs_type = "vfat"; }
    { number = 2; label = labels.root; part_label = labels.root; uuid = rootUuid; fs_type = "ext4"; }
  ];
  espMiB = 256;
  # What nixpkgs leaves free for the first boot.
  freeMiB = 512;
  # "auto", or the size of the whole disk in MiB.
  diskSize = config.virtualisation.diskSize or "auto";

  inherit (config.system.build) toplevel;
  loader = config.boot.loader.systemd-boot;
  efiArch = pkgs.stdenv.hostPlatform.efiArch;
  bootProgram = "${config.systemd.package}/lib/systemd/boot/efi/systemd-boot${efiArch}.efi";
  loaderConf = pkgs.writeText "loader.conf" ''
    timeout ${if config.boot.loader.timeout == null then "menu-force" else toString config.boot.loader.timeout}
    default nixos-generation-1.conf
    ${lib.optionalString (!(loader.editor or true)) "editor 0\n"}console-mode ${loader.consoleMode or "keep"}
  '';

  root = import ./glue/file_system.nix { inherit lib native; } (pkgs.path + "/nixos/lib/make-ext4-fs.nix") {
    storePaths = [ toplevel ];
    volumeLabel = labels.root;
    uuid = rootUuid;
  };
  e2fsprogs = (import ./glue/tools.nix { inherit lib native; }).e2fsprogs rootUuid;

  # The drivers without which the disk does not start where it is meant to, any of them, and what adds them. Linux' defconfig for
  # arm64, which nixpkgs' kernel begins with, has them built in; that for x86_64 has not.
  drivers =
    {
      qcow2 = {
        place = "in QEMU's virtual machines";
        names = [ "virtio_blk" "virtio_scsi" ];
        line = "imports = [ (modulesPath + \"/profiles/qemu-guest.nix\") ]";
      };
      vhd = {
        place = "on Azure and Hyper-V";
        names = [ "hv_storvsc" ];
        line = "virtualisation.hypervGuest.enable = true";
      };
    }
    .${format.name} or null;
  initrd = config.boot.initrd;
  hasDriver = lib.any (name: lib.elem name (initrd.availableKernelModules ++ initrd.kernelModules)) drivers.names;
  lacksDriver = pkgs.stdenv.hostPlatform.isx86_64 && drivers != null && !hasDriver;

  # A derivation of a disk in a file, which the commands write to $disk.
  diskFile =
    name: nativeBuildInputs: commands:
    native.stdenvNoCC.mkDerivation {
      inherit name nativeBuildInputs;
      preferLocalBuild = true;
      buildCommand = ''
        mkdir -p $out/nix-support
        disk=$out/${name}
        ${commands}
        echo "file disk-image $disk" >$out/nix-support/hydra-build-products
      '';
      passthru = { inherit (config.image) filePath; inherit partitions; };
    };
  # The same for all forms, which are made of it.
  raw =
    diskFile "${config.image.baseName}.img" [ native.dosfstools e2fsprogs native.mtools native.qemu-utils native.util-linux ] ''
      export SOURCE_DATE_EPOCH=946684800 MTOOLS_SKIP_CHECK=1
      mib=1048576

      # Places a file of the system in the ESP, under the name that nixpkgs' systemd-boot-builder gives it.
      placed() {
        local file name
        file=$(readlink -f "$1")
        name=$(basename "$(dirname "$file")")-$(basename "$file").efi
        cp "$file" "esp/EFI/nixos/$name"
        echo "/EFI/nixos/$name"
      }
      mkdir -p esp/EFI/BOOT esp/EFI/nixos esp/EFI/systemd esp/loader/entries
      cp ${bootProgram} esp/EFI/BOOT/BOOT${lib.toUpper efiArch}.EFI
      cp ${bootProgram} esp/EFI/systemd/systemd-boot${efiArch}.efi
      cp ${loaderConf} esp/loader/loader.conf
      echo type1 >esp/loader/entries.srel
      # Not within the text, where their failures would be passed over.
      kernel=$(placed ${toplevel}/kernel)
      initrd=$(placed ${toplevel}/initrd)
      params=$(cat ${toplevel}/kernel-params)
      cat >esp/loader/entries/nixos-generation-1.conf <<END
      title ${config.system.nixos.distroName or "NixOS"}
      sort-key ${loader.sortKey or "nixos"}
      version Generation 1 ${config.system.nixos.label}
      linux $kernel
      initrd $initrd
      options init=${toplevel}/init $params
      END

      truncate -s ${toString espMiB}M esp.img
      mkfs.vfat --invariant -F 32 -i ${lib.replaceStrings [ "-" ] [ "" ] espId} -n ${labels.esp} esp.img >/dev/null
      find esp -exec touch -d '2000-01-01 00:00:00' {} +
      # In an order of their own: that of a directory is the builder's.
      (cd esp && find . -mindepth 1 -type d | sort) | while read -r name; do mmd -i esp.img "::$name"; done
      (cd esp && find . -type f | sort) | while read -r name; do mcopy -pm -i esp.img "esp/$name" "::$name"; done
      fsck.vfat -n esp.img >/dev/null

      # MiB before the root partition, and behind it for the second partition table.
      before=$((1 + ${toString espMiB})) behind=1
      qemu-img convert -f raw -O raw ${root} root.img
      needed=$((($(stat -c %s root.img) + mib - 1) / mib))
      ${
        if diskSize == "auto" then
          "size=$((needed + ${toString freeMiB}))"
        else
          ''
            size=$((${toString diskSize} - before - behind))
            if [ $size -lt $needed ]; then
              echo "error: the disk has ${toString diskSize} MiB (virtualisation.diskSize), and the system needs $((needed + before + behind)) MiB" >&2
              exit 1
            fi
          ''
      }
      truncate -s ''${size}M root.img
      resize2fs root.img
      fsck.ext4 -n -f root.img

      truncate -s $((before + size + behind))M $disk
      sfdisk --no-reread --no-tell-kernel $disk <<END
      label: gpt
      label-id: 97FD5997-D90B-4AA3-8D16-C1723AEA73C0
      start=1MiB, size=${toString espMiB}MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=1F3D2C6A-7C1B-4B0E-9C52-5D0B1A3E8E01, name=${labels.esp}
      start=''${before}MiB, size=''${size}MiB, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=${rootUuid}, name=${labels.root}
      END
      # Writes no zeros, so that the disk takes the room of what is in it.
      filled() {
        qemu-img convert -n --target-is-zero -f raw "$1" --target-image-opts \
          driver=raw,offset=$(($2 * mib)),size=$(stat -c %s "$1"),file.driver=file,file.filename=$disk
      }
      filled esp.img 1
      filled root.img $before
    '';
  disk =
    if form.arguments == null then
      raw
    else
      diskFile config.image.fileName [ native.qemu-utils ] ''
        qemu-img convert -f raw ${form.arguments} ${raw}/*.img $disk
        identity=$(sha256sum ${raw}/*.img)
        ${form.settle or ""}
      '';
in
{
  config = lib.mkMerge [
    {
      image.extension = lib.mkForce form.extension;
      system.build.image = lib.mkForce (
        if loader.enable or false then
          disk
        else
          throw "the disk has no boot loader: boot.loader.systemd-boot.enable is false, and no other one is installed natively"
      );
      boot.postBootCommands = (import ./registration.nix { inherit config lib; }).commands;
      warnings = lib.optional lacksDriver "the initial RAM disk has no driver for the disks ${drivers.place}, where this image does not start: add ${drivers.line}";
    }
    # EC2 starts disks for UEFI on both architectures; nixpkgs installs GRUB there.
    (lib.optionalAttrs (options ? ec2) {
      ec2.efi = lib.mkForce true;
      boot.loader.grub.enable = lib.mkForce false;
      boot.loader.systemd-boot.enable = true;
    })
  ];
}
