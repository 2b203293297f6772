# The look for hosts without python3: POSIX sh and coreutils, dash and busybox alike. `sweep` asks for the stats of
# everything, `gather` for the contents that changed since. It only looks, and leaves nothing behind. Names from
# the host are used only when they fit the slug grammar; the credentials file is only ever given to stat.
#
#     main sweep  NONCE CAMPAIGNS LOG STATE RUNNER CREDENTIALS FILES LOGS RUNS CRON-COUNT [CRON...] [SLUG...]
#     main gather NONCE CAMPAIGNS LOG STATE [LETTER/PATH...]
#
# FILES, LOGS and RUNS are the SHA-256 of these records as the console has them: one that is the same isn't sent again.
# Each record is a NUL, the nonce, a word, a line end, and what belongs to it up to the next record.

m() {
    printf '\000%s %s\n' "$N" "$*"
}

is_slug() {
    case $1 in '' | [!a-z0-9]* | *[!a-z0-9._-]*) return 1 ;; esac
    [ ${#1} -le 64 ]
}

# slugs [SLUG...]: those asked for, or those in the current folder.
slugs() {
    if [ $# -gt 0 ]; then
        printf '%s\n' "$@"
        return
    fi
    for n in *; do
        is_slug "$n" && echo "$n"
    done
}

# all_slugs [SLUG...]: those asked for, or those with a folder, or with run state alone.
all_slugs() {
    { (cd "$C" 2>/dev/null && slugs "$@"); (cd "$S" 2>/dev/null && slugs "$@"); } | sort -u
}

foreign() {
    count=0
    for n in * .[!.]* ..?*; do
        is_slug "$n" && continue
        [ -e "$n" ] || [ -L "$n" ] || continue
        count=$((count + 1))
        [ $count -gt 200 ] && return
        m FOREIGN
        printf '%s' "$n"
    done
}

# attempts [SLUG...]: SLUG/ATTEMPT for each run recorded in the current folder.
attempts() {
    if [ $# -gt 0 ]; then
        for s; do
            for d in "$s"/[0-9]*; do one_attempt "$d"; done
        done
    else
        for d in */[0-9]*; do one_attempt "$d"; done
    fi
}

one_attempt() {
    case ${1#*/} in '' | *[!0-9]* | ???????*) return ;; esac
    is_slug "${1%%/*}" && [ -d "$1" ] && echo "$1"
}

# life ATTEMPT: alive or stopped when pid, start time and boot id of its owner match a process; else nothing.
life() {
    [ -e "$1/finished" ] || [ ! -f "$1/owner" ] && return
    p='' t='' b=''
    read -r p t b 2>/dev/null <"$1/owner"
    case $p in '' | *[!0-9]* | ??????????*) return ;; esac
    [ "$b" = "$BOOT" ] && read -r line 2>/dev/null <"/proc/$p/stat" || return
    at=$1 ticks=$t
    set -f
    set -- ${line##*) }
    set +f
    letter=$1
    [ $# -ge 20 ] && shift 19 && [ "$1" = "$ticks" ] || return
    case $letter in
        [ZX]) ;;
        [Tt]) echo "$at stopped" ;;
        *) echo "$at alive" ;;
    esac
}

runs() {
    attempts "$@" | while read -r d; do
        for f in claim.json plan.json owner started finished released control runner.json out beat; do echo "$d/$f"; done
    done
}

first_line() {
    first=''
    { IFS= read -r first <"$1"; } 2>/dev/null
    [ -z "$first" ] || printf '%.200s\n' "$first"
}

# stats RECORD DIGEST [FOLDER]: the stat of each path on standard input, or stat's own words when there is none, unless
# all of it has that digest. Owners are numbers, as looking up each name would take longer than all the rest.
stats() {
    found=$(cd "${3:-.}" 2>/dev/null && xargs -r stat -c '%n|%d|%i|%s|'"$T"'|%a|%u|%g|%F' 2>&1)
    sum=$(printf '%s' "$found" | sha256sum 2>/dev/null)
    if [ "${sum%% *}" = "$2" ]; then
        m "$1" same
    else
        m "$1"
        printf '%s\n' "$found"
    fi
}

one_stat() {
    stat -c "$F" "$1" 2>&1
}

# open_folder PATH: `open` when what is in it can be looked at by name.
open_folder() {
    [ ! -d "$1" ] || [ -x "$1" ] && echo open
}

boundedly() {
    if command -v timeout >/dev/null; then timeout 2 "$@"; else "$@"; fi 2>/dev/null
}

sweep() {
    C=$1 L=$2 S=$3 R=$4 K=$5 files=$6 logs=$7 runs=$8 crons=$9
    shift 9
    BOOT=$(first_line /proc/sys/kernel/random/boot_id)
    ME=$(id -un 2>/dev/null || id -u)
    T='%.9Y|%.9Z'
    case $(stat -c %.9Y / 2>/dev/null) in *.*) ;; *) T='%Y|%Z' ;; esac
    F='%n|%d|%i|%s|'"$T"'|%a|%U|%G|%F'
    m IDENTITY
    echo "$(first_line /etc/machine-id)"
    echo "$BOOT"
    echo "$ME"
    uname -n
    m ZONE
    first_line /etc/timezone
    m LOCALTIME
    readlink -f /etc/localtime
    i=0
    while [ $i -lt "$crons" ]; do
        m CRON $i
        one_stat "$1"
        m CRONTEXT $i "$([ -r "$1" ] && echo readable || echo denied)"
        [ -f "$1" ] && [ ! -L "$1" ] && head -c 1048577 "$1" 2>/dev/null
        shift
        i=$((i + 1))
    done
    m CAMPAIGNS
    stat -L -c "$F" "$C" 2>&1
    if cd "$C" 2>/dev/null && [ -r . ]; then
        m LISTED
        slugs
        foreign
    elif [ -e "$C" ] && [ -d "$C" ]; then
        m UNLISTED
    fi
    all=$(all_slugs "$@")
    printf '%s\n' "$all" |
        sed 's#..*#& &/blast_template.html &/blast_data.csv &/blast_metadata.json &/blast_template.txt#' |
        stats FILES "$files" "$C"
    m LOGDIR "$(open_folder "$L")"
    one_stat "$L"
    printf '%s\n' "$all" | sed 's/..*/&.log/' | stats LOGS "$logs" "$L"
    m STATEDIR "$([ -r "$S" ] && open_folder "$S")"
    one_stat "$S"
    # Owners are looked at before `finished` is: an owner that is gone has then written all it ever will.
    m LIFE
    (cd "$S" 2>/dev/null && attempts "$@" | while read -r d; do life "$d"; done)
    m DENIEDRUNS
    (cd "$S" 2>/dev/null && slugs "$@" | while read -r s; do [ ! -d "$s" ] || { [ -r "$s" ] && [ -x "$s" ]; } || echo "$s"; done)
    (cd "$S" 2>/dev/null && runs "$@") | stats RUNS "$runs" "$S"
    m RUNNER "$([ -x "$R" ] && echo executable)"
    stat -L -c "$F" "$R" 2>&1
    m CREDENTIALS
    stat -c "$F" "$K" 2>&1
    holds
    postfix=''
    processes
    for d in "$C" "$L" "$S"; do
        m DISK "$d"
        df -Pk "$d" 2>/dev/null
        df -Pi "$d" 2>/dev/null
    done
    m MEMORY
    grep -E '^(Mem(Total|Available)|Swap(Total|Free)):' /proc/meminfo 2>/dev/null
    m LOAD
    first_line /proc/loadavg
    m QUEUE
    # With Postfix down, postqueue would wait a second before it says so.
    if [ -n "$postfix" ]; then
        for p in /usr/sbin/postqueue /usr/local/sbin/postqueue /sbin/postqueue; do
            [ -x "$p" ] && { boundedly "$p" -p | tail -n 1 | head -c 200; break; }
        done
    fi
    m LOGOUT
    if [ -d /run/systemd/system ] && [ ! -e "/var/lib/systemd/linger/$ME" ] && [ "$(id -u)" != 0 ]; then
        boundedly busctl get-property org.freedesktop.login1 /org/freedesktop/login1 \
            org.freedesktop.login1.Manager KillUserProcesses
    fi
}

