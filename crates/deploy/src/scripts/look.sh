# Says what a deployment has to know of this machine; no more than which system it is if that in the argument runs and starts next.
# Needs no rights; each line begins with `sdbuild: `.
say() { printf 'sdbuild: %s\n' "$*"; }
value() { [ -z "$2" ] || say "$1 $2"; }
PATH=/run/wrappers/bin:/run/current-system/sw/bin:$PATH

[ ! -e /etc/NIXOS ] || say nixos
! command -v nix-store >/dev/null || say nix
value user "$(id -u)"
value machine "$(uname -m)"
value boot-id "$(cat /proc/sys/kernel/random/boot_id)"
value running "$(readlink -f /run/current-system)"
value booted "$(readlink -f /run/booted-system)"
value next "$(readlink -f /nix/var/nix/profiles/system)"
value generation "$(readlink /nix/var/nix/profiles/system)"
for name in kernel initrd kernel-modules; do
  [ ! -e "/run/booted-system/$name" ] || value "booted-$name" "$(readlink -f "/run/booted-system/$name")"
done
[ ! -x /run/current-system/bin/switch-to-configuration ] || say switches
for way in sudo doas run0; do
  command -v $way >/dev/null || continue
  case $way in
    # With what runs later: a rule may be for that program alone.
    sudo) sudo -n /bin/sh -c : ;;
    doas) doas -n /bin/sh -c : ;;
    run0) run0 --no-ask-password /bin/sh -c : ;;
  esac </dev/null >/dev/null 2>&1 && say "becomes-root $way"
  [ $way != sudo ] || say asks-password
done
for link in /run/current-system /nix/var/nix/profiles/system; do
  [ "$(readlink -f $link)" = "${1:-}" ] || set --
done
[ $# -eq 0 ] || exit 0
# shellcheck disable=SC2046  # two numbers
set -- $(stat -f -c '%a %S' /nix/store)
[ $# -ne 2 ] || say "free $(($1 * $2))"
nix-store --query --requisites /run/current-system | while read -r path; do
  say "has $path"
done
nix-store --query --requisites /run/current-system | xargs nix-store --query --size | while read -r size; do
  say "size $size"
done
say end
