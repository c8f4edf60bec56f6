# Compares the firmware partition of this machine with other files, or replaces files there. It leaves it mounted as it was. Root.
#
#   look [SIZE NAME]...               says what is free, what interrupted runs have left, and of each file that is there its size, and
#                                     its hash if it has this size; `none` without such a partition
#   put SOURCE [[HASH NAME]... .]...  replaces the files of each group by those in the directory SOURCE: all are written beside the
#                                     old ones and are on the disk before the first one gets its name
say() { printf 'sdbuild: %s\n' "$*"; }
PATH=/run/current-system/sw/bin:$PATH
task=$1 dir=/boot/firmware new=.sdbuild-new
shift
# The end of the connection ends nothing here.
trap '' HUP INT PIPE TERM

hash_of() { sha256sum <"$1" | cut -d ' ' -f 1; }
look() {
  say "partition $(stat -f -c '%a %S' "$dir")"
  find "$dir" -type f -name "*$new" -exec stat -c 'sdbuild: left %s' {} +
  while [ $# -gt 1 ]; do
    size=$(stat -c %s "$dir/$2" 2>/dev/null) hash=-
    [ "$size" != "$1" ] || hash=$(hash_of "$dir/$2")
    [ -z "$size" ] || say "file $size $hash $2"
    shift 2
  done
}
clean() { find "$dir" -type f -name "*$new" -exec rm -f {} +; }
# Whether the store of this machine has each file as it should be.
check() {
  while [ $# -gt 0 ]; do
    [ "$1" != . ] || { shift; continue; }
    [ "$(hash_of "$source/$2")" = "$1" ] || { echo "$source/$2 is not as it should be" >&2; return 1; }
    shift 2
  done
}
put() {
  source=$1 group=
  shift
  check "$@" || return
  clean
  while [ $# -gt 0 ]; do
    if [ "$1" = . ]; then
      sync
      # Names have no white space.
      for name in $group; do
        mv -f "$dir/$name$new" "$dir/$name" || return
      done
      sync
      group=
      shift
    else
      { mkdir -p "$(dirname "$dir/$2")" && cp "$source/$2" "$dir/$2$new"; } || { clean; return 1; }
      [ "$(hash_of "$dir/$2$new")" = "$1" ] || { clean; echo "$dir/$2 was not written as it should be" >&2; return 1; }
      group="$group $2"
      shift 2
    fi
  done
  say end
}

{ exec 8</nix/var/nix/profiles && timeout 60 flock 8; } || { echo "another program changes $dir" >&2; exit 1; }
# An automounter mounts it now.
ls $dir >/dev/null 2>&1
options=$(sed -n "s#^[^ ]* $dir [^ ]* \([^ ]*\) .*#\1#p" /proc/mounts | tail -n 1)
way=rw made=
[ "$task" = put ] || way=ro
case $options in
  '')
    grep -q "^[^#]*[[:space:]]${dir}[[:space:]]" /etc/fstab || { say none; exit 0; }
    [ -d $dir ] || { mkdir -p $dir && made=yes; }
    mount -o $way $dir || exit
    ;;
  ro | ro,*) [ $way = ro ] || mount -o remount,rw $dir || exit ;;
esac
"$task" "$@"
status=$?
case $options in
  '') umount $dir && { [ -z "$made" ] || rmdir $dir; } ;;
  ro | ro,*) [ $way = ro ] || mount -o remount,ro $dir ;;
esac
exit $status
