import type { Mutant } from './mutate.ts'

/** Why a mutant that no test notices is none to worry about. */
export interface Verdict {
  /** `equivalent`: nothing can tell it apart. `harmless`: something can, and nobody would mind. */
  readonly is: 'equivalent' | 'harmless'
  readonly because: string
}

interface Judged extends Verdict {
  /** The line of the source, and what it became; files move, so that no path is named. */
  readonly line: string
  readonly replacement: string
}

const judged: readonly Judged[] = [
  {
    is: 'harmless',
    because: 'claims of exactly so many characters may be cut or not: the limit is for the size of a cookie',
    line: 'if (JSON.stringify(claims).length <= claimsCharsMax) return claims',
    replacement: '<',
  },
  {
    is: 'harmless',
    because: 'likewise',
    line: 'if (JSON.stringify(some).length <= claimsCharsMax) return some',
    replacement: '<',
  },
  {
    is: 'harmless',
    because: 'whether ten or eleven faults are told',
    line: 'const faultsMax = 10',
    replacement: '11',
  },
  {
    is: 'harmless',
    because:
      'whether a key with the prime 3 is called damaged: its numbers are wrong in other ways, or it is far too short',
    line: 'if (prime.p < 3n || prime.q < 3n || prime.p * prime.q !== numberOf(n)) return false',
    replacement: '<=',
  },
  {
    is: 'harmless',
    because: 'whether a page shows 50 or 51 tokens',
    line: 'const tokensShown = 50',
    replacement: '51',
  },
]

/** What was judged of a survivor; `undefined` is a hole in the tests until somebody says otherwise. */
export function verdictOf({ replacement }: Mutant, line: string): Verdict | undefined {
  return judged.find((one) => one.line === line && one.replacement === replacement)
}
