# Says what the activation of the system in the argument would do, and at the end its status. Root.
PATH=/run/current-system/sw/bin:$PATH
{
  "$1/bin/switch-to-configuration" dry-activate
  printf '\n%s\n' $?
} 2>&1 | tail -n 41 | cut -c 1-4000 | sed 's/^/sdbuild: would /'
