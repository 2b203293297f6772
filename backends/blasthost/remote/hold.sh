# Makes or takes away the mark that keeps everybody on this host from sending SCOPE. hold_text is written in front.
# Only marks that a console made, known by their shape, are ever replaced or removed.
ours() {
    [ -f "$1" ] && [ ! -L "$1" ] && [ -r "$1" ] && [ "$(wc -l <"$1")" -eq 1 ] &&
        grep -q '^{"by": ".*", "at": .*, "reason": ".*", "scope": ".*", "record": ".*"}$' "$1"
}

main() {
    [ $# -eq 3 ] || return 64
    holds=$1 scope=$2 verb=$3
    umask 022
    there=0
    [ -e "$holds/$scope" ] || [ -L "$holds/$scope" ] || there=1
    case $verb-$there in
        put-0)
            # Whoever made it: it is held.
            ours "$holds/$scope" || { echo DONE kept; return; }
            ;;
        put-1) mkdir -p "$holds" 2>/dev/null || { echo FAILED; return; } ;;
        take-1)
            # Gone, or not to be seen?
            [ -d "$holds" ] && { [ -r "$holds" ] && [ -x "$holds" ] || { echo FAILED; return; }; }
            echo DONE
            return
            ;;
        take-0)
            ours "$holds/$scope" || { echo "FOREIGN $(head -c 1024 "$holds/$scope" 2>/dev/null | encode)"; return; }
            rm -f "$holds/$scope" 2>/dev/null && keep "$holds" && echo DONE || echo FAILED
            return
            ;;
    esac
    hold_text | put "$holds" "$scope" 2>/dev/null && keep "${holds%/*}" && echo DONE || echo FAILED
}
