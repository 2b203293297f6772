# Copies of an audit store's head, a line each, in a file that only grows. Ends with 3 when it can't be read or written.
#   put FILE SEQ AFTER ATTRIBUTE LINE   adds LINE, whose record is SEQ, unless it isn't above the last one (HELD and
#                                       that line), or the last one is below AFTER, which was here before (LOST)
#   get FILE NEWEST                     the newest lines
# A line that a full disk or a crash cut short was never acknowledged; it is closed by the word "torn" and passed over.
last_of() {
    tail -n "$(($1 + 20))" "$file" | grep -v ' torn$' | tail -n "$1"
}

seq_of() {
    sed -n 's/^{"store":"[0-9a-f]*","seq":\([0-9]*\),.*}$/\1/p'
}

# lock: fd 8 is the file itself, open for adding; it is never renamed or removed.
lock() {
    (true >>"$file") 2>/dev/null || return 1
    exec 8>>"$file"
    tries=0
    until flock -n 8; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || return 1
        sleep 0.1
    done
}

add() {
    seq=$1 after=$2 attribute=$3 line=$4
    folder=${file%/*}
    umask 027
    mkdir -p "$folder" 2>/dev/null && [ -r "$folder" ] && [ -x "$folder" ] || return 3
    new=no
    [ -e "$file" ] || new=yes
    lock && [ -f "$file" ] && [ -r "$file" ] || return 3
    if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then
        echo ' torn' >&8 || return 3
    fi
    newest=$(last_of 1)
    last=$(echo "$newest" | seq_of)
    if [ -n "$newest" ] && [ -z "$last" ]; then
        echo "HELD $newest"
        return
    fi
    if [ "${last:-0}" -lt "$after" ]; then
        echo "LOST ${last:-0}"
        return
    fi
    if [ "${last:-0}" -ge "$seq" ]; then
        keep "$file" && echo "HELD $newest"
        return
    fi
    { printf '%s\n' "$line" >&8; } 2>/dev/null
    [ "$(tail -n 1 "$file")" = "$line" ] || return 3
    keep "$file" || return 3
    if [ "$new" = yes ]; then
        keep "$folder" && keep "${folder%/*}" || return 3
        # Root can have the kernel refuse every change but adding.
        [ "$attribute" = no ] || [ "$(id -u)" != 0 ] || chattr +a "$file" 2>/dev/null || :
    fi
    echo KEPT
}

newest() {
    if [ ! -e "$file" ]; then
        # Not there, or not to be seen: only the first is "nothing kept".
        folder=${file%/*}
        while [ ! -e "$folder" ] && [ -n "$folder" ]; do folder=${folder%/*}; done
        [ -x "${folder:-/}" ] || return 3
        return 0
    fi
    [ -f "$file" ] && [ -r "$file" ] || return 3
    last_of "$1"
}

main() {
    verb=$1 file=$2
    shift 2
    case $verb-$# in
        put-4) add "$@" ;;
        get-1) newest "$@" ;;
        *) return 64 ;;
    esac
}
