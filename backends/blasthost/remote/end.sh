# Ends a dry run: the process PID, when it is still the one that began at TICKS.
main() {
    [ $# -eq 2 ] || return 64
    now=$(stat_of "$1") && [ "${now#* }" = "$2" ] && kill -TERM "$1"
}
