# The record of one attempt, or of the newest one when ATTEMPT is "-".
main() {
    [ $# -eq 3 ] || return 64
    nonce=$1 home=$2 attempt=$3
    if [ -e "$home" ] && ! { [ -r "$home" ] && [ -x "$home" ]; }; then
        echo "$nonce DENIED"
    elif [ ! -e "$home" ] && [ -e "${home%/*}" ] && [ ! -x "${home%/*}" ]; then
        echo "$nonce DENIED"
    else
        [ "$attempt" != - ] || attempt=$(attempts "$home" | tail -n 1)
        [ -z "$attempt" ] || [ ! -d "$home/$attempt" ] || tell "$nonce" "$home/$attempt"
    fi
    echo "$nonce END"
}
