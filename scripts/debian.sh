# Debian's packages, for the benchmarks and the lab. Sourced, never run.
# shellcheck shell=bash disable=SC2154  # work comes from the script that sources this

# Unpacks packages $5… of the suite $1 for the architecture $2 into the folder $4; $3: `all` with what they depend on,
# `only` without. By apt, from metadata whose signature it checks.
from_debian() {
  local suite=$1 architecture=$2 how=$3 into=$4 folder=$work/apt/$1-$2 mirror options package
  shift 4
  mirror=$(mirrors | head -n 1)
  mkdir -p "$folder"/{lists,cache/archives/partial,parts} "$into"/usr/{bin,sbin,lib} "$into/etc"
  : >"$folder/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$folder/sources.list"
  options=(-qq -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture" -o "Dir::Etc::SourceList=$folder/sources.list"
    -o "Dir::Etc::SourceParts=$folder/parts" -o "Dir::Etc::Preferences=/dev/null" -o "Dir::Etc::PreferencesParts=$folder/parts"
    -o "Dir::State::Lists=$folder/lists" -o "Dir::State::Status=$folder/status" -o "Dir::Cache=$folder/cache"
    -o APT::Sandbox::User=root -o APT::Install-Recommends=false -o Debug::NoLocking=true)
  apt-get "${options[@]}" update </dev/null >&2
  if [ "$how" = all ]; then
    apt-get "${options[@]}" -y --download-only install "$@" </dev/null >&2
  else
    (cd "$folder/cache/archives" && apt-get "${options[@]}" download "$@" </dev/null >&2)
  fi
  for package in bin sbin lib; do ln -sfn "usr/$package" "$into/$package"; done
  [ "$architecture" = arm64 ] || ln -sfn usr/lib64 "$into/lib64"
  for package in "$folder"/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink --no-same-owner -C "$into"
  done
  rm -rf "$folder"
}

# The package with the path $1 in the archive and the hash $2, from sdbuild's downloads or from a mirror.
locked_package() {
  local object=${XDG_CACHE_HOME:-$HOME/.cache}/sdbuild/sha256/$2 mirror
  [ ! -f "$object" ] || { cat "$object" && return; }
  for mirror in $(mirrors); do
    ! curl -sfL --retry 2 "$mirror/${1//+/%2B}" || return 0
  done
  die "$1 cannot be had"
}
