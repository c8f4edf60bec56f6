# Debian's packages: the stand-ins are made from them, and the container image in which Nix runs. Sourced by scripts/real-nixpkgs.
# shellcheck shell=bash disable=SC2154  # root and work come from scripts/real-nixpkgs

# What the stand-ins are made from (tests/real-nixpkgs/stand_ins/debian.py has the use of each).
packages=(
  acl attr bash bash-completion bind9-dnsutils bsdutils btrfs-progs bzip2 coreutils cpio cryptsetup-bin curl dbus dbus-bin
  dbus-broker dbus-daemon dbus-system-bus-common debianutils diffutils dmsetup dosfstools e2fsprogs fakeroot faketime fdisk
  file findutils gawk grep gzip iproute2 iptables iputils-ping jq kbd kexec-tools kmod less libc-bin libc6 libcap2-bin
  libfaketime libpam-modules libpam-modules-bin libpam0g libudev1 login logrotate lvm2 make man-db mount mtools nano
  ncurses-base ncurses-bin ncurses-term net-tools netcat-openbsd network-manager nftables openssh-client openssh-server
  openssh-sftp-server passwd patch patchelf perl perl-base procps python3-minimal rsync sed strace sudo systemd
  systemd-container systemd-cryptsetup systemd-oomd systemd-repart systemd-resolved systemd-timesyncd tar tzdata
  tzdata-legacy udev uidmap util-linux util-linux-extra wireless-tools wpasupplicant xsltproc xutils-dev xz-utils zstd
)
# What only a system that boots takes, so for arm64.
booted=(dash dbus-user-session libfile-slurp-perl libjson-perl libpam-systemd u-boot-rpi)
# Further packages of the container image.
in_image=(nix-bin git ca-certificates busybox-static)

# Downloads and unpacks everything once: each package for both architectures below $work/debian, and arm64's kernel.
debian_packages() {
  local arch file name more
  [ ! -e "$work/debian/ready" ] || return 0
  fetch_packages trixie amd64 all "$work/packages/image" "${packages[@]}" "${in_image[@]}" || die "Debian's packages cannot be downloaded"
  for arch in amd64 arm64; do
    say "fetching Debian's packages for $arch"
    more=()
    [ "$arch" = amd64 ] || more=("${booted[@]}")
    fetch_packages trixie "$arch" all "$work/packages/$arch" "${packages[@]}" "${more[@]}" || die "Debian's packages cannot be downloaded"
    for file in "$work/packages/$arch"/*.deb; do
      name=$(basename "$file")
      mkdir -p "$work/debian/$arch"
      dpkg-deb -x "$file" "$work/debian/$arch/${name%%_*}"
    done
  done
  debian_kernel
  : >"$work/debian/ready"
}

debian_kernel() {
  local name
  name=$(APT_CONFIG=$(apt_root trixie arm64) apt-cache depends linux-image-arm64 | sed -n 's/.*Depends: *\(linux-image-[^ ]*\).*/\1/p' | head -n 1)
  fetch_packages trixie arm64 only "$work/packages/kernel" "$name" || die "Debian's kernel cannot be downloaded"
  dpkg-deb -x "$work/packages/kernel"/*.deb "$work/debian/arm64/linux-image"
}

# The files of the container image that Nix runs in: Debian with Nix, all of these packages, and the libraries of both
# architectures.
image_tree() {
  local tree=$1
  rm -rf "$tree" "$work/arm64"
  unpack_packages "$tree" "$work/packages/image"/*.deb
  unpack_packages "$work/arm64" "$work/packages/arm64"/*.deb
  cp -a "$work/arm64/usr/lib/aarch64-linux-gnu" "$tree/usr/lib/"
  ln -sf aarch64-linux-gnu/ld-linux-aarch64.so.1 "$tree/usr/lib/ld-linux-aarch64.so.1"
  rm -rf "$work/arm64" "$tree"/usr/share/{doc,man,locale,lintian} "$tree/nix"
  mkdir -p "$tree"/{tmp,var/tmp,root,nix/store,nix/var/nix,build,proc,sys,dev,run,etc/ssl/certs}
  chmod 1777 "$tree/tmp" "$tree/var/tmp"
  # What maintainer scripts would have made.
  printf 'root:x:0:0:root:/root:/bin/sh\nsdbuild:x:1000:1000::/:/bin/sh\n' >"$tree/etc/passwd"
  printf 'root:x:0:\nsdbuild:x:1000:\n' >"$tree/etc/group"
  ln -sf bash "$tree/usr/bin/sh"
  ln -sf gawk "$tree/usr/bin/awk"
  ln -sf python3.13 "$tree/usr/bin/python3"
}

# Loads that container image, unless the engine has it, and sets `image` to its name.
container_image() {
  local made_of
  image=sdbuild-real:latest
  if [ ! -e "$work/image-ready" ]; then
    image_tree "$work/image"
    : >"$work/image-ready"
  fi
  made_of=$({ (cd "$work/packages" && ls image arm64) && cat "$root/scripts/real.d/packages.sh"; } | sha256sum | cut -c1-64)
  [ "$(docker image inspect --format '{{.Config.Labels.made_of}}' "$image" 2>/dev/null)" = "$made_of" ] || load_image "$made_of"
}

# Each import makes another image of the same files: it is told by a label.
load_image() {
  # The store belongs to the user that Nix runs as.
  tar -C "$work/image" --owner=0 --group=0 --exclude=./nix -cf "$work/image.tar" .
  tar -C "$work/image" --owner=1000 --group=1000 -rf "$work/image.tar" ./nix
  docker import --change 'USER 1000:1000' --change 'ENV PATH=/usr/bin:/usr/sbin' --change "LABEL made_of=$1" \
    "$work/image.tar" "$image" >/dev/null
  rm -f "$work/image.tar"
}
