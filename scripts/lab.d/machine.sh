# The virtual machines of scripts/lab: their disks, their start and their results. Sourced by scripts/lab.
# shellcheck shell=bash disable=SC2154  # root, target and work come from scripts/lab

# The last one is kmod's, which takes it up at run time.
guest_packages=(
  docker.io containerd runc iptables apparmor busybox-static base-files bash libc-bin coreutils
  util-linux mount grep sed gawk tar procps kmod liblzma5
)

# Prints the Debian release of the machine $1.
suite_of() {
  case $1 in
    6.1) echo bookworm ;;
    6.12 | arm64) echo trixie ;;
    *) die "there is no machine $1: use 6.1, 6.12 or --arm64" ;;
  esac
}

# Prints the architecture of the machine $1.
arch_of() { if [ "$1" = arm64 ]; then echo arm64; else echo amd64; fi; }

# The file system of the machine $1 in the directory $2, its programs out of Debian's packages (what their scripts would do is
# done here), with everything that a build wants to download.
furnish() {
  local suite arch rootfs=$2 packages=("${guest_packages[@]}")
  suite=$(suite_of "$1") arch=$(arch_of "$1")
  # Before that the engine's client was not a package of its own.
  [ "$suite" = bookworm ] || packages+=(docker-cli)
  if [ "$arch" = arm64 ]; then
    # What `try` boots its image with, which needs the kernel for virtual machines only.
    packages+=(linux-image-cloud-arm64 openssh-client qemu-system-arm u-boot-qemu)
  else
    packages+=(linux-image-amd64)
  fi
  from_debian "$suite" "$arch" all "$rootfs" "${packages[@]}"
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
  # Debian's C library finds its own directories without a cache; this machine's programs cannot be run for arm64.
  [ "$arch" = arm64 ] || chroot "$rootfs" ldconfig
  depmod -b "$rootfs" "$(release_in "$rootfs")"
  stock_mirror "$arch" "$rootfs/lab/mirror"
  # What `doctor` asks a mirror for.
  mkdir -p "$rootfs/lab/mirror/dists/stable"
  date -Ru >"$rootfs/lab/mirror/dists/stable/Release"
}

release_in() { basename "$(echo "$1"/usr/lib/modules/*)"; }

# Copies every locked package that the architecture $1 needs into the directory $2, under the paths of a Debian mirror.
stock_mirror() {
  local lock path sha256
  for lock in "${SDBUILD_LOCKS:-$root/containers}"/{registrar,builder,emulator}/"$1.lock.json" "$SDBUILD_MINI_NIXPKGS"/pins/*.lock.json; do
    jq -r '.packages[] | [.path, .sha256] | @tsv' "$lock"
  done | sort -u | while IFS=$'\t' read -r path sha256; do
    mkdir -p "$2/$(dirname "$path")"
    locked_package "$path" "$sha256" >"$2/$path"
  done
}

# Writes the initramfs for the kernel in $1 to $2: just enough to mount the disk.
first_file_system() {
  local rootfs=$1 into=$work/first module number=10
  rm -rf "$into"
  mkdir -p "$into"/{modules,dev,disk}
  cp "$rootfs/usr/bin/busybox" "$into/busybox"
  for module in $(modprobe -d "$rootfs" -S "$(release_in "$rootfs")" -a --show-depends virtio_pci virtio_blk ext4 crc32c_generic |
    sed -n 's/^insmod //p' | awk '!seen[$0]++'); do
    number=$((number + 1))
    case $module in
      *.xz) xz -dc "$module" >"$into/modules/$number.ko" ;;
      *) cp "$module" "$into/modules/$number.ko" ;;
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

# Makes everything for the machine $1 in the directory $2: `disk`, `first`, `linux`.
make_machine() {
  local rootfs=$2/root steps=steps program=$sdbuild
  if [ ! -e "$2/furnished" ]; then
    rm -rf "$rootfs"
    mkdir -p "$rootfs"
    furnish "$1" "$rootfs"
    touch "$2/furnished"
  fi
  if [ "$1" = arm64 ]; then
    steps="steps-arm64"
    program=$("$root/scripts/release" --binary aarch64-unknown-linux-musl)
  fi
  install -m 755 "$root"/scripts/lab.d/{init,helpers} "$rootfs/lab/"
  install -m 755 "$root/scripts/lab.d/$steps" "$rootfs/lab/steps"
  install -m 755 "$program" "$rootfs/usr/bin/sdbuild"
  rm -rf "$rootfs/lab/nixpkgs"
  cp -r "$SDBUILD_MINI_NIXPKGS" "$rootfs/lab/nixpkgs"
  install -D "$work/sd-card.nix" "$rootfs/lab/example/sd-card.nix"
  cp "$(echo "$rootfs"/boot/vmlinuz-*)" "$2/linux"
  first_file_system "$rootfs" "$2/first"
  rm -f "$2/disk"
  truncate -s 6G "$2/disk"
  mke2fs -q -t ext4 -d "$rootfs" "$2/disk"
}

# Replaces the calling shell by the machine $1 in the directory $2, until it switches itself off. Its output goes to `console`,
# its results to `results`, and the image that it made to `image.tar`. It has no network: everything that it downloads is on its
# disk.
become_machine() {
  local machine
  if [ "$1" = arm64 ]; then
    # With the mode of a hypervisor, so that its kernel has KVM. Its second serial port is a virtual one, and it has no clock.
    machine=(
      qemu-system-aarch64 -M "virt,virtualization=on,gic-version=3" -cpu cortex-a76
      -append "console=ttyAMA0 quiet panic=-1 mitigations=off lab_time=$(date +%s)"
      -serial "file:$2/console" -chardev "file,id=results,path=$2/results" -device virtio-serial-pci
      -device "virtconsole,chardev=results"
    )
  else
    machine=(
      qemu-system-x86_64 -cpu "max,la57=off"
      -append "console=ttyS0 quiet panic=-1 mitigations=off clocksource=tsc tsc=reliable"
      -serial "file:$2/console" -serial "file:$2/results"
    )
  fi
  rm -f "$2"/{console,results,image.tar}
  truncate -s 1G "$2/image.tar"
  exec timeout "$time_limit" "${machine[@]}" -accel tcg,tb-size=1024 -smp 2 -m 4G -nodefaults \
    -display none -no-reboot -kernel "$2/linux" -initrd "$2/first" \
    -drive "file=$2/disk,format=raw,if=virtio,cache=unsafe" \
    -drive "file=$2/image.tar,format=raw,if=virtio,cache=unsafe" </dev/null
}
