# What the benchmarks share: times, medians, records, packages. Sourced by scripts/bench.
# shellcheck shell=bash disable=SC2154  # root, work, json and rounds come from scripts/bench

# One comparison: name, ours, theirs, how they are compared, goal. Without a goal it is told and not judged.
#   ratio   theirs over ours is the goal at least
#   beyond  ours is at most the goal more than theirs
#   most    ours is the goal at most, whatever theirs
#   share   ours is at most that many hundredths of theirs
compared=()
record() {
  compared+=("$(jq -cn --arg name "$1" --arg ours "$2" --arg theirs "$3" --arg kind "$4" --arg goal "$5" '
    def number: if . == "" then null else tonumber end;
    { name: $name, ours: ($ours | number), theirs: ($theirs | number), goal: ($goal | number), kind: $kind }
    | .ratio = (if .theirs == null or .ours == null or .ours == 0 or .theirs == 0 then null
        elif .kind == "share" then .ours / .theirs * 100 else .theirs / .ours end)
    | .met = (if .goal == null or .ours == null then null
        elif .kind == "ratio" then .ratio != null and .ratio >= .goal
        elif .kind == "beyond" then .ours - .theirs <= .goal
        elif .kind == "share" then .ratio != null and .ratio <= .goal
        else .ours <= .goal end)')")
}

report() {
  [ ${#compared[@]} -gt 0 ] || return 0
  if [ -n "$json" ]; then
    printf '%s\n' "${compared[@]}" | jq -s .
    return
  fi
  {
    echo 'what|ours|theirs|ratio|goal|met'
    printf '%s\n' "${compared[@]}" | jq -r '
      def digits: if . == null then "-" else (. * 100 | round) / 100 end;
      def wanted:
        if .goal == null then "-" elif .kind == "ratio" then "≥ \(.goal)" elif .kind == "beyond" then "≤ theirs + \(.goal)"
        elif .kind == "share" then "≤ \(.goal) %" else "≤ \(.goal)" end;
      [.name, (.ours | digits), (.theirs | digits), (.ratio | digits), wanted,
       (if .met == null then "-" elif .met then "yes" else "no" end)] | map(tostring) | join("|")'
  } | column -t -s'|'
}

now() { date +%s%N; }
# Milliseconds that a command takes. Not in $(…), where what fails fails nobody else: see timed.
milliseconds() {
  timed "$@"
  echo "$elapsed"
}
# The same, left in `elapsed`.
timed() {
  local start
  start=$(now)
  "$@" >/dev/null
  elapsed=$((($(now) - start) / 1000000))
}
# Of the numbers on standard input, however many.
median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
seconds() { awk "BEGIN { printf \"%.2f s\", $1 / 1000 }"; }
in_seconds() { awk "BEGIN { printf \"%.3f\", $1 / 1000 }"; }

# Processor time of all of the engine's containers so far, in milliseconds; nothing where the kernel does not tell.
containers_time() {
  local group=${SDBUILD_BENCH_CGROUP:-docker} base
  for base in /sys/fs/cgroup/cpuacct /sys/fs/cgroup/cpu,cpuacct; do
    [ ! -r "$base/$group/cpuacct.usage" ] || { awk '{ print int($1 / 1000000) }' "$base/$group/cpuacct.usage" && return; }
  done
  [ -r "/sys/fs/cgroup/$group/cpu.stat" ] || die "no control group /$group: name the engine's cgroup parent by SDBUILD_BENCH_CGROUP"
  awk '/^usage_usec/ { print int($2 / 1000) }' "/sys/fs/cgroup/$group/cpu.stat"
}

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

# Debian 12's and 13's own emulators, in $work/qemu.
old_qemu() {
  local suite package binary
  mkdir -p "$work/qemu"
  for suite in bookworm:qemu-user-static:qemu-aarch64-static trixie:qemu-user:qemu-aarch64; do
    IFS=: read -r suite package binary <<<"$suite"
    [ ! -x "$work/qemu/$suite" ] || continue
    from_debian "$suite" amd64 only "$work/qemu/$suite.root" "$package"
    cp "$work/qemu/$suite.root/usr/bin/$binary" "$work/qemu/$suite"
    rm -rf "$work/qemu/$suite.root"
  done
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
