/** What the status of a command says to a script; the table of `downscope --help` and docs/cli.md. */
export const exitCodes = {
  done: { code: 0, means: 'done; the answer is on standard output' },
  refused: { code: 1, means: 'refused or failed, or the check found something: standard error says what' },
  usage: { code: 2, means: 'not understood: the command line, an environment variable or a file it names' },
  unreachable: { code: 3, means: 'the broker does not answer, or cannot serve this now: try again' },
  forbidden: { code: 4, means: 'the broker does not accept who you are, or your role is too low' },
  changed: { code: 5, means: 'it was changed meanwhile: read it again' },
  interrupted: { code: 130, means: 'interrupted with Ctrl-C' },
} as const

export type Exit = keyof typeof exitCodes
