# Whether a run that was asked for came up, and how it is made certain that one that didn't never will.

# settled FOLDER: waits up to five seconds until the run has started or failed to.
settled() {
    waited=0
    until [ -e "$1/started" ] || [ -e "$1/busy" ] || [ -e "$1/abandoned" ] || [ "$waited" -ge 100 ]; do
        waited=$((waited + 1))
        sleep 0.05
    done
    [ -e "$1/started" ]
}

# abandon FOLDER: 0 once this start can never happen. Fails when the supervisor has the lock: it is merely slow.
abandon() (
    [ ! -e "$1/started" ] || return 1
    [ ! -e "$1/abandoned" ] || return 0
    (true >>"${1%/*}/lock") 2>/dev/null || return 1
    exec 9>>"${1%/*}/lock"
    flock -n 9 && [ ! -e "$1/started" ] && true >"$1/abandoned" && keep "$1/abandoned" && keep "$1"
)

# dead FOLDER: this attempt was claimed, didn't start, and can't any more.
dead() {
    [ ! -e "$1/started" ] && { [ -e "$1/busy" ] || abandon "$1"; }
}

# resumed FOLDER LAUNCH: that very start of the rest came to the point where it may send.
resumed() {
    grep -q "\"launch\":\"$2\"" "$1/resumed" 2>/dev/null
}

# forgo FOLDER LAUNCH: 0 once that start of the rest can never happen.
forgo() (
    (true >>"${1%/*}/lock") 2>/dev/null || return 1
    exec 9>>"${1%/*}/lock"
    flock -n 9 && ! resumed "$1" "$2" && : | put "${1%/*}" ".void-$2"
)
