# Lives as long as the run: holds the lock, records the start before it happens and the end after it did.
# Arguments: RUN_FOLDER LOCK LAUNCH BY COMMAND…; LAUNCH is - for the start, else names this start of the rest, and BY is
# a JSON text of who wants it. Fd 9 is the lock, and the command inherits it, so that it is free only when the last of
# them is gone. A handler, not '', for the signals: what is ignored here would be ignored there.
trap ':' HUP INT TERM
folder=$1 lock=$2 launch=$3 by=$4
shift 4
cd /
mask=$(umask)
umask 027
# The launcher hands the lock over by fd 9. Where that was closed on the way, the launcher lets go in a moment.
if [ ! "/proc/$$/fd/9" -ef "$lock" ] || ! flock -n 9; then
    exec 9>>"$lock" || exit 74
    tries=0
    until flock -n 9; do
        tries=$((tries + 1))
        [ "$tries" -lt 20 ] || { [ "$launch" != - ] || : >"$folder/busy"; exit 75; }
        sleep 0.1
    done
fi
# Whoever gave this start up said so while holding the lock.
[ ! -e "$folder/released" ] || exit 75
if [ "$launch" = - ]; then
    [ ! -e "$folder/abandoned" ] && [ ! -e "$folder/started" ] || exit 75
else
    [ ! -e "${folder%/*}/.void-$launch" ] && [ -e "$folder/started" ] || exit 75
fi
mine=$(stat_of $$)
echo "$$ ${mine#* } $(boot_id)" | put "$folder" owner || exit 74

# Not on the disk, not started: a start that nobody could prove later must not happen.
begin() {
    utc | put "$folder" started
}

# A former end is put aside once there is an owner: in every moment it is ended, running, or in doubt.
begin_again() {
    old='' count=1
    if [ -e "$folder/finished" ]; then
        while [ -e "$folder/finished.$count" ]; do count=$((count + 1)); done
        old=$folder/finished.$count
        mv "$folder/finished" "$old" && keep "$folder" || return
    fi
    { cat "$folder/resumed" 2>/dev/null; echo "{\"at\":\"$(utc)\",\"launch\":\"$launch\",\"by\":$by}"; } |
        put "$folder" resumed && return
    [ -z "$old" ] || mv "$old" "$folder/finished"
    return 74
}

# A sign of life every five seconds, for as long as process $2 is the one that began at $3. A program of its own, as a
# fork of this shell would look like another run of the runner, and outlive it for up to five seconds.
# shellcheck disable=SC2016 # expanded there
beat='trap : HUP INT TERM; set -f
while read -r line <"/proc/$2/stat" && set -- "$1" "$2" "$3" ${line##*) } && [ "${23}" = "$3" ]; do
    case $4 in [ZX]) exit ;; esac
    touch "$1/beat"
    sleep 5
done'

if [ "$launch" = - ]; then begin || exit 74; else begin_again || exit 74; fi
/bin/sh -c "$beat" beat "$folder" $$ "${mine#* }" </dev/null >/dev/null 2>&1 9>&- &
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
