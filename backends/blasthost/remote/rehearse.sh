# A dry run in the foreground: digests, the runner's output, then a zero byte, its exit code and the digests again.
digests() {
    for name in blast_template.html blast_template.txt blast_data.csv blast_metadata.json; do
        echo "$nonce DIGEST $name $(digest_of "$campaigns/$slug/$name")"
    done
}

main() {
    [ $# -gt 6 ] || return 64
    nonce=$1 slug=$2 campaigns=$3
    export MAIL_BLAST_CAMPAIGNS_DIR="$3" MAIL_BLAST_STATE_DIR="$4" MAIL_BLAST_LOG_DIR="$5" MAIL_BLAST_CREDENTIALS="$6"
    shift 6
    digests
    [ -f "$1" ] && [ -x "$1" ] || { echo "$nonce NORUNNER"; return; }
    "$@" </dev/null 2>&1 &
    child=$!
    mine=$(stat_of "$child")
    # Said after the runner began, so it may come between its first lines: the reader takes it out again.
    printf '\0%s CHILD %s %s\n' "$nonce" "$child" "${mine#* }"
    wait "$child"
    printf '\0%s TRAILER %s\n' "$nonce" "$?"
    digests
    echo "$nonce END"
}
