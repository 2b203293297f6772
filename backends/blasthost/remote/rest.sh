# Goes on with an attempt that was started: the supervisor comes up again in the same folder, with the runner told to
# resume. Answers as launch.sh does. supervisor_text is written in front of this.
main() {
    [ $# -gt 13 ] || return 64
    launch=$1 slug=$2 attempt=$3 run=$4 epoch=$5 limit=$6 min_kb=$7 campaigns=$8 state=$9
    shift 9
    logs=$1 credentials=$2 by=$3
    shift 3
    runner=$1
    home=$state/$slug holds=${state%/*}/holds folder=$state/$slug/$attempt unit=$run-$launch
    trap : HUP PIPE
    mask=$(umask)
    umask 027

    tools || return 0
    [ -d "$folder" ] || { refuse none "$attempt"; return; }
    take "$home" 2>/dev/null || { refuse state "$home"; return; }
    [ ! -e "$home/.void-$launch" ] || { refuse void; return; }
    [ "$(run_of "$folder")" = "$run" ] || { tell "$folder"; refuse other "$attempt"; return; }
    ! released "$folder" || { refuse released "$attempt"; return; }
    newest=$(attempts "$home" | tail -n 1)
    [ "$newest" = "$attempt" ] || { tell "$home/$newest"; refuse other "$newest"; return; }
    case $(owner_of "$folder") in
        live* | stopped*) tell "$folder"; echo EXISTS; return ;;
    esac
    [ -e "$folder/started" ] || { tell "$folder"; refuse unstarted; return; }
    unheld || return 0
    seize || return 0
    ! at_work "$folder" || { refuse lock "$(sender)"; return; }
    able || return 0
    knows resume || { refuse mode resume; return; }
    # A folder that came here with a copy of another machine's disk is no record of what this machine did.
    planned=$(sed -n 's/.*"host": *"\([^"\\]*\)".*/\1/p' "$folder/plan.json" 2>/dev/null | head -n 1)
    there=$(machine_id)
    [ -z "$planned" ] || [ "$planned" = "$there" ] || { echo STALE host "$planned" "${there:--}"; refuse stale; return; }
    in_time || return 0

    supervisor_text | put "$folder" supervise.sh || { refuse state "$folder"; return; }
    detach "$launch" "$by" "$@"
    waited=0
    until resumed "$folder" "$launch" || [ "$waited" -ge 100 ]; do
        waited=$((waited + 1))
        sleep 0.05
    done
    answer=STARTED
    resumed "$folder" "$launch" || ! forgo "$folder" "$launch" || answer='FAILED start'
    tell "$folder"
    echo "$answer"
}
