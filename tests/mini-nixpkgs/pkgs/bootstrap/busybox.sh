mkdir -p "$out/bin"
cp "$unpacked/usr/bin/busybox" "$out/bin/busybox"
cd "$out/bin"

# Some 270 links. Each `ln` would be a process, 16 ms under emulation; so the links are written as one archive
# (cpio, format newc) with the shell's own printf, and unpacked at once. 0000A1FF is "link, 0777"; the target,
# busybox, has 7 bytes; names and contents are padded to 4 bytes.
link() {
  name=$1 zero=00000000 padding=
  case $(((110 + ${#name} + 1) % 4)) in 1) padding='\0\0\0' ;; 2) padding='\0\0' ;; 3) padding='\0' ;; esac
  printf '070701%s0000A1FF%s%s%s%s%08X%s%s%s%s%08X%s%s\0'"$padding" $zero $zero $zero 00000001 $zero \
    "$2" $zero $zero $zero $zero $((${#name} + 1)) $zero "$name"
}
{
  for applet in $(./busybox --list); do
    [ "$applet" = busybox ] || {
      link "$applet" 7
      printf 'busybox\0'
    }
  done
  link 'TRAILER!!!' 0
} | ./busybox cpio -i
