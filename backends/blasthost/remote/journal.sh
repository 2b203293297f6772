# Asks the runner about the journal of one attempt, or has it write a decision there; sends nothing.
# Arguments: look or write, then HOME ATTEMPT RUN (- for whatever run it is) CAMPAIGNS LOGS STATE CREDENTIALS MODE
# RUNNER and its arguments. What the runner prints goes out as it is; before it are the words GO, or REFUSED and why.
main() {
    [ $# -gt 10 ] || return 64
    verb=$1 home=$2 attempt=$3 run=$4 mode=$9
    folder=$home/$attempt
    export MAIL_BLAST_CAMPAIGNS_DIR="$5" MAIL_BLAST_LOG_DIR="$6" MAIL_BLAST_STATE_DIR="$7" MAIL_BLAST_CREDENTIALS="$8"
    shift 9
    runner=$1
    [ -d "$folder" ] || { echo REFUSED none; return; }
    claimed=$(run_of "$folder")
    [ "$run" = - ] || [ "$run" = "$claimed" ] || { echo REFUSED other; return; }
    [ -f "$runner" ] && [ -x "$runner" ] || { echo REFUSED runner; return; }
    knows "$mode" || { echo REFUSED mode; return; }
    if [ "$verb" = write ]; then
        ! released "$folder" || { echo REFUSED released; return; }
        # No start may come between; the runner itself takes the campaign's lock.
        take "$home" 2>/dev/null || { echo REFUSED state; return; }
        case $(owner_of "$folder") in live* | stopped*) echo REFUSED alive; return ;; esac
    fi
    echo GO
    export MAIL_BLAST_RUN_DIR="$folder" MAIL_BLAST_RUN_ID="$claimed"
    "$@" </dev/null 2>&1 8>&-
}
