# Whether everything agrees. Sourced by scripts/release.
# shellcheck shell=bash disable=SC2154  # root, version, repository and placeholder come from scripts/release

# Reports every disagreement; with the tag $1 also what keeps this commit from being published under it.
check() {
  local tag=$1 wrong=0 file
  disagrees() {
    say "release: $*"
    wrong=1
  }
  cd "$root" || return
  grep -A 1 '^name = "sdbuild"$' Cargo.lock | grep -qxF "version = \"$version\"" || disagrees "Cargo.lock has another version than $version"
  [ "$(sed -n 's/^## \([^ ]*\).*/\1/p' CHANGELOG.md | head -n 1)" = "$version" ] || disagrees "the first section of CHANGELOG.md is not of $version"
  grep -q "^sdbuild ($version-1) " packaging/debian/changelog || disagrees "packaging/debian/changelog has no entry for $version-1"
  # Every address of a GitHub repository named sdbuild is ours.
  while IFS=: read -r file line address; do
    [ "$address" = "$repository" ] || disagrees "$file:$line: $address, but Cargo.toml says $repository"
  done < <(git grep -noE 'https://github\.com/[A-Za-z0-9-]+/sdbuild' -- . ':!scripts' ':!tests')
  for file in examples/ci/*.yml; do
    grep -qF "SDBUILD_VERSION: $version" "$file" || disagrees "$file does not install $version"
  done
  [ -z "$tag" ] || check_tag "$tag"
  [ $wrong = 0 ] || die "see above"
}

check_tag() {
  [ "$1" = "v$version" ] || disagrees "the tag $1 is not v$version"
  grep -qE "^## $version \([0-9]{4}-[0-9]{2}-[0-9]{2}\)\$" CHANGELOG.md ||
    disagrees "CHANGELOG.md has no date for $version: ## $version ($(date -u +%F))"
  [ "$(git rev-parse -q --verify "refs/tags/$1^{commit}")" = "$(git rev-parse HEAD)" ] || disagrees "the tag $1 is not this commit"
  for file in README.md docs/install.md; do
    ! grep -qF 'No release is published yet' "$file" || disagrees "$file says that no release is published yet"
  done
  ! git grep -qF "${placeholder#https://github.com/}" -- . ':!scripts/release' ||
    disagrees "the address of the repository is a placeholder: scripts/release --repository URL"
}
