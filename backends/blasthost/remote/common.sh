# Shared by the scripts below. Files of a run are written whole or not at all, and are on the disk when written.
LC_ALL=C
export LC_ALL

# keep PATH: it is on the disk when this returns 0. A `sync` that knows no paths syncs everything; one that knows
# them and fails must not be talked over by that, for it tells of no failure.
keep() {
    sync "$1" 2>/dev/null && return
    ! sync / 2>/dev/null || return 1
    sync
}

# put FOLDER NAME: standard input becomes FOLDER/NAME.
put() {
    cat >"$1/.$2.tmp" && keep "$1/.$2.tmp" && mv -f "$1/.$2.tmp" "$1/$2" && keep "$1"
}

utc() {
    date -u +%Y-%m-%dT%H:%M:%SZ
}

boot_id() {
    cat /proc/sys/kernel/random/boot_id
}

# stat_of PID: its state letter and its start in clock ticks. The name in field 2 may hold blanks and brackets.
stat_of() {
    read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    set -f
    set -- ${line##*) }
    set +f
    letter=$1
    shift 19
    echo "$letter $1"
}

# owner_of FOLDER: none, gone, live or stopped, then the pid. A pid alone proves nothing: it is used again.
owner_of() {
    [ -e "$1/owner" ] || { echo none; return; }
    owner_pid='' owner_ticks='' owner_boot=''
    read -r owner_pid owner_ticks owner_boot 2>/dev/null <"$1/owner"
    case $owner_pid in '' | *[!0-9]*) echo gone; return ;; esac
    [ "$owner_boot" = "$(boot_id)" ] || { echo gone; return; }
    now=$(stat_of "$owner_pid") || { echo gone; return; }
    [ "${now#* }" = "$owner_ticks" ] || { echo gone; return; }
    case $now in
        [ZX]*) echo gone ;;
        [Tt]*) echo "stopped $owner_pid" ;;
        *) echo "live $owner_pid" ;;
    esac
}

# at_work FOLDER: our runner is sending this attempt, whatever became of its supervisor and of the campaign's lock.
at_work() (
    [ -r "$1/runner.lock" ] && exec 7<"$1/runner.lock" && ! flock -n -s 7
)

encode() {
    base64 | tr -d '\n'
}

# released FOLDER: a person gave this attempt up. Nothing but a plain file says so.
released() {
    [ -f "$1/released" ] && [ ! -L "$1/released" ]
}

# orphan FOLDER: it was started, its owner is gone, and its runner goes on all the same.
orphan() {
    [ -e "$1/started" ] && [ ! -e "$1/finished" ] || return
    case $(owner_of "$1") in none | gone) at_work "$1" ;; *) return 1 ;; esac
}

# tell FOLDER: everything that is on record of one attempt; contents travel encoded, so they can't look like records.
# The owner is looked at before `finished` is read: an owner that is gone has then written all it ever will.
tell() {
    echo "RUN ${1##*/} $(owner_of "$1")"
    # A folder that can't be looked into holds nothing for us, and perhaps a run.
    [ -r "$1" ] && [ -x "$1" ] || echo CLOSED
    for part in claim.json plan.json owner started finished control runner.json; do
        [ -e "$1/$part" ] || continue
        if [ -r "$1/$part" ]; then
            echo "FILE $part $(head -c 65536 <"$1/$part" | encode)"
        else
            echo "UNREAD $part"
        fi
    done
    ! orphan "$1" || echo ORPHAN
    ! released "$1" || echo RELEASED
    [ ! -e "$1/busy" ] || echo BUSY
    [ ! -e "$1/abandoned" ] || echo ABANDONED
    [ ! -e "$1/beat" ] || echo "BEAT $(stat -c %Y "$1/beat") $(date +%s)"
    [ ! -s "$1/err" ] || echo "FILE err $(tail -c 1024 <"$1/err" | encode)"
    [ ! -r "$1/out" ] || echo "OUT $(stat -c '%s %Y' "$1/out") $(tail -c 16384 <"$1/out" | encode)"
}

# attempts FOLDER: the attempt numbers there, ascending.
attempts() {
    for path in "$1"/[1-9]*; do
        case ${path##*/} in *[!0-9]*) continue ;; esac
        [ ! -d "$path" ] || echo "${path##*/}"
    done | sort -n
}

# run_of FOLDER: the run id in its claim. A quote inside a JSON text is \", so this can't match in one.
run_of() {
    sed -n 's/.*"run_id": *"\([0-9a-f]*\)".*/\1/p' "$1/claim.json" 2>/dev/null | head -n 1
}

# take FOLDER: hold the short lock that starts are made under, on fd 8; fails after about ten seconds.
take() {
    (true >>"$1/.launch") || return 1 # a failing redirection of exec would end the shell
    exec 8>>"$1/.launch"
    ! flock -n 8 || return 0
    if flock --help 2>&1 | grep -q -e --timeout; then # a queue is fair, and costs nothing while one stands in it
        flock -w 10 8
        return
    fi
    tries=0
    until flock -n 8; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || return 1
        sleep 0.1
    done
}

digest_of() {
    if [ ! -e "$1" ]; then
        echo missing
    elif [ -f "$1" ] && [ -r "$1" ]; then
        sha256sum <"$1" | cut -d ' ' -f 1
    else
        echo unreadable
    fi
}
