# Lists the systems that this machine can start, the oldest first. Needs no rights.
profile=/nix/var/nix/profiles/system
for link in "$profile"-*-link; do
  [ -L "$link" ] || continue
  number=${link#"$profile-"}
  printf 'sdbuild: generation %s %s %s\n' "${number%-link}" "$(stat -c %Y "$link")" "$(readlink -f "$link")"
done | sort -n -k 3
echo 'sdbuild: end'
