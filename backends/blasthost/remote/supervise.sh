# Lives as long as the run: holds the lock, records the start before it happens and the end after it did.
# Arguments: RUN_FOLDER LOCK COMMAND…; fd 9 is the lock, and the command inherits it, so that it is free only when
# the last of them is gone. A handler, not '', for the signals: what is ignored here would be ignored there.
trap ':' HUP INT TERM
folder=$1 lock=$2
shift 2
cd /
mask=$(umask)
umask 027
exec 9>>"$lock" || exit 74
flock -n 9 || {
    : >"$folder/busy"
    exit 75
}
# Whoever gave this start up said so while holding the lock.
[ ! -e "$folder/released" ] && [ ! -e "$folder/abandoned" ] || exit 75
mine=$(stat_of $$)
echo "$$ ${mine#* } $(boot_id)" | put "$folder" owner || exit 74
# Not on the disk, not started: a start that nobody could prove later must not happen.
utc | put "$folder" started || exit 74
umask "$mask"
"$@" >>"$folder/out" 2>&1 </dev/null
rc=$?
umask 027
keep "$folder/out"
# A full disk may be freed again; the end is worth waiting for, and without it the run stays in doubt.
tries=0
until echo "{\"rc\":$rc,\"at\":\"$(utc)\",\"counts\":null}" | put "$folder" finished; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || exit 74
    sleep 5
done
exit "$rc"
