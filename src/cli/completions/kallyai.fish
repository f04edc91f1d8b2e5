# Completions of kallyai for fish. The program itself answers: what fits where the cursor is.
function __kallyai_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    set -l lines ($program --complete fish -- $words "$current" 2>/dev/null)
    if test "$lines[1]" = ':files'
        __fish_complete_path "$current"
    else if test (count $lines) -gt 0
        printf '%s\n' $lines
    end
end

complete --command kallyai --no-files --keep-order --arguments '(__kallyai_complete)'
