# What must hold before a runner is started, whether for a new run or for the rest of one. Each check prints why not.
# They use what main took from its arguments: slug home holds campaigns state logs runner epoch limit min_kb.
refuse() {
    echo REFUSED "$@"
}

tools() {
    for tool in setsid flock sha256sum awk base64 df; do
        command -v "$tool" >/dev/null || { refuse tool "$tool"; return 1; }
    done
    setsid -f true 2>/dev/null || { refuse tool "setsid -f"; return 1; }
}

# held SCOPE: 0 there, 1 surely not there, 2 can't be known.
held() {
    [ ! -e "$holds/$1" ] && [ ! -L "$holds/$1" ] || return 0
    if [ -d "$holds" ]; then
        [ -r "$holds" ] && [ -x "$holds" ] && return 1
        return 2
    fi
    [ -d "${holds%/*}" ] && [ -x "${holds%/*}" ] && [ ! -e "$holds" ] && [ ! -L "$holds" ] && return 1
    return 2
}

unheld() {
    for scope in ALL "$slug"; do
        held "$scope"
        case $? in
            0) echo HOLD "$(head -c 1024 "$holds/$scope" 2>/dev/null | encode)"; refuse hold "$scope"; return 1 ;;
            2) refuse holds-unreadable "$holds"; return 1 ;;
        esac
    done
}

# elsewhere PID: it says itself that its campaigns are in another folder, so it sends another campaign.
elsewhere() {
    its=$(tr '\0' '\n' 2>/dev/null <"/proc/$1/environ" | sed -n 's/^MAIL_BLAST_CAMPAIGNS_DIR=//p')
    [ -n "$its" ] && [ "$its" != "$campaigns" ]
}

# named_by TEXT: the command lines that hold it. BusyBox's grep reads only up to the first NUL.
named_by() {
    if printf 'a\000b' | grep -q -F b; then
        grep -lFe "$1" /proc/[0-9]*/cmdline 2>/dev/null
    else
        for told in /proc/[0-9]*/cmdline; do
            tr '\000' ' ' <"$told" 2>/dev/null | grep -qFe "$1" && echo "$told"
        done
    fi
}

# sender: the pid of a process that runs the runner for this campaign, other than as a dry run. The runner's
# name counts as program, script or module only: our own shells have it further back among their arguments.
sender() {
    for line in $(named_by "$slug"); do
        tr '\0' '\n' <"$line" 2>/dev/null | awk -v slug="$slug" -v name="${runner##*/}" '
            NR <= 3 { base = $0; sub(/.*\//, "", base); if (base == name) runs = 1 }
            $0 == slug || $0 == "--campaign=" slug { ours = 1 }
            $0 == "dry-run" || $0 == "--mode=dry-run" { dry = 1 }
            $0 == "list-unknown" || $0 == "--mode=list-unknown" { dry = 1 }
            END { exit !(runs && ours && !dry) }' || continue
        line=${line#/proc/}
        elsewhere "${line%%/*}" && continue
        echo "${line%%/*}"
        return
    done
}

# seize: hold the campaign's lock on fd 9. The supervisor inherits it, so that from before the claim until the run's
# last process is gone there is no instant in which anybody else, such as a runner that cron starts, could have it.
seize() {
    (true >>"$home/lock") 2>/dev/null || { refuse state "$home/lock"; return 1; }
    exec 9>>"$home/lock"
    flock -n 9 && return
    exec 9>&-
    refuse lock "$(sender)"
    return 1
}

# logout: "plain" when a detached process outlives the session, "scope" when only a user scope does, else "dies".
logout() {
    user=$(id -un)
    [ "$(id -u)" != 0 ] || { echo plain; return; } # logind spares root (KillExcludeUsers)
    kills=$(busctl get-property org.freedesktop.login1 /org/freedesktop/login1 \
        org.freedesktop.login1.Manager KillUserProcesses 2>/dev/null)
    [ "$kills" = "b true" ] || { echo plain; return; }
    [ "$(loginctl show-user "$user" -p Linger 2>/dev/null)" = Linger=yes ] || [ -e "/var/lib/systemd/linger/$user" ] ||
        { echo "dies $user"; return; }
    XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)} systemd-run --user --scope -q true >/dev/null 2>&1 ||
        { echo "noscope $user"; return; }
    echo scope
}

free_kb() {
    df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'
}

# able: nobody sends it now (which may be `looked` at before), and this machine can. In `way` how a process outlives the session.
able() {
    pid=''
    [ "${looked:-}" = yes ] || pid=$(sender)
    [ -z "$pid" ] || { refuse process "$pid"; return 1; }
    [ -f "$runner" ] && [ -x "$runner" ] || { refuse runner "$runner"; return 1; }
    for place in "$home" "$logs"; do
        [ -d "$place" ] || continue
        kb=$(free_kb "$place")
        [ "${kb:-0}" -ge "$min_kb" ] || { refuse disk "$((min_kb / 1024))" "$((${kb:-0} / 1024))" "$place"; return 1; }
    done
    way=$(logout)
    case $way in dies* | noscope*) refuse logout $way; return 1 ;; esac
}

# knows MODE: the runner that is installed says that it has it. Another one's answer to a mode could be to send.
knows() {
    case $("$runner" --capabilities 2>/dev/null </dev/null | head -c 4096) in
        *'"runner": "opsconsole"'*"\"$1\""*) ;;
        *) return 1 ;;
    esac
}

in_time() {
    offset=$(($(date +%s) - epoch))
    [ "${offset#-}" -le "$limit" ] || { refuse clock "$limit" "$offset"; return 1; }
}

machine_id() {
    cat /etc/machine-id 2>/dev/null || cat /var/lib/dbus/machine-id 2>/dev/null
}

# detach COMMAND...: start the supervisor with these arguments, apart from this session, and give it the lock.
detach() {
    export MAIL_BLAST_RUN_DIR="$folder" MAIL_BLAST_RUN_ID="$run" MAIL_BLAST_CAMPAIGNS_DIR="$campaigns"
    export MAIL_BLAST_LOG_DIR="$logs" MAIL_BLAST_STATE_DIR="$state" MAIL_BLAST_CREDENTIALS="$credentials"
    umask "$mask"
    set -- setsid -f /bin/sh "$folder/supervise.sh" "$folder" "$home/lock" "$@"
    if [ "$way" = scope ]; then
        export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
        set -- systemd-run --user --scope -q "--unit=mail-blast-$unit" "$@"
    fi
    "$@" </dev/null >/dev/null 2>"$folder/err" 8>&-
    umask 027
    exec 9>&- 8>&-
}
