import type { Paint } from './output.ts'

export interface PoliciesToCompare {
  readonly inForce: { readonly document: string; readonly revision: string }
  readonly text: string
  /** What the other one is called: a file, for example. */
  readonly place: string
}

/** The unified diff from the policy in force to another; empty when they are the same. */
export async function policyDiff({ inForce, text, place }: PoliciesToCompare): Promise<string> {
  const { document, revision } = inForce
  if (document === text) return ''
  const { createTwoFilesPatch } = await import('diff')
  return createTwoFilesPatch('policy in force', place, document, text, revision, undefined, { context: 3 })
}

/** As people read it on a terminal. */
export function shownDiff(diff: string, paint: Paint): string {
  return diff
    .split('\n')
    .slice(1)
    .map((line) => {
      if (line.startsWith('@@')) return paint.dim(line)
      if (/^(?:---|\+\+\+) /.test(line)) return paint.bold(line)
      if (line.startsWith('+')) return paint.good(line)
      return line.startsWith('-') ? paint.bad(line) : line
    })
    .join('\n')
}
