#!/bin/sh
# Installs kallyai @VERSION@ for the user who runs it: the program, its man page and its completions.
#
#   sh install.sh                     below ~/.local
#   sh install.sh --to /usr/local     elsewhere
#   sh install.sh --from URL          from another folder than the release's, such as a mirror
#   sh install.sh --uninstall         removes what it installed; the login stays (kallyai --logout forgets it)
#
# The archive must have the checksum that is written here. Needs tar, curl or wget, sha256sum or shasum.
set -eu

version='@VERSION@'
from='@RELEASE@'
checksums='
@CHECKSUMS@
'

say() { printf '%s\n' "$*" >&2; }
fail() { say "install.sh: $*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

target() {
    case $(uname -m) in
        x86_64 | amd64) machine=x86_64 ;;
        aarch64 | arm64) machine=aarch64 ;;
        *) fail "there is no program for $(uname -m): cargo install --locked kallyai builds one" ;;
    esac
    case $(uname -s) in
        # Static: it runs with any C library, or none.
        Linux) echo "$machine-unknown-linux-musl" ;;
        Darwin) echo "$machine-apple-darwin" ;;
        *) fail "there is no program for $(uname -s): cargo install --locked kallyai builds one" ;;
    esac
}

fetch() {
    if has curl; then
        case $1 in
            https:*) curl --proto '=https' --tlsv1.2 -fsSL -o "$2" "$1" ;;
            *) curl -fsSL -o "$2" "$1" ;;
        esac
    elif has wget; then
        wget -q -O "$2" "$1"
    else
        fail "neither curl nor wget is here"
    fi
}

checksum() {
    if has sha256sum; then
        sha256sum "$1" | cut -d ' ' -f 1
    elif has shasum; then
        shasum -a 256 "$1" | cut -d ' ' -f 1
    else
        fail "neither sha256sum nor shasum is here"
    fi
}

# Every file that is installed: its place below the folder, its name in the archive.
files='bin/kallyai kallyai
share/man/man1/kallyai.1 kallyai.1
share/bash-completion/completions/kallyai completions/kallyai.bash
share/zsh/site-functions/_kallyai completions/_kallyai
share/fish/vendor_completions.d/kallyai.fish completions/kallyai.fish'

uninstall() {
    printf '%s\n' "$files" | while read -r place _; do
        rm -f "$to/$place"
        # And the folders that this leaves empty.
        folder=$(dirname "$place")
        while [ "$folder" != . ] && rmdir "$to/$folder" 2>/dev/null; do
            folder=$(dirname "$folder")
        done
    done
    say "kallyai is removed from $to"
}

install() {
    # A script of that name is another program: kallyai-cli's removal would later delete this one.
    if [ -e "$to/bin/kallyai" ] && [ "$(head -c 2 "$to/bin/kallyai")" = '#!' ]; then
        fail "$to/bin/kallyai is another program's: remove that first (pip uninstall kallyai-cli)"
    fi

    target=$(target)
    name=kallyai-$version-$target
    expected=$(printf '%s\n' "$checksums" | sed -n "s/^\([0-9a-f]\{64\}\)  $name\.tar\.gz\$/\1/p")
    [ -n "$expected" ] || fail "this release has no $name.tar.gz"

    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    fetch "$from/$name.tar.gz" "$work/archive" || fail "$from/$name.tar.gz could not be fetched"
    [ "$(checksum "$work/archive")" = "$expected" ] ||
        fail "the checksum of $from/$name.tar.gz is not that of the release: nothing was installed"
    tar -C "$work" -xzf "$work/archive"

    printf '%s\n' "$files" | while read -r place source; do
        mkdir -p "$to/$(dirname "$place")"
        # Replaced whole: the program may be running.
        cp "$work/$name/$source" "$to/$place.new"
        mv -f "$to/$place.new" "$to/$place"
    done
    say "kallyai $version is installed: $to/bin/kallyai"
    found=$(command -v kallyai || :)
    if [ -z "$found" ]; then
        say "$to/bin is not in PATH yet."
    elif [ "$found" != "$to/bin/kallyai" ]; then
        say "But PATH finds another one first: $found"
    fi
}

main() {
    to=${HOME:-}/.local
    action=install
    while [ $# -gt 0 ]; do
        case $1 in
            --to | --from) [ $# -gt 1 ] || fail "$1 needs a value" ;;
        esac
        case $1 in
            --to) to=$2; shift ;;
            --from) from=${2%/}; shift ;;
            --uninstall) action=uninstall ;;
            *) fail "unknown option: $1 (there are --to FOLDER, --from URL, --uninstall)" ;;
        esac
        shift
    done
    [ "$to" != /.local ] || fail "HOME is not set: say where with --to"
    $action
}

# Last, so that half a script does nothing.
main "$@"
