import { Command } from "@cliffy/command";
import { badRequest, quote } from "../../errors.ts";
import type { App, GlobalOptions } from "../app.ts";
import type { Shell } from "../complete.ts";

/** `queuectl completions SHELL` prints what teaches a shell to ask `queuectl complete`. */
export function completionsCommand(app: App) {
  return new Command<GlobalOptions>()
    .arguments("<shell:string>")
    .example("In ~/.bashrc", "source <(queuectl completions bash)")
    .example("In ~/.zshrc, after compinit", "source <(queuectl completions zsh)")
    .example("In ~/.config/fish/config.fish", "queuectl completions fish | source")
    .action((_options, shell) => {
      if (!Object.hasOwn(SCRIPTS, shell)) {
        const known = Object.keys(SCRIPTS).join(", ");
        throw badRequest(`Cannot print completions for ${quote(shell)}: expected ${known}`);
      }
      app.terminal.out(SCRIPTS[shell as Shell]);
    });
}

// Bash splits words at ":" and "=", and replaces only what stands behind the last of them. Its $2 is
// the word up to the cursor, where there is one.
const BASH = `# queuectl completions for bash
_queuectl() {
  local words=() head= word i n
  COMPREPLY=()
  if [[ \${COMP_WORDS[COMP_CWORD-1]} == [\\<\\>]* || \${COMP_WORDS[COMP_CWORD]} == [\\<\\>]* ]]; then
    compopt -o bashdefault -o default 2>/dev/null
    return
  fi
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]} n=\${#words[@]}
    if ((n > 0)) && [[ $word == [:=]* ]]; then
      words[n-1]+=$word head=\${words[n-1]}
      continue
    fi
    ((i < COMP_CWORD)) || word=\${2-$word}
    if [[ $head && \${words[n-1]} == "$head" ]]; then
      words[n-1]+=$word
    else
      words[n]=$word head=
    fi
  done
  while IFS=$'\\t' read -r word _; do
    if [[ $word != '<files>' ]]; then
      COMPREPLY+=("\${word#"$head"}")
    elif [[ $2 == @* ]]; then
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -P @ -f -- "\${2#@}")
    else
      compopt -o bashdefault -o default 2>/dev/null
    fi
  done < <(queuectl complete -- "\${words[@]}" 2>/dev/null)
  compopt -o nosort 2>/dev/null
}
complete -F _queuectl queuectl
`;

const ZSH = `#compdef queuectl
_queuectl() {
  local line
  local -a found described
  found=("\${(@f)$(queuectl complete -- "\${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
  if [[ $found[1] == '<files>' ]]; then
    compset -P 1 '(@|--*=)'
    _files
    return
  fi
  for line in $found; do
    line=\${\${line//\\\\/\\\\\\\\}//:/\\\\:}
    described+=("\${line/$'\\t'/:}")
  done
  _describe -V queuectl described
}
if [[ $funcstack[1] == _queuectl ]]; then
  _queuectl "$@"
else
  compdef _queuectl queuectl
fi
`;

const FISH = `# queuectl completions for fish
function __queuectl_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l word (commandline -ct)
    set -l found (queuectl complete -- $words "$word" 2>/dev/null)
    if test "$found" = '<files>'
        set -l head (string match -r -- '^(?:@|--[^=]*=)' $word)
        set -l path (string replace -r -- '^(?:@|--[^=]*=)' '' "$word")
        for file in (__fish_complete_path "$path")
            echo "$head$file"
        end
    else if set -q found[1]
        printf '%s\\n' $found
    end
end
complete -c queuectl -k -f -a '(__queuectl_complete)'
`;

const SCRIPTS: Record<Shell, string> = { bash: BASH, zsh: ZSH, fish: FISH };
