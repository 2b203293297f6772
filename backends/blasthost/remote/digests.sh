# The digest of each of the campaign's files named: a line of name and sha256, "missing" or "unreadable".
main() {
    folder=$1
    shift
    for name in "$@"; do
        echo "$name $(digest_of "$folder/$name")"
    done
}
