# Says what the activation of the system in the argument would do. Root.
PATH=/run/current-system/sw/bin:$PATH
"$1/bin/switch-to-configuration" dry-activate 2>&1 | sed 's/^/sdbuild: would /'
echo 'sdbuild: end'
