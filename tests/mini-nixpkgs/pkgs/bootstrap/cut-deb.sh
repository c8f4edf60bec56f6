# A .deb is an ar archive: 8 bytes of magic, then members with a header of 60 bytes each. The first member has 4
# bytes; the second one's size stands in its header; each starts at an even offset. The third is data.tar.xz.
{
  read -r magic
  read -r first_header
  read -r format
  read -r name date uid gid mode size rest
} <"$deb"
[ "$format" = 2.0 ] || { echo "not a .deb of format 2.0: $deb"; exit 1; }
offset=$((8 + 60 + 4 + 60 + size + size % 2 + 60))
# Not as the last command: GNU tail closes its standard error before it ends, and Nix kills a builder whose output
# has ended.
tail -c "+$((offset + 1))" "$deb" >"$out"
[ -s "$out" ] || { echo "no data.tar in $deb"; exit 1; }
