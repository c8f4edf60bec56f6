{ debian, stdenv }:
# Of systemd only its boot loader, which is what is real of it here.
stdenv.mkDerivation {
  pname = "systemd";
  version = debian.version "systemd-boot-efi";
  deb = debian.deb "systemd-boot-efi";
  buildCommand = ''
    dpkg-deb -x $deb .
    mkdir -p $out/lib/systemd/boot/efi
    cp usr/lib/systemd/boot/efi/systemd-boot*.efi $out/lib/systemd/boot/efi/
  '';
}
