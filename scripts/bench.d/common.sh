# What the benchmarks share: times, medians, records, other emulators. Sourced by scripts/bench.
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
in_seconds() { awk "BEGIN { printf \"%.3f\\n\", $1 / 1000 }"; }

# Processor time of all of the engine's containers so far, in milliseconds; nothing where the kernel does not tell.
containers_time() {
  local group=${SDBUILD_BENCH_CGROUP:-docker} base
  for base in /sys/fs/cgroup/cpuacct /sys/fs/cgroup/cpu,cpuacct; do
    [ ! -r "$base/$group/cpuacct.usage" ] || { awk '{ print int($1 / 1000000) }' "$base/$group/cpuacct.usage" && return; }
  done
  [ -r "/sys/fs/cgroup/$group/cpu.stat" ] || die "no control group /$group: name the engine's cgroup parent by SDBUILD_BENCH_CGROUP"
  awk '/^usage_usec/ { print int($2 / 1000) }' "/sys/fs/cgroup/$group/cpu.stat"
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

# Serves the binary cache in the directory $1 to containers, and sets `url` to its address and `server` to the process.
serve() {
  local address said=$work/server.log
  # Docker does not always tell it.
  address=$(ip -4 -oneline address show dev docker0 | awk '{ sub("/.*", "", $4); print $4 }')
  : >"$said"
  python3 -u -m http.server --protocol HTTP/1.1 --bind "$address" --directory "$1" 0 >"$said" 2>/dev/null &
  server=$!
  until url=$(sed -n 's/.*(\(http[^)]*\)\/).*/\1/p' "$said") && [ -n "$url" ]; do
    kill -0 "$server" 2>/dev/null || die "the cache cannot be served at $address"
    sleep 0.1
  done
}
