# The small scripts that cron lines call, one line each: its number, a word, and its text. It only looks. Programs and
# large files aren't read, and neither are the credentials, by whatever name.
#   main CREDENTIALS [PATH...]
text_of() {
    [ -f "$1" ] || { [ -e "$1" ] && echo ODD || echo MISSING; return; }
    [ "$1" -ef "$credentials" ] && { echo SECRET; return; }
    [ -r "$1" ] || { echo DENIED; return; }
    [ "$(stat -Lc %s "$1")" -le 65536 ] || { echo LARGE; return; }
    case $1 in
        *.sh) ;;
        *)
            if [ "$(head -c 2 "$1" | tr -d '\000')" != '#!' ]; then
                [ -x "$1" ] && [ "$(head -c 512 "$1" | tr -d '\000' | wc -c)" = "$(head -c 512 "$1" | wc -c)" ] ||
                    { echo PROGRAM; return; }
            fi
            ;;
    esac
    echo "TEXT $(head -c 65536 <"$1" | encode)"
}

main() {
    credentials=$1
    shift
    number=0
    for path; do
        echo "$number $(text_of "$path")"
        number=$((number + 1))
    done
}
