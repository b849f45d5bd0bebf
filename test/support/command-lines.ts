/** Every call of `program` in lines of shell, as words: what stands after it, up to a pipe, a redirection or a comment. */
export function commandLines(shell: string, program = 'downscope'): readonly (readonly string[])[] {
  const lines = shell.replaceAll(/\\\n\s*/g, ' ').split('\n')
  const nested = [...shell.matchAll(/\$\((?!\()([^()]*)\)/g)].map(([, inner = '']) => inner)
  return [
    ...lines.flatMap((line) => callsIn(line, program)),
    ...nested.flatMap((line) => commandLines(line, program)),
  ]
}

function callsIn(line: string, program: string): readonly (readonly string[])[] {
  return simpleCommands(line).flatMap((words) => {
    const at = words.indexOf(program)
    // A comment or an argument may say the word as well: before the command there are settings and npx alone.
    const isCommand = at !== -1 && words.slice(0, at).every((word) => word === 'npx' || /^\w+=/.test(word))
    return isCommand ? [words.slice(at + 1)] : []
  })
}

function simpleCommands(line: string): readonly (readonly string[])[] {
  const commands: string[][] = [[]]
  // Quoted text, `$(…)` and plain characters make a word; operators end a command.
  const token =
    /(?<rest>(?:\d*[<>]|#).*)|(?<word>(?:'[^']*'|"(?:\$\([^)]*\)|[^"])*"|\$\([^)]*\)|[^\s'"|&;<>#])+)|(?<end>\|\||&&|[|;&])/g
  for (const { groups } of line.matchAll(token)) {
    if (groups?.['rest'] !== undefined) {
      // After a redirection's file another command may follow.
      const after = /^[<>]+\s*\S+\s*(?:\||&&|;)(?<more>.*)/.exec(groups['rest'])?.groups?.['more']
      return after === undefined ? commands : [...commands, ...simpleCommands(after)]
    }
    if (groups?.['end'] !== undefined) commands.push([])
    else commands.at(-1)?.push((groups?.['word'] ?? '').replaceAll(/["']/g, ''))
  }
  return commands
}
