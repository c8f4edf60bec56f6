# The packages that are real here. All of them are Debian's own builds.
final: previous:
let
  inherit (final) fromDebian callPackage;
  mountLibs = [ "libblkid1" "libuuid1" ];
in
{
  coreutils = final.busybox;
  findutils = final.busybox;
  gnugrep = final.busybox;
  gnused = final.busybox;
  gawk = final.busybox;
  gzip = final.busybox;
  xz = final.busybox;
  cpio = final.busybox;
  less = final.busybox;
  bashInteractive = final.bash;

  glibc = callPackage ./os-specific/glibc.nix { };
  patchelf = callPackage ./os-specific/patchelf.nix { };
  linux = callPackage ./os-specific/linux.nix { };
  linuxPackages = { kernel = final.linux; };
  # The miniature's own name: nixpkgs' kernel has the drivers of boards anyway.
  linuxPackages_boards = { kernel = callPackage ./os-specific/linux.nix { forBoards = true; }; };
  linuxPackages_latest = final.linuxPackages;
  linuxKernel.packages.linux_default = final.linuxPackages;

  e2fsprogs = fromDebian {
    debs = [ "e2fsprogs" "libext2fs2t64" "libcom-err2" "libss2" ] ++ mountLibs;
    programs = [ "mke2fs" "mkfs.ext4" "e2fsck" "fsck.ext4" "resize2fs" "dumpe2fs" "tune2fs" "e2label" ];
  };
  util-linux = fromDebian {
    debs = [ "util-linux" "fdisk" "libfdisk1" "libsmartcols1" "libreadline8t64" "libtinfo6" ] ++ mountLibs;
    programs = [ "sfdisk" "partx" "taskset" "fallocate" ];
  };
  qemu-utils = fromDebian {
    debs = [
      "qemu-utils" "libaio1t64" "libatomic1" "libffi8" "libfuse3-4" "libglib2.0-0t64" "libgmp10" "libgnutls30t64" "libhogweed6t64" "libidn2-0"
      "libnettle8t64" "libnuma1" "libp11-kit0" "libpcre2-8-0" "libselinux1" "libtasn1-6" "libunistring5" "liburing2" "libzstd1" "zlib1g"
    ] ++ mountLibs;
    programs = [ "qemu-img" ];
  };
  systemd = callPackage ./os-specific/systemd.nix { };
  dosfstools = fromDebian { debs = [ "dosfstools" ]; programs = [ "mkfs.fat" "mkfs.vfat" "fsck.fat" "fsck.vfat" ]; };
  squashfsTools = fromDebian {
    debs = [ "squashfs-tools" "liblz4-1" "liblzma5" "liblzo2-2" "libxxhash0" "libzstd1" "zlib1g" "libgcc-s1" ];
    programs = [ "mksquashfs" "unsquashfs" ];
    # glibc would load it when a thread ends, and look for it elsewhere.
    postFixup = "patchelf --add-needed libgcc_s.so.1 $out/bin/mksquashfs";
  };
  mtools = callPackage ./os-specific/mtools.nix { };
  xorriso = fromDebian {
    debs = [
      "xorriso" "libisoburn1t64" "libisofs6t64" "libburn4t64" "libjte2" "libacl1" "libbz2-1.0" "libreadline8t64" "libtinfo6" "zlib1g"
    ];
    programs = [ "xorriso" ];
  };
  gnutar = fromDebian { debs = [ "tar" "libacl1" "libselinux1" "libpcre2-8-0" ]; programs = [ "tar" ]; };
  age = fromDebian { debs = [ "age" ]; programs = [ "age" ]; };
  jq = fromDebian { debs = [ "jq" "libjq1" "libonig5" ]; programs = [ "jq" ]; };
  libossp_uuid = fromDebian { debs = [ "uuid" "libossp-uuid16" ]; programs = [ "uuid" ]; };
  grub2_efi = callPackage ./os-specific/grub.nix { };
  fakeroot = callPackage ./os-specific/fakeroot.nix { };
  # `xz` is busybox, which only unpacks.
  xz-utils = fromDebian { debs = [ "xz-utils" "liblzma5" ]; programs = [ "xz" ]; };
  zstd = fromDebian { debs = [ "zstd" "libstdc++6" "libgcc-s1" "liblzma5" "liblz4-1" "libxxhash0" "zlib1g" ]; programs = [ "zstd" ]; };
  dropbear = fromDebian {
    pname = "dropbear";
    debs = [ "dropbear-bin" "libtomcrypt1" "libtommath1" "libgmp10" "libcrypt1" "zlib1g" ];
    programs = [ "dropbear" "dropbearkey" "dropbearconvert" "dbclient" ];
  };
  openssh = final.dropbear;
  sftp-server = fromDebian { debs = [ "openssh-sftp-server" ]; programs = [ "sftp-server" ]; };
  shadow = fromDebian {
    pname = "shadow";
    debs = [
      "passwd" "libacl1" "libattr1" "libaudit1" "libbsd0" "libcap-ng0" "libcrypt1" "libmd0" "libpam0g" "libpcre2-8-0" "libselinux1"
      "libsemanage2" "libsepol2" "libbz2-1.0"
    ];
    programs = [ "chage" "chpasswd" "groupadd" "passwd" "useradd" "usermod" ];
  };
  sudo = fromDebian {
    debs = [ "sudo" "libapparmor1" "libaudit1" "libcap-ng0" "libcrypt1" "libpam0g" "libpam-modules" "libpam-modules-bin" "libpcre2-8-0" "libselinux1" "libssl3t64" "libzstd1" "zlib1g" ];
    programs = [ "sudo" "unix_chkpwd" ];
    postFixup = ''
      mkdir -p $out/libexec $out/lib/security
      cp -d usr/libexec/sudo/*.so* $out/libexec/
      cp $libFolder/security/pam_unix.so $libFolder/security/pam_permit.so $out/lib/security/
      patchelf --set-rpath $out/libexec:$out/lib:$glibc/lib $out/bin/* $(find $out/libexec $out/lib/security -type f)
    '';
  };
  # Of the two that images without cloud-init have only stand-ins for, or have without this program.
  ip =
    (fromDebian {
      pname = "ip";
      debs = [ "iproute2" "libbpf1" "libcap2" "libelf1t64" "libmnl0" "libpcre2-8-0" "libselinux1" "libzstd1" "zlib1g" ];
      programs = [ "ip" ];
    }).overrideAttrs
      # In the other directory there is a link of the same name.
      (old: { buildCommand = builtins.replaceStrings [ "usr/bin usr/sbin" ] [ "usr/bin" ] old.buildCommand; });
  blkid = fromDebian { pname = "blkid"; debs = [ "util-linux" ] ++ mountLibs; programs = [ "blkid" ]; };
  flock = fromDebian { pname = "flock"; debs = [ "util-linux" ] ++ mountLibs; programs = [ "flock" ]; };
  ifupdown = fromDebian { debs = [ "ifupdown" ]; programs = [ "ifup" "ifdown" "ifquery" ]; };
  cloud-init = callPackage ./os-specific/cloud-init.nix { };
  nix = callPackage ./os-specific/nix.nix { };
  nixos-rebuild = callPackage ./os-specific/nixos-rebuild.nix { };

  # Needs no program of ours: times are made equal by e2fsprogs' and mtools' own switches.
  libfaketime = final.busybox;

  ubootQemuAarch64 = callPackage ./os-specific/u-boot.nix { };
  ubootRaspberryPi3_64bit = callPackage ./os-specific/u-boot.nix { package = "u-boot-rpi"; board = "rpi_3"; };
  ubootRaspberryPi4_64bit = callPackage ./os-specific/u-boot.nix { package = "u-boot-rpi"; board = "rpi_4"; };
  tzdata = callPackage ./os-specific/tzdata.nix { };
}
