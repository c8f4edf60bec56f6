# nixpkgs' commands for the file system and the disk, without their two copies of everything. What is not written as we
# know it stays as it is.
{
  # The store's files get a second name in the tree that the file system is made of: it is only read. Not where that
  # could be seen or be refused: where the configuration brings files for the store, where files have other names already
  # (they would become links in the image), where a path belongs to somebody else.
  linked =
    command:
    ''
      linked() {
        [ ! -e ./files/nix ] || return 0
        [ -z "$(find ${builtins.storeDir}/.links -type f 2>/dev/null | head -n 1)" ] || return 0
        [ -z "$(find ${builtins.storeDir} -maxdepth 1 ! -user "$(id -u)" | head -n 1)" ] || return 0
        printf %s -l
      }
    ''
    + builtins.replaceStrings
      [ "cp -a --reflink=auto % -t ./rootImage/nix/store/" "cp -RpP $(cat " ]
      [ "cp -a --reflink=auto $(linked) % -t ./rootImage/nix/store/" "cp -RpP $(linked) $(cat " ]
      command;

  # The file system goes into the disk piece by piece, and each piece is given back: it is held once, and what the kernel
  # has not written to the machine's disk yet is never written. $root_fs is empty afterwards.
  moved =
    command:
    ''
      moved() {
        # Its argument counts sectors of 512 bytes, as partition tables do.
        local unit=1048576 count=64 done=0 at size
        [ $(($1 % 2048)) = 0 ] || unit=512 count=131072
        at=$(($1 * 512 / unit))
        size=$((($(stat -L -c %s "$root_fs") + unit - 1) / unit))
        while [ $done -lt $size ]; do
          dd conv=notrunc status=none bs=$unit count=$count skip=$done seek=$((at + done)) if="$root_fs" of="$img"
          fallocate --punch-hole --offset $((done * unit)) --length $((count * unit)) "$root_fs" 2>/dev/null || true
          done=$((done + count))
        done
      }
    ''
    + builtins.replaceStrings
      [ "dd conv=notrunc if=$root_fs of=$img seek=$START count=$SECTORS" "dd conv=notrunc bs=1M if=$root_fs of=$img seek=$((START / 2048))" ]
      [ "moved $START" "moved $START" ]
      command;
}
