/** What the status of a command says to a script; the table of `downscope --help` and docs/cli.md. */
export const exitCodes = {
  done: { code: 0, means: 'success; the answer is on standard output' },
  refused: { code: 1, means: 'refused or failed, or the check found a problem: standard error says what' },
  usage: {
    code: 2,
    means: 'invalid usage: the command line, an environment variable or a file that it names',
  },
  unreachable: { code: 3, means: 'the broker does not answer or is unavailable: try again' },
  forbidden: { code: 4, means: 'not authenticated, or the role is too low' },
  changed: { code: 5, means: 'it has changed since it was read: read it again' },
  interrupted: { code: 130, means: 'interrupted with Ctrl-C' },
} as const

export type Exit = keyof typeof exitCodes
