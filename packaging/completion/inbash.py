"""For bash 4 and up. It needs nothing of the package bash-completion but being loaded by it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from commandtree import FILE, Argument, Command, Option

HEAD = """\
# Completion of hullmark for bash. Made by packaging/completion/generate.py

# Sets what may stand after these words: `children`, `options`, those of them whose value is a file (`files`), one
# of a list (`lists`) or anything else (`values`), and `arguments` by place.
_hullmark_at() {
    children='' options='' files='' lists='' values='' arguments=''
    case $1 in
"""

TAIL = """\
    esac
}

_hullmark_propose() { # file, -, or a list with commas
    case $1 in
    file)
        compopt -o filenames 2>/dev/null || true
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        ;;
    -) ;;
    *) mapfile -t COMPREPLY < <(compgen -W "${1//,/ }" -- "$cur") ;;
    esac
}

_hullmark_value() { # OPTION
    local each
    case " $files " in *" $1 "*) _hullmark_propose file ;; esac
    for each in $lists; do
        [[ ${each%%:*} != "$1" ]] || _hullmark_propose "${each#*:}"
    done
}

_hullmark() {
    local cur=${COMP_WORDS[COMP_CWORD]} path='' pending='' place=0 index word
    local children options files lists values arguments
    COMPREPLY=()
    _hullmark_at ''
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if [[ -n $pending ]]; then
            # bash makes three words of --name=value.
            [[ $word == = ]] || pending=''
        elif [[ $word == -* ]]; then
            case " $files $values $lists" in
            *" $word "* | *" $word:"*) pending=$word ;;
            esac
        elif [[ " $children " == *" $word "* ]]; then
            path=${path:+$path }$word
            _hullmark_at "$path"
        else
            place=$((place + 1))
        fi
    done
    if [[ -n $pending ]]; then
        [[ $cur != = ]] || cur=''
        _hullmark_value "$pending"
    elif [[ $cur == -* ]]; then
        _hullmark_propose "$options"
    elif [[ -n $children ]]; then
        _hullmark_propose "$children"
    else
        local -a places
        read -ra places <<<"$arguments"
        local last=${places[${#places[@]} - 1]:--}
        # The last one may be repeated, then it ends with a star.
        [[ $last == *'*' ]] || last=-
        word=${places[place]:-$last}
        _hullmark_propose "${word%'*'}"
    fi
}

complete -F _hullmark hullmark
"""


def written(tree: Command) -> str:
    return HEAD + "".join(line + "\n" for each in tree.walk() for line in _branch(each)) + TAIL


def _branch(command: Command) -> Iterator[str]:
    valued = [option for option in command.options if option.value]
    sets = {
        "children": [child.path[-1] for child in command.children],
        "options": _names(command.options),
        "files": _names([option for option in valued if option.value == FILE]),
        "lists": [
            f"{name}:{','.join(option.choices)}"
            for option in valued
            for name in option.names
            if option.choices
        ],
        "values": _names(
            [option for option in valued if option.value != FILE and not option.choices]
        ),
        "arguments": [_argument(each) for each in command.arguments],
    }
    yield f"    '{' '.join(command.path)}')"
    for variable, words in sets.items():
        if words:
            yield f"        {variable}='{' '.join(words)}'"
    yield "        ;;"


def _names(options: Iterable[Option]) -> list[str]:
    return [name for option in options for name in option.names]


def _argument(argument: Argument) -> str:
    kind = ",".join(argument.choices) or ("file" if argument.is_file else "-")
    return kind + ("*" if argument.shown.endswith("...") else "")
