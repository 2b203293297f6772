# Runs a command that sends nothing, in the foreground; its first line of output is its pid and start, so that it
# can be ended by who it is.
main() {
    [ $# -ge 6 ] || return 64
    export MAIL_BLAST_CAMPAIGNS_DIR="$1" MAIL_BLAST_STATE_DIR="$2" MAIL_BLAST_LOG_DIR="$3" MAIL_BLAST_CREDENTIALS="$4"
    unset MAIL_BLAST_RUN_ID MAIL_BLAST_RUN_DIR
    shift 4
    [ -f "$1" ] && [ -x "$1" ] || return 126
    # shellcheck disable=SC2016 # expanded there: $$ is the pid the command will have
    /bin/sh -c 'read -r line </proc/$$/stat; set -f; ticks() { shift 19; echo "$1"; }
        echo "$$ $(ticks ${line##*) })"; exec "$@" 2>&1' rehearse "$@"
}
