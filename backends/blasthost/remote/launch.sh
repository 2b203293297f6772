# Claims one attempt and starts its supervisor, or refuses and leaves nothing behind.
# Texts come from functions written in front of this: plan_text, claim_text (without its opening brace) and
# supervisor_text. The answer is lines of words; the last one is STARTED, EXISTS, REFUSED or FAILED, behind what it
# speaks of.
refuse() {
    echo REFUSED "$@"
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

# elsewhere PID: it says itself that its campaigns are in another folder, so it sends another campaign.
elsewhere() {
    its=$(tr '\0' '\n' 2>/dev/null <"/proc/$1/environ" | sed -n 's/^MAIL_BLAST_CAMPAIGNS_DIR=//p')
    [ -n "$its" ] && [ "$its" != "$campaigns" ]
}

# sender: the pid of a process that runs the runner for this campaign, other than as a dry run. The runner's
# name counts as program, script or module only: our own shells have it further back among their arguments.
sender() {
    for line in $(grep -lFe "$slug" /proc/[0-9]*/cmdline 2>/dev/null); do
        tr '\0' '\n' <"$line" 2>/dev/null | awk -v slug="$slug" -v name="${runner##*/}" '
            NR <= 3 { base = $0; sub(/.*\//, "", base); if (base == name) runs = 1 }
            $0 == slug || $0 == "--campaign=" slug { ours = 1 }
            $0 == "dry-run" || $0 == "--mode=dry-run" { dry = 1 }
            END { exit !(runs && ours && !dry) }' || continue
        line=${line#/proc/}
        elsewhere "${line%%/*}" && continue
        echo "${line%%/*}"
        return
    done
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

# compare PART PLANNED PATH: a line for each difference.
compare() {
    there=$(digest_of "$3")
    [ "$2" = "$there" ] || echo STALE "$1" "$2" "$there"
}

differences() {
    machine_now=$(cat /etc/machine-id 2>/dev/null || cat /var/lib/dbus/machine-id 2>/dev/null)
    [ "$machine" = "${machine_now:--}" ] || echo STALE host "$machine" "${machine_now:--}"
    compare template "$template" "$campaigns/$slug/blast_template.html"
    compare text "$text" "$campaigns/$slug/blast_template.txt"
    compare data "$data" "$campaigns/$slug/blast_data.csv"
    compare metadata "$metadata" "$campaigns/$slug/blast_metadata.json"
    host_now=$(date +%s)
    [ "$host_now" -lt "$expires" ] || echo STALE expiry "$expires" "$host_now"
    [ "$latest" = - ] || [ "$host_now" -le "$latest" ] || echo STALE latest-start "$latest" "$host_now"
}

# settled FOLDER: waits up to five seconds until the run has started or failed to.
settled() {
    waited=0
    until [ -e "$1/started" ] || [ -e "$1/busy" ] || [ "$waited" -ge 100 ]; do
        waited=$((waited + 1))
        sleep 0.05
    done
    [ -e "$1/started" ]
}

# abandon: 0 once this start can never happen. Fails when the supervisor has the lock: it is merely slow.
abandon() (
    exec 9>>"$home/lock"
    flock -n 9 && [ ! -e "$folder/started" ] && true >"$folder/abandoned" && keep "$folder/abandoned"
)

free_kb() {
    df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'
}

main() {
    [ $# -gt 20 ] || return 64
    launch=$1 slug=$2 attempt=$3 run=$4 epoch=$5 limit=$6 min_kb=$7 machine=$8 expires=$9
    shift 9
    latest=$1 template=$2 text=$3 data=$4 metadata=$5 campaigns=$6 state=$7 logs=$8 credentials=$9
    shift 9
    runner=$1
    home=$state/$slug holds=${state%/*}/holds folder=$state/$slug/$attempt
    trap : HUP PIPE
    mask=$(umask)
    umask 027

    for tool in setsid flock sha256sum awk base64 df; do
        command -v "$tool" >/dev/null || { refuse tool "$tool"; return; }
    done
    setsid -f true 2>/dev/null || { refuse tool "setsid -f"; return; }
    mkdir -p "$home" 2>/dev/null && take "$home" 2>/dev/null || { refuse state "$home"; return; }
    [ ! -e "$home/.void-$launch" ] && [ ! -e "$home/.void-$run" ] || { refuse void; return; }
    for scope in ALL "$slug"; do
        held "$scope"
        case $? in
            0) echo HOLD "$(head -c 1024 "$holds/$scope" 2>/dev/null | encode)"; refuse hold "$scope"; return ;;
            2) refuse holds-unreadable "$holds"; return ;;
        esac
    done
    find "$home" -maxdepth 1 -name '.void-*' -mtime +1 -exec rm -f {} + 2>/dev/null

    for other in $(attempts "$home"); do
        if [ "$(run_of "$home/$other")" = "$run" ]; then
            exec 8>&-
            settled "$home/$other"
            tell "$home/$other"
            echo EXISTS
            return
        fi
        [ ! -e "$home/$other/released" ] || continue
        tell "$home/$other"
        refuse other "$other"
        return
    done
    [ ! -e "$folder" ] || { refuse attempt-used "$attempt"; return; }
    [ "$attempt" = 1 ] || [ -e "$home/$((attempt - 1))/released" ] || { refuse attempt-gap "$attempt"; return; }

    (flock -n 9) 9>>"$home/lock" || { refuse lock; return; }
    pid=$(sender)
    [ -z "$pid" ] || { refuse process "$pid"; return; }
    [ -f "$runner" ] && [ -x "$runner" ] || { refuse runner "$runner"; return; }
    for place in "$home" "$logs"; do
        [ -d "$place" ] || continue
        kb=$(free_kb "$place")
        [ "${kb:-0}" -ge "$min_kb" ] || { refuse disk "$((min_kb / 1024))" "$((${kb:-0} / 1024))" "$place"; return; }
    done
    way=$(logout)
    case $way in dies* | noscope*) refuse logout $way; return ;; esac
    different=$(differences)
    [ -z "$different" ] || { echo "$different"; refuse stale; return; }
    offset=$(($(date +%s) - epoch))
    [ "${offset#-}" -le "$limit" ] || { refuse clock "$limit" "$offset"; return; }

    mkdir "$folder" 2>/dev/null || { refuse attempt-used "$attempt"; return; }
    # From here on the claim stands: what fails leaves it, and without `started` nothing was sent.
    { printf '{"at":"%s",' "$(utc)" && claim_text; } | put "$folder" claim.json &&
        plan_text | put "$folder" plan.json &&
        supervisor_text | put "$folder" supervise.sh &&
        true >"$folder/out" && keep "$folder/out" && keep "$home" && keep "$state" ||
        { tell "$folder"; echo FAILED write; return; }
    export MAIL_BLAST_RUN_DIR="$folder" MAIL_BLAST_RUN_ID="$run" MAIL_BLAST_CAMPAIGNS_DIR="$campaigns"
    export MAIL_BLAST_LOG_DIR="$logs" MAIL_BLAST_STATE_DIR="$state" MAIL_BLAST_CREDENTIALS="$credentials"
    umask "$mask"
    set -- setsid -f /bin/sh "$folder/supervise.sh" "$folder" "$home/lock" "$@"
    if [ "$way" = scope ]; then
        export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
        set -- systemd-run --user --scope -q "--unit=mail-blast-$run" "$@"
    fi
    "$@" </dev/null >/dev/null 2>"$folder/err" 8>&-
    exec 8>&-
    answer=STARTED
    settled "$folder" || { [ ! -e "$folder/busy" ] && ! abandon; } || answer='FAILED start'
    tell "$folder"
    echo "$answer"
}
