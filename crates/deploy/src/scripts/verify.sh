# Removes those of the paths in the arguments whose content is damaged, as a loss of power leaves it, with what refers to them. Root.
PATH=/run/current-system/sw/bin:$PATH
for path in "$@"; do
  nix-store --verify-path "$path" 2>/dev/null && continue
  echo "sdbuild: damaged $path"
  nix-store --query --referrers-closure "$path" 2>/dev/null | xargs nix-store --delete >/dev/null 2>&1
done
echo 'sdbuild: end'
