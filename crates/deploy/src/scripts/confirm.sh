# Confirms the system in the argument, if that is awaited, and says how its deployment ended. Root.
say() { printf 'sdbuild: %s\n' "$*"; }
PATH=/run/current-system/sw/bin:$PATH
dir=/run/sdbuild-deploy

# That of somebody else is theirs.
[ "$(cat $dir/system 2>/dev/null)" = "$1" ] || dir=/run/sdbuild-deploy-none
if [ "$(cat $dir/state 2>/dev/null)" = waiting ]; then
  ln -s confirmed $dir/decision 2>/dev/null
fi
waited=0
while [ $waited -lt 20 ]; do
  case $(cat $dir/state 2>/dev/null) in
    waiting | installing | returning) sleep 1 ;;
    *) break ;;
  esac
  waited=$((waited + 1))
done
state=$(cat $dir/state 2>/dev/null)
say "boot-id $(cat /proc/sys/kernel/random/boot_id)"
say "running $(readlink -f /run/current-system)"
say "next $(readlink -f /nix/var/nix/profiles/system)"
say "state ${state:-none}"
case $state in
  done | returned* | broken*)
    [ ! -e $dir/failed ] || sed 's/^/sdbuild: failed /' $dir/failed
    tail -n 20 $dir/log 2>/dev/null | sed 's/^/sdbuild: log /'
    rm -rf $dir
    ;;
esac
say end
