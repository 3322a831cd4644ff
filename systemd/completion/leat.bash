# bash completion of leat: commands, options, files, and the pipelines of a leatd that answers.
# Needs nothing but bash, not even the functions of bash-completion.

# Names of the pipelines that leatd has; nothing when none answers soon.
_leat_pipelines() {
  local folder=() i
  for ((i = 1; i < COMP_CWORD - 1; i++)); do
    if [ "${COMP_WORDS[i]}" = --runtime-dir ]; then folder=(--runtime-dir "${COMP_WORDS[i + 1]}"); fi
  done
  # Of what has a "name" there, only pipelines are spelled so.
  timeout 1 leat status --json "${folder[@]}" 2>/dev/null | grep -o '"name":"[a-z0-9-]*"' | cut -d'"' -f4
}

# What the options of a command are.
_leat_options() {
  case $1 in
    '') echo "--help --version" ;;
    help | version) echo "--help" ;;
    run) echo "--follow --force --fresh --reread --accept-changes --strict --json --quiet --state --runtime-dir --help" ;;
    check) echo "--for-service --json --help" ;;
    explain) echo "--json --sandbox --help" ;;
    sources) echo "--state-filter --json --state --runtime-dir --help" ;;
    status) echo "--json --state --runtime-dir --help" ;;
    dead) echo "--help" ;;
    'dead ls') echo "--json --runtime-dir --help" ;;
    'dead show') echo "--record --json --runtime-dir --help" ;;
    'dead replay') echo "--file --output --force --accept-changes --json --quiet --state --runtime-dir --help" ;;
    pause | resume | drain | stop) echo "--all --json --runtime-dir --help" ;;
    scale | reload) echo "--json --runtime-dir --help" ;;
  esac
}

_leat_files() { compgen -f -- "$1"; }

_leat_pipeline_files() {
  compgen -f -X '!*.yaml' -- "$1"
  compgen -f -X '!*.yml' -- "$1"
  compgen -d -- "$1"
}

# What stands at the n-th place (from 1) after a command.
_leat_place() {
  local command=$1 place=$2 word=$3
  case $command/$place in
    /1) compgen -W "run check explain sources status dead scale pause resume drain stop reload help version" -- "$word" ;;
    help/1) compgen -W "run check explain sources status dead scale pause resume drain stop reload pipeline leatd" -- "$word" ;;
    dead/1) compgen -W "ls show replay" -- "$word" ;;
    run/1 | explain/1 | 'dead replay'/1 | check/*) _leat_pipeline_files "$word" ;;
    sources/1 | status/1)
      compgen -W "$(_leat_pipelines)" -- "$word"
      _leat_pipeline_files "$word"
      ;;
    'dead ls'/1 | 'dead show'/1)
      compgen -W "$(_leat_pipelines)" -- "$word"
      _leat_files "$word"
      ;;
    scale/1 | pause/1 | resume/1 | drain/1 | stop/1) compgen -W "$(_leat_pipelines)" -- "$word" ;;
    scale/2) compgen -W "processor" -- "$word" ;;
    scale/3) compgen -W "auto 1 2 3 4 6 8" -- "$word" ;;
  esac
}

_leat() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command="" place=1 i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --state | --runtime-dir | --file | --output | --reread | --state-filter) ((i++)) ;;
      -*) ;;
      *)
        if [ -z "$command" ]; then
          command=${COMP_WORDS[i]}
        elif [ "$command" = dead ]; then
          command="dead ${COMP_WORDS[i]}"
        else
          ((place++))
        fi
        ;;
    esac
  done
  local IFS=$' \t\n' found
  case $before in
    --state | --runtime-dir) found=$(compgen -d -- "$word") ;;
    --file | --output | --reread) found=$(_leat_files "$word") ;;
    --state-filter) found=$(compgen -W "reading done changed failed" -- "$word") ;;
    *)
      if [[ $word == -* ]]; then
        found=$(compgen -W "$(_leat_options "$command")" -- "$word")
      else
        found=$(_leat_place "$command" "$place" "$word")
      fi
      ;;
  esac
  mapfile -t COMPREPLY <<<"$found"
  if [ -z "$found" ]; then COMPREPLY=(); fi
}

complete -o filenames -F _leat leat
