{ debian, fromDebian, stdenv }:
# GRUB for UEFI: its modules, and the programs that put one of them together and check its menu.
let
  target = if stdenv.hostPlatform.isAarch64 then "arm64" else "x86_64";
  modules = debian.deb "grub-efi-${stdenv.hostPlatform.debianArch}-bin";
in
fromDebian {
  debs = [ "grub-common" "libdevmapper1.02.1" "libselinux1" "libpcre2-8-0" "libudev1" "libcap2" "liblzma5" ];
  programs = [ "grub-mkimage" "grub-script-check" ];
  postFixup = ''
    dpkg-deb -x ${modules} modules
    mkdir -p $out/lib/grub $out/share/grub
    cp -r modules/usr/lib/grub/${target}-efi $out/lib/grub/
    cp usr/share/grub/unicode.pf2 $out/share/grub/
  '';
}
// { grubTarget = "${target}-efi"; }
