# The log of one attempt from byte OFFSET until the run ends, then a zero byte and the record of the attempt.
main() {
    [ $# -eq 3 ] || return 64
    nonce=$1 folder=$2 offset=$3
    [ -r "$folder/out" ] || { echo "$nonce NOLOG"; return; }
    size=$(stat -c %s "$folder/out")
    [ "$size" -ge "$offset" ] || { echo "$nonce SHORT $size"; return; }
    echo "$nonce HELLO"
    owner=$(owner_of "$folder")
    case $owner in
        none | gone) tail -c "+$((offset + 1))" "$folder/out" ;;
        *)
            if tail --help 2>&1 | grep -q -e --pid; then
                tail -c "+$((offset + 1))" -s 0.3 -f "--pid=${owner#* }" "$folder/out"
            else
                poll
            fi
            ;;
    esac || return
    printf '\0%s TRAILER\n' "$nonce"
    tell "$nonce" "$folder"
    echo "$nonce END"
}

poll() {
    while :; do
        # Looked at before the bytes are: who is gone now writes no more behind what is read next.
        owner=$(owner_of "$folder")
        size=$(stat -c %s "$folder/out")
        if [ "$size" -gt "$offset" ]; then
            tail -c "+$((offset + 1))" "$folder/out" | head -c "$((size - offset))" || return
            offset=$size
        fi
        case $owner in none | gone) return 0 ;; esac
        sleep 0.5
    done
}
