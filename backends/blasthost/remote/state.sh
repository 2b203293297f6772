# The record of one attempt, or of the newest one when ATTEMPT is "-".
main() {
    [ $# -eq 2 ] || return 64
    home=$1 attempt=$2
    if [ -e "$home" ]; then
        [ -r "$home" ] && [ -x "$home" ] || { echo DENIED; return; }
    elif [ -e "${home%/*}" ] && [ ! -x "${home%/*}" ]; then
        echo DENIED
        return
    fi
    [ "$attempt" != - ] || attempt=$(attempts "$home" | tail -n 1)
    [ -z "$attempt" ] || [ ! -d "$home/$attempt" ] || tell "$home/$attempt"
}
