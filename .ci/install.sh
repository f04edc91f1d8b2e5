#!/bin/sh
# Installs kallyai for the current user: the program, its man page and its completions.
#
#   sh install.sh                  install into ~/.local
#   sh install.sh --to DIR         install into another folder, for example /usr/local
#   sh install.sh --from URL       download from a mirror of the release
#   sh install.sh --uninstall      remove these files but keep your credentials
set -eu

# The default download URL. It is empty because there is no release yet.
from=

fail() { echo "install.sh: $*" >&2; exit 1; }

no_binary() { fail "there is no binary for $(uname -sm). Build one with: cargo install --locked kallyai"; }

# Prints a pattern that matches the target triple of the archive for this computer.
target() {
    case $(uname -m) in
        x86_64 | amd64) machine=x86_64 ;;
        aarch64 | arm64) machine=aarch64 ;;
        *) no_binary ;;
    esac
    case $(uname -s) in
        Linux) echo "$machine-unknown-linux-[a-z]*" ;;
        Darwin) echo "$machine-apple-darwin" ;;
        *) no_binary ;;
    esac
}

fetch() { # URL FILE
    if command -v curl >/dev/null; then
        curl -fsSL -o "$2" "$1"
    else
        wget -q -O "$2" "$1"
    fi || fail "cannot download $1"
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

# Each line has the path where a file is installed and its path in the archive.
files='bin/kallyai kallyai
share/man/man1/kallyai.1 kallyai.1
share/bash-completion/completions/kallyai completions/kallyai.bash
share/zsh/site-functions/_kallyai completions/_kallyai
share/fish/vendor_completions.d/kallyai.fish completions/kallyai.fish'

uninstall() {
    echo "$files" | while read -r path _; do rm -f "$to/$path"; done
    echo "removed kallyai from $to"
}

install() {
    [ -n "$from" ] || fail "there is no default download URL yet. Add --from URL"
    # pip installs the command as a script. If it were overwritten, uninstalling the pip package would remove the new program.
    if [ -e "$to/bin/kallyai" ] && [ "$(head -c 2 "$to/bin/kallyai")" = '#!' ]; then
        fail "$to/bin/kallyai belongs to another package. Remove that package first: pip uninstall kallyai-cli"
    fi
    target=$(target)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    fetch "$from/SHA256SUMS" "$work/SHA256SUMS"
    line=$(grep "  kallyai-$target\.tar\.gz$" "$work/SHA256SUMS" | head -n 1)
    [ -n "$line" ] || no_binary
    name=$(basename "${line#*  }" .tar.gz)
    fetch "$from/$name.tar.gz" "$work/$name.tar.gz"
    [ "$(sha256 "$work/$name.tar.gz")" = "${line%%  *}" ] || fail "$name.tar.gz does not match its checksum. Nothing was installed"
    tar -C "$work" -xzf "$work/$name.tar.gz"

    echo "$files" | while read -r path source; do
        mkdir -p "$to/$(dirname "$path")"
        # Copy, then rename: a running program can be replaced but not overwritten.
        cp "$work/$name/$source" "$to/$path.new"
        mv -f "$to/$path.new" "$to/$path"
    done
    echo "installed $to/bin/kallyai"
    case :$PATH: in *:"$to/bin":*) ;; *) echo "add $to/bin to your PATH" ;; esac
}

# This is a function that runs on the last line, so that a partly downloaded script does nothing.
main() {
    to=$HOME/.local
    action=install
    while [ $# -gt 0 ]; do
        case $1 in
            --to) to=${2:?"--to needs a folder"}; shift ;;
            --from) from=${2:?"--from needs a URL"}; shift ;;
            --uninstall) action=uninstall ;;
            *) fail "unknown option $1: use --to DIR, --from URL or --uninstall" ;;
        esac
        shift
    done
    $action
}
main "$@"
