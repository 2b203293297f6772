# After a start whose answer was lost: is there a claim of this run? If not, that very start is made void under the
# lock it would need, so that "nothing was started" stays true even if its script arrives late.
main() {
    [ $# -eq 4 ] || return 64
    nonce=$1 home=$2 run=$3 launch=$4
    umask 027
    mkdir -p "$home" 2>/dev/null && take "$home" 2>/dev/null || { echo "$nonce BUSY"; echo "$nonce END"; return; }
    for other in $(attempts "$home"); do
        [ "$(run_of "$home/$other")" = "$run" ] || continue
        echo "$nonce EXISTS $other"
        tell "$nonce" "$home/$other"
        echo "$nonce END"
        return
    done
    if : | put "$home" ".void-$launch"; then
        echo "$nonce ABSENT"
    else
        echo "$nonce BUSY"
    fi
    echo "$nonce END"
}
