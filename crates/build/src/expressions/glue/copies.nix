# nixpkgs' commands for the file system and the disk, without their two copies of all data. Commands that are not in the
# known form stay as they are.
{ lib }:
let
  inherit (import ./text.nix { inherit lib; }) withoutContext contains;
in
{
  # Hard links instead of copies in the tree that the file system is made from, which is only read.
  linked =
    command:
    let
      # The paths that are copied.
      list = "${builtins.storeDir}/[0-9a-z]{32}-closure-info/store-paths";
      lists = lib.concatLists (lib.filter builtins.isList (builtins.split "(${list})" (withoutContext command)));
      paths = lib.head lists;
      shorter = builtins.replaceStrings
        [ "xargs -I % cp -a --reflink=auto % -t ./rootImage/nix/store/ < ${paths}" "cp -RpP $(cat ${paths}) ./rootImage/nix/store/" ]
        [ "copied ${paths}" "cp -RpP $(linked ${paths}) $(cat ${paths}) ./rootImage/nix/store/" ]
        command;
    in
    if lib.length lists != 1 || shorter == command then command else
    ''
      # The option for cp, where that can neither be seen nor be refused.
      linked() {
        # The configuration brings files for the store; or somebody tries the commands by hand, and would write to it.
        [ ! -e ./files/nix ] && [ -z "''${IN_NIX_SHELL-}" ] || return 0
        ln "$1" ./linked 2>/dev/null && rm -f ./linked || return 0
        # Files with other names already would be links in the image, and somebody else's may have none.
        local other
        other=$(find $(cat "$1") \( -type f -links +1 -o ! -user "$(id -u)" \)) && [ -z "$other" ] || return 0
        # For each file with several names mkfs.ext4 looks through all of them: seconds for this many.
        [ "$(find $(cat "$1") -type f | wc -l)" -le 100000 ] || return 0
        printf %s -l
      }
      # Without that option each path has a cp of its own, as in nixpkgs: one for several would keep the hard links between them.
      copied() {
        if [ -n "$(linked "$1")" ]; then
          xargs cp -a --reflink=auto -l -t ./rootImage/nix/store/ <"$1"
        else
          xargs -I % cp -a --reflink=auto % -t ./rootImage/nix/store/ <"$1"
        fi
      }
    ''
    + shorter;

  # Moves the file system into the disk piece by piece and frees each piece: the data exists once, and pieces that the
  # kernel has not written back yet are never written. $root_fs is removed, so no later command may read it, by that name
  # or by its file's: ./root-fs.img where nixpkgs unpacked it, else the one of assembly.nix. `commands` are the
  # configuration's; one that reads the file in another way fails.
  moved =
    commands: command:
    let
      names = [ "root_fs" "root-fs" ];
      lines = [ "dd conv=notrunc if=$root_fs of=$img seek=$START count=$SECTORS" "dd conv=notrunc bs=1M if=$root_fs of=$img seek=$((START / 2048))" ];
      isLast =
        line:
        let
          around = lib.filter builtins.isString (builtins.split (lib.escapeRegex line) (withoutContext command));
        in
        lib.length around == 2 && !lib.any (name: contains name (lib.last around)) names;
      last = lib.filter isLast lines;
    in
    if last == [ ] || lib.any (name: contains name commands) names then command else
    ''
      moved() {
        # Its argument counts sectors of 512 bytes, as partition tables do.
        local unit=1048576 count=64 done=0 at size
        [ $(($1 % 2048)) = 0 ] || unit=512 count=131072
        at=$(($1 * 512 / unit))
        size=$((($(stat -L -c %s "$root_fs") + unit - 1) / unit))
        while [ $done -lt $size ]; do
          dd conv=notrunc status=none bs=$unit count=$count skip=$done seek=$((at + done)) if="$root_fs" of="$img" || return
          fallocate --punch-hole --offset $((done * unit)) --length $((count * unit)) "$root_fs" 2>/dev/null || true
          done=$((done + count))
        done
        rm "$root_fs"
      }
    ''
    + builtins.replaceStrings last [ "moved $START" ] command;
}
