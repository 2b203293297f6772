# Who and what may act on this host, told and never shown: owners, modes, public keys. No credential is opened.
# Arguments are pairs of a label and a path.

# gone PATH: missing, or denied where that can't be known.
gone() {
    folder=${1%/*}
    while [ -n "$folder" ] && [ ! -e "$folder" ]; do folder=${folder%/*}; done
    [ -x "${folder:-/}" ] && echo missing || echo denied
}

# about LABEL PATH: what it is, its mode, size and last change, what this account may do with it, whose it is.
about() {
    if [ ! -e "$2" ]; then
        echo "PATH $1 $(printf %s "$2" | encode) $(gone "$2")"
        return
    fi
    kind=other may=-
    [ ! -f "$2" ] || kind=file
    [ ! -d "$2" ] || kind=folder
    [ ! -r "$2" ] || may=r
    [ ! -w "$2" ] || may=${may}w
    said=$(stat -L -c '%a %s %Y' "$2" 2>/dev/null) || { echo "PATH $1 $(printf %s "$2" | encode) denied"; return; }
    echo "PATH $1 $(printf %s "$2" | encode) $kind $said $may" \
        "$(stat -L -c %U "$2" | encode) $(stat -L -c %G "$2" | encode)"
}

# text WORD PATH: a public file's first 64 KiB, encoded.
text() {
    [ -f "$2" ] && [ -r "$2" ] || { echo "UNREAD $1 $(printf %s "$2" | encode)"; return; }
    echo "$1 $(printf %s "$2" | encode) $(head -c 65536 <"$2" | encode)"
}

# setting NAME: sshd's first word on it outside of Match blocks, as far as its configuration may be read.
setting() {
    for file in /etc/ssh/sshd_config.d/*.conf /etc/ssh/sshd_config; do
        awk -v name="$1" 'tolower($1) == "match" { exit } tolower($1) == name { $1 = ""; print; exit }' "$file"
    done 2>/dev/null | head -n 1
}

authorized() {
    home=${HOME:-/}
    said=$(setting authorizedkeysfile)
    set -f
    for name in ${said:-.ssh/authorized_keys .ssh/authorized_keys2}; do
        [ "$name" != none ] || continue
        case $name in %h/*) name=$home/${name#%h/} ;; /*) ;; *) name=$home/$name ;; esac
        case $name in *%u*) name=${name%%%u*}$1${name#*%u} ;; esac
        if [ -e "$name" ] || [ "$(gone "$name")" = denied ]; then
            about authorized "$name"
            text AUTHORIZED "$name"
        fi
    done
    set +f
    said=$(setting authorizedkeyscommand)
    case $said in '' | *none) ;; *) echo "ASKS $(printf %s "$said" | encode)" ;; esac
}

host_keys() {
    for name in /etc/ssh/ssh_host_*_key.pub; do
        [ -e "$name" ] || continue
        about hostkey "${name%.pub}"
        text HOSTKEY "$name"
    done
}

# rights: what sudo lets this account do; -n asks for no password and fails where one would be needed.
rights() {
    command -v sudo >/dev/null || { echo SUDO absent; return; }
    limit=
    ! command -v timeout >/dev/null || limit='timeout 5'
    said=$($limit sudo -n -l 2>/dev/null </dev/null | head -c 8192 | encode)
    echo "SUDO ${said:-silent}"
}

main() {
    [ $(($# % 2)) -eq 0 ] || return 64
    user=$(id -un)
    echo "NOW $(date +%s)"
    echo "USER $(id -u) $(printf %s "$user" | encode) $(id -Gn | encode)"
    while [ $# -gt 0 ]; do
        about "$1" "$2"
        [ "$1" != runner ] || echo "DIGEST $(digest_of "$2")"
        shift 2
    done
    authorized "$user"
    host_keys
    rights
}
