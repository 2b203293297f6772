# Claims one attempt and starts its supervisor, or refuses and leaves nothing behind.
# Texts come from functions written in front of this: plan_text, claim_text (without its opening brace) and
# supervisor_text. The answer is lines of words; the last one is STARTED, EXISTS, REFUSED or FAILED, behind what it
# speaks of.

# compare PART PLANNED PATH: a line for each difference.
compare() {
    there=$(digest_of "$3")
    [ "$2" = "$there" ] || echo STALE "$1" "$2" "$there"
}

differences() {
    machine_now=$(machine_id)
    [ "$machine" = "${machine_now:--}" ] || echo STALE host "$machine" "${machine_now:--}"
    compare template "$template" "$campaigns/$slug/blast_template.html"
    compare text "$text" "$campaigns/$slug/blast_template.txt"
    compare data "$data" "$campaigns/$slug/blast_data.csv"
    compare metadata "$metadata" "$campaigns/$slug/blast_metadata.json"
    host_now=$(date +%s)
    [ "$host_now" -lt "$expires" ] || echo STALE expiry "$expires" "$host_now"
    [ "$latest" = - ] || [ "$host_now" -le "$latest" ] || echo STALE latest-start "$latest" "$host_now"
}

# named FOLDER: waits a moment for its claim to be written down, as who claims does right after making the folder.
named() {
    naps=0
    until [ -e "$1/claim.json" ] || [ "$naps" -ge 20 ]; do
        naps=$((naps + 1))
        sleep 0.1
    done
}

# vacant: no attempt is in the way. Otherwise it tells of the one that is: the very run, or another.
vacant() {
    for other in $(attempts "$home"); do
        named "$home/$other"
        if [ "$(run_of "$home/$other")" = "$run" ]; then
            exec 8>&-
            answer=EXISTS
            # Claimed, and its starter is gone: it must not be waited for.
            released "$home/$other" || settled "$home/$other" || ! dead "$home/$other" || answer='FAILED start'
            tell "$home/$other"
            echo "$answer"
            return 1
        fi
        ! released "$home/$other" || continue
        tell "$home/$other"
        refuse other "$other"
        return 1
    done
}

# alone: nobody else is about to claim. Who is has the lock or a process, and a name once the claim is there, so that
# is waited for. Who leaves no claim has perhaps sent all the same, as another's runner does: it still forbids a start
# when it is gone.
alone() {
    seen='' tries=0
    while [ "$tries" -lt 60 ]; do
        pid=$(sender)
        seen=${seen:-$pid}
        [ -n "$pid" ] || ! (flock -n 9) 9>>"$home/lock" || break
        tries=$((tries + 1))
        sleep 0.1
        vacant || return 1
    done 2>/dev/null
    [ "$tries" != 0 ] || return 0
    if [ -n "$seen" ] && (flock -n 9) 9>>"$home/lock"; then refuse process "$seen"; else refuse lock "$seen"; fi
    return 1
}

main() {
    [ $# -gt 20 ] || return 64
    launch=$1 slug=$2 attempt=$3 run=$4 epoch=$5 limit=$6 min_kb=$7 machine=$8 expires=$9
    shift 9
    latest=$1 template=$2 text=$3 data=$4 metadata=$5 campaigns=$6 state=$7 logs=$8 credentials=$9
    shift 9
    runner=$1
    home=$state/$slug holds=${state%/*}/holds folder=$state/$slug/$attempt unit=$run
    trap : HUP PIPE
    mask=$(umask)
    umask 027

    tools || return 0
    # Where so many start it that the lock is never free, one of them has it, and the others want to know who.
    mkdir -p "$home" 2>/dev/null && take "$home" 2>/dev/null || { ! vacant || refuse state "$home"; return; }
    [ ! -e "$home/.void-$launch" ] && [ ! -e "$home/.void-$run" ] || { refuse void; return; }
    unheld || return 0
    find "$home" -maxdepth 1 -name '.void-*' -mtime +1 -exec rm -f {} + 2>/dev/null

    vacant || return 0
    # Claimed since that look, or released long ago.
    [ ! -e "$folder" ] || { ! vacant || refuse attempt-used "$attempt"; return; }
    [ "$attempt" = 1 ] || released "$home/$((attempt - 1))" || { refuse attempt-gap "$attempt"; return; }
    alone || return 0
    seize || return 0
    # Who of ours comes from here on finds the lock taken; who came since the look above has it again, to get a name.
    [ -z "$(sender)" ] || { exec 9>&-; alone || return 0; seize || return 0; }
    looked=yes
    able || return 0
    different=$(differences)
    [ -z "$different" ] || { echo "$different"; refuse stale; return; }
    in_time || return 0

    # Whoever else claims has had the lock before us, and was through in that moment.
    mkdir "$folder" 2>/dev/null || { tell "$folder"; refuse other "$attempt"; return; }
    # From here on the claim stands: what fails leaves it, and without `started` nothing was sent.
    { printf '{"at":"%s",' "$(utc)" && claim_text; } | put "$folder" claim.json &&
        plan_text | put "$folder" plan.json &&
        supervisor_text | put "$folder" supervise.sh &&
        true >"$folder/out" && keep "$folder/out" && keep "$home" && keep "$state" ||
        { tell "$folder"; echo FAILED write; return; }
    detach - - "$@"
    answer=STARTED
    settled "$folder" || ! dead "$folder" || answer='FAILED start'
    tell "$folder"
    echo "$answer"
}