# candidates: the command lines that name a campaign or postfix. BusyBox's grep reads only up to the first NUL.
candidates() {
    if printf 'a\000b' | grep -q -F b; then
        grep -l -F -e --campaign -e postfix /proc/[0-9]*/cmdline 2>/dev/null
    else
        for f in /proc/[0-9]*/cmdline; do
            tr '\000' ' ' <"$f" 2>/dev/null | grep -q -F -e --campaign -e postfix && echo "$f"
        done
    fi
}

# Runs of the runner, and whether Postfix is up. Not by ps, as each one cuts and spells its columns differently.
processes() {
    read -r uptime _ </proc/uptime
    ticks=$(getconf CLK_TCK 2>/dev/null || echo 100)
    for f in $(candidates | head -n 1000); do
        args=$(tr '\000' ' ' <"$f" 2>/dev/null | head -c 4096)
        case $args in
            *postfix*/master*) postfix=up ;;
            *"${R##*/}"*--campaign*)
                d=${f%/cmdline}
                read -r line 2>/dev/null <"$d/stat" || continue
                set -f
                set -- ${line##*) }
                set +f
                [ $# -ge 20 ] || continue
                shift
                ppid=$1
                shift 18
                m PROCESS "${d#/proc/}" "$ppid" $((${uptime%%.*} - $1 / ticks)) "$(stat -c %U "$d" 2>/dev/null)"
                printf '%s' "$args"
                ;;
        esac
    done
}

holds() {
    H=${S%/*}/holds
    if [ -d "$H" ] && [ -r "$H" ] && [ -x "$H" ]; then
        for h in "$H"/*; do
            n=${h##*/}
            [ -e "$h" ] || [ -L "$h" ] || continue
            [ "$n" = ALL ] || is_slug "$n" || continue
            if [ -f "$h" ] && [ -r "$h" ] && [ ! -L "$h" ]; then
                m HOLD "$n"
                head -c 4096 "$h"
            else
                m HELD "$n"
            fi
        done
    elif [ -e "$H" ] || [ -L "$H" ]; then
        m HELD ALL
    else
        case $(one_stat "$H") in *'Permission denied'*) m HELD ALL ;; esac
    fi
}

