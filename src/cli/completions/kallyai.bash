# Completions of kallyai for bash. The program itself answers: what fits where the cursor is.
_kallyai() {
    local line value shown='' IFS=$'\n'
    COMPREPLY=()
    # What each candidate is, is shown where they are only listed.
    [[ "${COMP_TYPE:-9}" == 63 ]] && shown=1
    while read -r line; do
        if [[ "$line" == ':files' ]]; then
            compopt -o filenames 2>/dev/null
            COMPREPLY=($(compgen -f -- "$2"))
            return 0
        fi
        value="${line%%$'\t'*}"
        if [[ -n "$shown" && "$line" == *$'\t'* ]]; then
            value="$value  (${line#*$'\t'})"
        fi
        COMPREPLY+=("$value")
    done < <("$1" --complete bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 ]]; then
        COMPREPLY[0]="${COMPREPLY[0]%%  (*}"
    fi
}

# Older versions sort, and cannot be told not to.
complete -o nosort -F _kallyai kallyai 2>/dev/null || complete -F _kallyai kallyai
