# Changes the system of this machine, and changes it back unless a new connection confirms it in time. Root; runs apart from any
# connection, so that nothing that happens to one ends it.
#
#   job MODE NEW OLD SECONDS [GENERATION]
#
# MODE: switch, test (only until the next start) or boot (only from the next start on, which nobody confirms). NEW and OLD are
# systems. SECONDS: how long it waits for a confirmation. GENERATION: the number of NEW among those that the machine has already.
#
# Until NEW is confirmed, OLD is what the machine starts, so a machine that loses its power comes back with OLD.
#
# /run/sdbuild-deploy/state: `activating`, `waiting`, `installing` (the boot loader), `returning`, and at the end `done`, or
# `returned REASON` (`unconfirmed`, `activation STATUS`, `installation STATUS`), or `broken REASON` if OLD could not be activated again.
# /run/sdbuild-deploy/decision: a link to `confirmed` or `returned`, which only one can make.
set -u
mode=$1 new=$2 old=$3 seconds=$4 generation=${5:-}
dir=/run/sdbuild-deploy
profile=/nix/var/nix/profiles/system
roots=/nix/var/nix/gcroots/auto
export PATH="$old/sw/bin:/run/current-system/sw/bin:$PATH"
export LOCALE_ARCHIVE=/run/current-system/sw/lib/locale/locale-archive NIXOS_INSTALL_BOOTLOADER=0
# An activation that takes longer is stuck.
longest=1800

state() { printf '%s\n' "$*" >$dir/state.new && mv $dir/state.new $dir/state; }
decide() {
  ln -s "$1" $dir/decision 2>/dev/null
  [ "$(readlink $dir/decision)" = "$1" ]
}
# Runs the action $2 of the system $1. Only this program is spared when memory is short.
act() {
  (
    echo 0 >/proc/self/oom_score_adj
    exec timeout $longest "$1/bin/switch-to-configuration" "$2"
  ) >>$dir/log 2>&1 </dev/null
}
failed_units() {
  [ -d /run/systemd/system ] || return 0
  systemctl list-units --failed --plain --no-legend --full | cut -d ' ' -f 1
}
# What the units said that have failed since the beginning.
note_failed() {
  failed_units | grep -vxFf $dir/failed-before >$dir/failed
  while read -r unit; do
    journalctl --unit "$unit" --lines 10 --no-pager --output cat | sed "s/^/$unit: /"
  done <$dir/failed >>$dir/log 2>/dev/null
}
give_back() {
  state returning
  reason=$*
  if act "$old" test; then state "returned $reason"; else state "broken $reason"; fi
}
# Makes NEW the current generation.
set_profile() {
  if [ -n "$generation" ]; then
    nix-env --profile $profile --switch-generation "$generation"
  else
    nix-env --profile $profile --set "$new"
  fi
}
# Makes NEW what the machine starts. If that fails, it starts what it started before.
install() {
  before=$(readlink $profile)
  before=${before#system-}
  started=$(readlink -f $profile)
  set_profile >>$dir/log 2>&1 && act "$new" boot && sync && return 0
  status=$?
  nix-env --profile $profile --switch-generation "${before%-link}" >>$dir/log 2>&1
  act "$started" boot
  return $status
}
change() {
  # What the machine is changed to is on its disk.
  sync
  if [ "$mode" != boot ]; then
    state activating
    act "$new" test
    status=$?
    if [ $status -ne 0 ]; then
      decide returned
      note_failed
      give_back activation $status
      return
    fi
    state waiting
    waited=0
    while [ ! -L $dir/decision ] && [ $waited -lt "$seconds" ]; do
      sleep 1
      waited=$((waited + 1))
    done
    if decide returned; then
      note_failed
      give_back unconfirmed
      return
    fi
  fi
  if [ "$mode" != test ]; then
    state installing
    install
    status=$?
    if [ $status -ne 0 ]; then
      if [ "$mode" = boot ]; then state "returned installation $status"; else give_back installation $status; fi
      return
    fi
  fi
  state 'done'
}

echo -1000 >/proc/self/oom_score_adj
echo $$ >$dir/pid
echo "$new" >$dir/system
failed_units >$dir/failed-before
# A garbage collection keeps both; Nix removes such a link when what it leads to is gone.
ln -sfn "$new" $dir/new && ln -sfn "$old" $dir/old
ln -sfn $dir/new $roots/sdbuild-deploy-new
ln -sfn $dir/old $roots/sdbuild-deploy-old
change
rm -f $roots/sdbuild-deploy-new $roots/sdbuild-deploy-old
echo yes >$dir/ended
# Until somebody has read how it ended.
waited=0
while [ -e $dir/state ] && [ $waited -lt 600 ]; do
  sleep 1
  waited=$((waited + 1))
done
[ "$(cat $dir/pid 2>/dev/null)" != $$ ] || rm -rf $dir
