# The virtual machines of scripts/lab: their disks, their start and their results. Sourced by scripts/lab.
# shellcheck shell=bash disable=SC2154  # root, target and work come from scripts/lab

# The last one is kmod's, which takes it up at run time.
guest_packages=(
  linux-image-amd64 docker.io containerd runc iptables apparmor busybox-static base-files bash libc-bin coreutils
  util-linux mount grep sed gawk tar procps kmod liblzma5
)

# Prints the Debian release whose stock kernel is $1.
suite_of() {
  case $1 in
    6.1) echo bookworm ;;
    6.12) echo trixie ;;
    *) die "no known Debian release has the stock kernel $1: use 6.1 or 6.12" ;;
  esac
}

# The file system of the machine with the kernel $1 in the directory $2, its programs out of Debian's packages
# (what their scripts would do is done here), with everything that a build wants to download.
furnish() {
  local suite rootfs=$2 packages=("${guest_packages[@]}")
  suite=$(suite_of "$1")
  # Before that the engine's client was no package of its own.
  [ "$suite" = bookworm ] || packages+=(docker-cli)
  from_debian "$suite" amd64 all "$rootfs" "${packages[@]}"
  # Both of Debian's are one program with many names; the release's alternative is chosen by a script.
  ln -sf xtables-nft-multi "$rootfs/usr/sbin/iptables"
  ln -sf xtables-nft-multi "$rootfs/usr/sbin/ip6tables"
  ln -sf bash "$rootfs/usr/bin/sh"
  ln -sf gawk "$rootfs/usr/bin/awk"
  echo 'root:x:0:0:root:/root:/bin/bash' >"$rootfs/etc/passwd"
  printf 'root:x:0:\ndocker:x:999:\n' >"$rootfs/etc/group"
  # Nothing in a machine without screen and sound wants them, and there are many.
  rm -rf "$rootfs"/{usr/,}lib/modules/*/kernel/{sound,drivers/{gpu,media,net/wireless,infiniband,staging}}
  rm -rf "$rootfs"/usr/share/{doc,man,locale}
  mkdir -p "$rootfs"/{proc,sys,dev,run,tmp,root,lab/mirror}
  chroot "$rootfs" ldconfig
  chroot "$rootfs" depmod "$(release_in "$rootfs")"
  stock_mirror "$rootfs/lab/mirror"
  # What `doctor` asks a mirror for.
  mkdir -p "$rootfs/lab/mirror/dists/stable"
  date -Ru >"$rootfs/lab/mirror/dists/stable/Release"
}

release_in() { basename "$(echo "$1"/usr/lib/modules/*)"; }

# Copies every locked package into the directory $1, under the paths of a Debian mirror.
stock_mirror() {
  local lock path sha256
  for lock in "${SDBUILD_LOCKS:-$root/containers}"/{registrar,builder}/amd64.lock.json "$SDBUILD_MINI_NIXPKGS"/pins/*.lock.json; do
    jq -r '.packages[] | [.path, .sha256] | @tsv' "$lock"
  done | sort -u | while IFS=$'\t' read -r path sha256; do
    mkdir -p "$1/$(dirname "$path")"
    locked_package "$path" "$sha256" >"$1/$path"
  done
}

# Writes the initramfs for the kernel in $1 to $2: just enough to mount the disk.
first_file_system() {
  local rootfs=$1 into=$work/first module number=10
  rm -rf "$into"
  mkdir -p "$into"/{modules,dev,disk}
  cp "$rootfs/usr/bin/busybox" "$into/busybox"
  for module in $(chroot "$rootfs" modprobe -S "$(release_in "$rootfs")" -a --show-depends virtio_pci virtio_blk ext4 crc32c_generic |
    sed -n 's/^insmod //p' | awk '!seen[$0]++'); do
    number=$((number + 1))
    case $module in
      *.xz) xz -dc "$rootfs$module" >"$into/modules/$number.ko" ;;
      *) cp "$rootfs$module" "$into/modules/$number.ko" ;;
    esac
  done
  cat >"$into/init" <<'INIT'
#!/busybox sh
/busybox mount -t devtmpfs none /dev
for module in /modules/*; do /busybox insmod "$module"; done
/busybox mount -t ext4 /dev/vda /disk
exec /busybox switch_root /disk /lab/init
INIT
  chmod +x "$into/init"
  (cd "$into" && find . | cpio --quiet -o -H newc) >"$2"
}

# Makes everything for the kernel $1 in the directory $2: `disk`, `first`, `linux`.
make_machine() {
  local rootfs=$2/root
  if [ ! -e "$2/furnished" ]; then
    rm -rf "$rootfs"
    mkdir -p "$rootfs"
    furnish "$1" "$rootfs"
    touch "$2/furnished"
  fi
  install -m 755 "$root"/scripts/lab.d/{init,helpers,steps} "$rootfs/lab/"
  install -m 755 "$sdbuild" "$rootfs/usr/bin/sdbuild"
  rm -rf "$rootfs/lab/nixpkgs"
  cp -r "$SDBUILD_MINI_NIXPKGS" "$rootfs/lab/nixpkgs"
  install -D "$work/sd-card.nix" "$rootfs/lab/example/sd-card.nix"
  cp "$(echo "$rootfs"/boot/vmlinuz-*)" "$2/linux"
  first_file_system "$rootfs" "$2/first"
  rm -f "$2/disk"
  truncate -s 6G "$2/disk"
  mke2fs -q -t ext4 -d "$rootfs" "$2/disk"
}

# Replaces the calling shell by the machine in the directory $1, until it switches itself off. Its output goes to `console`, its
# results to `results`, and the image that it made to `image.tar`. It has no network: everything that it downloads is on its disk.
become_machine() {
  rm -f "$1"/{console,results,image.tar}
  truncate -s 1G "$1/image.tar"
  exec timeout "$time_limit" qemu-system-x86_64 -accel tcg,tb-size=1024 -cpu max,la57=off -smp 2 -m 4G -nodefaults \
    -display none -no-reboot -kernel "$1/linux" -initrd "$1/first" -append "console=ttyS0 quiet panic=-1 mitigations=off clocksource=tsc tsc=reliable" \
    -serial "file:$1/console" -serial "file:$1/results" \
    -drive "file=$1/disk,format=raw,if=virtio,cache=unsafe" \
    -drive "file=$1/image.tar,format=raw,if=virtio,cache=unsafe" </dev/null
}
