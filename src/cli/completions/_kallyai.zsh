#compdef kallyai
# Completions of kallyai for zsh. The program itself answers: what fits where the cursor is.
_kallyai() {
    local line value
    local -a described
    for line in "${(@f)$("${words[1]}" --complete zsh -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -n "$line" ]] || continue
        if [[ "$line" == ':files' ]]; then
            _files
            return
        fi
        value="${line%%$'\t'*}"
        if [[ "$line" == *$'\t'* ]]; then
            described+=("${value//:/\\:}:${line#*$'\t'}")
        else
            described+=("${value//:/\\:}")
        fi
    done
    _describe -V kallyai described
}

if [[ "$funcstack[1]" == _kallyai ]]; then
    _kallyai "$@"
else
    compdef _kallyai kallyai
fi
