import { createFault } from '../fault.ts'
import type { Command } from '../command.ts'

export const completionCommands: readonly Command[] = [
  {
    name: 'completion',
    summary: 'print a completion script for a shell',
    arguments: [{ name: 'SHELL', summary: 'the shell', offer: ['bash', 'zsh', 'fish'] }],
    examples: [
      'downscope completion bash >> ~/.bashrc',
      'downscope completion zsh >> ~/.zshrc      # after compinit',
      'downscope completion fish > ~/.config/fish/completions/downscope.fish',
    ],
    run: async (call) => {
      call.terminal.stdout.write(scriptFor(call.argument('SHELL')))
      return 'done'
    },
  },
]

function scriptFor(shell: string): string {
  switch (shell) {
    case 'bash':
      return bash
    case 'zsh':
      return zsh
    case 'fish':
      return fish
    default:
      throw createFault('usage', 'SHELL is bash, zsh or fish')
  }
}

// Each asks downscope itself for candidates, one a line with a summary after a tab, and falls back on files when there
// are none. They need nothing but the shell: not every bash has the package bash-completion.

const bash = `# downscope completion for bash
_downscope() {
  local IFS=$'\\n'
  COMPREPLY=($(downscope __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1))
}
complete -o default -F _downscope downscope
`

const zsh = `#compdef downscope
# downscope completion for zsh
_downscope() {
  local -a lines candidates
  lines=("\${(@f)$(downscope __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  local line
  for line in $lines; do
    [[ -n $line ]] || continue
    local value="\${\${line%%$'\\t'*}//:/\\\\:}" summary="\${line#*$'\\t'}"
    candidates+=("$value\${summary:+:$summary}")
  done
  if (( $#candidates )); then
    _describe downscope candidates
  else
    _files
  fi
}
if [[ $funcstack[1] == _downscope ]]; then
  _downscope "$@"
else
  compdef _downscope downscope
fi
`

const fish = `# downscope completion for fish
function __downscope_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines (downscope __complete $words[2..-1] 2>/dev/null)
    if test (count $lines) -gt 0
        printf '%s\\n' $lines
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c downscope -f -a '(__downscope_complete)'
`
