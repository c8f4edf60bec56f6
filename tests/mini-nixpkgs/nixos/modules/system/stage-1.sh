#!/bin/busybox sh
# Until /proc is there, busybox' shell cannot find itself for the commands it has inside.
/bin/busybox mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=755 tmpfs /run

echo
echo "<<< NixOS Stage 1 >>>"
echo

fail() {
  echo "stage 1: $1; a shell follows"
  exec sh </dev/console >/dev/console 2>&1
}

# The kernel's command line may name another root or init; otherwise the configuration does.
root=@root@
init=
for word in $(cat /proc/cmdline); do
  case $word in
    root=fstab) ;;
    root=*) root=${word#root=} ;;
    init=*) init=${word#init=} ;;
  esac
done
[ -n "$init" ] || fail "no init= on the kernel's command line"

while read -r module; do insmod "@modules@/$module" || true; done <@modules@/load-order

go_on() {
  mkdir -p /sysroot/proc /sysroot/sys /sysroot/dev /sysroot/run
  # And once /proc is gone again, its full name is needed again.
  for place in sys dev run proc; do /bin/busybox mount -o move /$place /sysroot/$place; done
  exec /bin/busybox switch_root /sysroot "$init"
}

device=
find_device() {
  local attempt
  for attempt in $(seq 100); do
    case $root in
      *=*) device=$(findfs "$root" 2>/dev/null) && break ;;
      *) [ ! -b "$root" ] || { device=$root && break; } ;;
    esac
    sleep 0.2
  done
  # As NixOS' script: a driver that is missing looks like a disk that is.
  [ -b "$device" ] || {
    echo "Timed out waiting for device $root, trying to mount anyway."
    echo "mounting $root on /mnt-root/..."
    mount "$root" /sysroot
    printf '\nAn error occurred in stage 1 of the boot process, which must mount the\n'
    echo "root filesystem on \`/mnt-root' and then start stage 2."
    fail "no root file system $root"
  }
}

# A system that runs from memory: its store is a file here or on a CD, and what is written lies above it.
if [ "@fsType@" = tmpfs ]; then
  mount -t tmpfs -o mode=0755 tmpfs /sysroot
  store=@store@
  case $store in
    /iso/*)
      find_device
      mkdir /sysroot/iso
      mount -t iso9660 -o ro "$device" /sysroot/iso || fail "cannot mount $device"
      store=/sysroot$store
      ;;
  esac
  for place in .ro-store .rw-store store; do mkdir -p /sysroot/nix/$place; done
  mount -t squashfs -o ro,loop "$store" /sysroot/nix/.ro-store || fail "cannot mount $store"
  mount -t tmpfs -o mode=0755 tmpfs /sysroot/nix/.rw-store
  mkdir /sysroot/nix/.rw-store/store /sysroot/nix/.rw-store/work
  mount -t overlay -o lowerdir=/sysroot/nix/.ro-store,upperdir=/sysroot/nix/.rw-store/store,workdir=/sysroot/nix/.rw-store/work \
    overlay /sysroot/nix/store || fail "cannot mount the store"
  go_on
fi

find_device

# Makes the partition reach the end of its disk. This is done while nothing of the disk is mounted, since the kernel
# does not read a partition table anew under a mounted one. Only the four bytes of the size change in the table.
grow() {
  local name=${device##*/} number disk start old new bytes i
  number=$(cat "/sys/class/block/$name/partition") || return
  disk=$(readlink -f "/sys/class/block/$name/..")
  disk=${disk##*/}
  start=$(cat "/sys/class/block/$name/start")
  old=$(cat "/sys/class/block/$name/size")
  new=$(($(cat "/sys/class/block/$disk/size") - start))
  [ "$new" -gt "$old" ] || return
  bytes=
  for i in 0 8 16 24; do bytes=$bytes$(printf '\\%03o' $((new >> i & 255))); done
  printf "$bytes" | dd of="/dev/$disk" bs=1 seek=$((446 + 16 * (number - 1) + 12)) conv=notrunc 2>/dev/null
  blockdev --rereadpt "/dev/$disk"
  echo "stage 1: /dev/$name goes from $old to $new sectors"
}
# Of a GPT, whose checksums need a program, the system itself does that: see grow-partition.nix.
is_gpt() {
  local disk
  disk=$(readlink -f "/sys/class/block/${device##*/}/..")
  [ "$(dd if="/dev/${disk##*/}" bs=1 skip=512 count=8 2>/dev/null)" = "EFI PART" ]
}
[ @grow@ = false ] || is_gpt || grow

mount -t @fsType@ "$device" /sysroot || fail "cannot mount $device"
@services@go_on
