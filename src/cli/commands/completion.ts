import { createFault } from '../fault.ts'
import type { Command, ArgumentSpec, Call, Family, Offer, OptionSpec } from '../command.ts'
import { Readable, Writable } from 'node:stream'
import { connect } from '../admin-client.ts'
import { allCredentials } from '../admin-answers.ts'
import type { Terminal } from '../terminal.ts'

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

export interface Completion {
  /** All words after `downscope`, the one being typed last. */
  readonly words: readonly string[]
  readonly commands: readonly Command[]
  readonly families: readonly Family[]
  readonly terminal: Terminal
}

interface Candidate {
  readonly value: string
  readonly summary: string
}

/** Nobody waits longer for a list of names. */
const brokerMsMax = 1_500

/**
 * Prints what the shell may offer for the last word, a candidate and its summary a line. Nothing at all means that a
 * file belongs there, which the shell knows better. Never fails: a shell shows no errors there.
 */
export async function complete(completion: Completion): Promise<number> {
  const { words, terminal } = completion
  const typed = words.at(-1) ?? ''
  const candidates = await candidatesFor(completion, words.slice(0, -1), typed)
  const fitting = candidates.filter(({ value }) => value.startsWith(typed))
  terminal.stdout.write(fitting.map(({ value, summary }) => `${value}\t${summary}\n`).join(''))
  return 0
}

async function candidatesFor(
  { commands, families, terminal }: Completion,
  before: readonly string[],
  typed: string,
): Promise<readonly Candidate[]> {
  // `agent exec` stands after `agent`.
  const command = commands.findLast(({ name }) => startsWith(before, name.split(' ')))
  if (command === undefined) return namesAfter(before, commands, families)
  const options = command.options ?? []
  const last = options.find(({ name, value }) => value !== undefined && name === before.at(-1))
  if (last !== undefined) return offered(last.offer, before, terminal)
  if (typed.startsWith('-')) return [...options, help].map(({ name, summary }) => ({ value: name, summary }))
  const argument = command.arguments?.[countPositional(before, command)]
  return argument === undefined ? [] : offered(argument.offer, before, terminal)
}

const help: OptionSpec = { name: '--help', summary: 'show what it does, with examples' }

function startsWith(words: readonly string[], start: readonly string[]): boolean {
  return start.every((word, index) => words[index] === word)
}

/** The words that may follow at the level reached so far. */
function namesAfter(
  before: readonly string[],
  commands: readonly Command[],
  families: readonly Family[],
): readonly Candidate[] {
  const depth = before.length
  const next = new Map<string, string>()
  for (const { name, summary } of commands) {
    const parts = name.split(' ')
    const word = parts[depth]
    if (word === undefined || !startsWith(parts, before)) continue
    const family = depth + 1 < parts.length ? families.find((one) => one.name === word) : undefined
    if (!next.has(word)) next.set(word, family?.summary ?? summary)
  }
  return [...next].map(([value, summary]) => ({ value, summary }))
}

/** How many arguments stand already: words that are neither the command, an option, nor the value of one. */
function countPositional(before: readonly string[], { name, options = [] }: Command): number {
  const rest = before.slice(name.split(' ').length)
  const takesValue = (word: string | undefined) =>
    options.some((option) => option.value !== undefined && option.name === word)
  return rest.filter((word, index) => !word.startsWith('-') && !takesValue(rest[index - 1])).length
}

async function offered(
  offer: Offer | ArgumentSpec['offer'],
  before: readonly string[],
  terminal: Terminal,
): Promise<readonly Candidate[]> {
  if (offer === undefined || offer === 'file') return []
  if (offer === 'credential') return credentialNames(before, terminal)
  return offer.map((value) => ({ value, summary: '' }))
}

/** As the administrator whom the environment and the options so far name; none when the broker cannot say. */
async function credentialNames(before: readonly string[], terminal: Terminal): Promise<readonly Candidate[]> {
  const asked = connect(callOf(before, terminal)).then(allCredentials)
  const late = new Promise<undefined>((resolve) => {
    setTimeout(() => resolve(undefined), brokerMsMax).unref()
  })
  try {
    const all = await Promise.race([asked, late])
    return (all?.credentials ?? []).map(({ name, identity }) => ({ value: name, summary: identity }))
  } catch {
    return []
  }
}

/** Options with their values as they stand; enough for the connection. */
function callOf(before: readonly string[], terminal: Terminal): Call {
  const text = (name: string) => {
    const at = before.indexOf(name)
    return at === -1 ? undefined : before[at + 1]
  }
  // What is warned of belongs to no completion, and what is being typed to the shell alone.
  const stderr = new Writable({ write: (_chunk, _encoding, done) => done() })
  const quiet = { ...terminal, stderr, stdin: Readable.from([]) }
  return { terminal: quiet, text, argument: () => '', texts: () => [], has: () => false }
}
