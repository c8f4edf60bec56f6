# Starts the program in the second argument with the other ones, apart from this connection, if the process in the first one still
# holds the lock. Root.
say() { printf 'sdbuild: %s\n' "$*"; }
PATH=/run/current-system/sw/bin:$PATH
dir=/run/sdbuild-deploy
holder=$1 job=$2
shift 2

if ! kill -0 "$holder"; then
  say lost
  exit 0
fi
if [ -e $dir/pid ] && kill -0 "$(cat $dir/pid)" 2>/dev/null && [ "$(cat $dir/ended 2>/dev/null)" != yes ]; then
  say "busy $(cat $dir/state)"
  exit 0
fi
# Another deployment has ended since this one looked, or a system that nobody confirmed has gone: the old system is another one.
if [ "$(readlink -f /run/current-system)" != "$3" ]; then
  say "changed $(readlink -f /run/current-system)"
  exit 0
fi
umask 077
rm -rf $dir
mkdir $dir && printf '%s\n' "$job" >$dir/job || exit
if [ -d /run/systemd/system ]; then
  # Whatever the kernel kills for memory, the rest of it goes on.
  systemd-run --quiet --collect --no-ask-password --unit="sdbuild-deploy-$$" --property=OOMPolicy=continue \
    /bin/sh $dir/job "$@" || exit
else
  setsid /bin/sh $dir/job "$@" </dev/null >/dev/null 2>&1 &
fi
tries=0
while [ ! -e $dir/state ]; do
  tries=$((tries + 1))
  [ $tries -le 300 ] || exit 1
  sleep 0.1
done
say started
