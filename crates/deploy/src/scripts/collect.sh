# Removes the generations in the arguments, and what only they need; the boot menu loses them too. Root.
PATH=/run/current-system/sw/bin:$PATH
profile=/nix/var/nix/profiles/system
{
  nix-env --profile $profile --delete-generations "$@" &&
    $profile/bin/switch-to-configuration boot &&
    nix-store --gc
} >/run/sdbuild-deploy-collect 2>&1
status=$?
[ $status -eq 0 ] || tail -n 3 /run/sdbuild-deploy-collect >&2
tail -n 1 /run/sdbuild-deploy-collect | sed 's/^/sdbuild: freed /'
rm -f /run/sdbuild-deploy-collect
echo 'sdbuild: end'
exit $status
