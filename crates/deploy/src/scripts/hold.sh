# Holds the lock of deployments on this machine until its input ends or is silent for a minute. A restart releases it: /run is in
# memory. Root.
PATH=/run/current-system/sw/bin:$PATH
exec 9>/run/sdbuild-deploy.lock || exit
flock -n 9
case $? in
  0) echo "sdbuild: locked $$" ;;
  1)
    echo 'sdbuild: busy'
    exit 0
    ;;
  *) exit 1 ;;
esac
while line=$(timeout 60 head -n 1) && [ -n "$line" ]; do :; done