# pick LETTER [LETTER/PATH...]: the paths under that letter.
pick() {
    letter=$1
    shift
    for a; do
        case $a in "$letter"/*) echo "${a#*/}" ;; esac
    done
}

# texts FOLDER RECORD: the files named on standard input, whole; tar's headers tell where each one ends.
texts() {
    cd "$1" 2>/dev/null || return
    if command -v tar >/dev/null; then
        m "$2"TAR
        xargs -r tar -cf - 2>/dev/null
    else
        while read -r f; do
            m "$2"TEXT "$f"
            [ ! -L "$f" ] && [ -f "$f" ] && head -c 65536 "$f" 2>/dev/null </dev/null
        done
    fi
}

tails() {
    cd "$1" 2>/dev/null || return
    while read -r f; do
        m "$2"TAIL "$f"
        [ ! -L "$f" ] && [ -f "$f" ] && tail -c 16384 "$f" 2>/dev/null </dev/null
    done
}

gather() {
    C=$1 L=$2 S=$3
    shift 3
    unset TAR_OPTIONS
    # openssl hashes four times as fast as sha256sum, and both write the digest first.
    if command -v openssl >/dev/null; then SUM='openssl dgst -r -sha256'; else SUM=sha256sum; fi
    m HASHES
    pick h "$@" | (cd "$C" && xargs -r $SUM 2>/dev/null)
    m LINES
    pick w "$@" | (cd "$C" && xargs -r wc -l 2>/dev/null)
    m OWNERS
    pick n "$@" | (cd "$C" && xargs -r stat -c '%u|%U|%g|%G' 2>/dev/null)
    pick g "$@" | (cd "$L" && xargs -r stat -c '%u|%U|%g|%G' 2>/dev/null)
    pick c "$@" | (texts "$C" C)
    pick r "$@" | (texts "$S" R)
    pick l "$@" | (texts "$L" L)
    pick t "$@" | (tails "$L" L)
    pick o "$@" | (tails "$S" R)
}

main() {
    job=$1 N=$2
    LC_ALL=C PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
    export LC_ALL PATH
    umask 077
    shift 2
    m CLOCK "$(date +%s.%N)"
    case $job in
        sweep) sweep "$@" ;;
        gather) gather "$@" ;;
        *) return 64 ;;
    esac
    m DONE "$(date +%s.%N)"
    m END 0
}

main "$@"
