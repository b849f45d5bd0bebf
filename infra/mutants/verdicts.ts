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
  {
    is: 'equivalent',
    because: 'the loop stops where no pair is left: both places are filled',
    line: "headers.set(name, before === undefined ? (raw[index + 1] ?? '') : `${before}, ${raw[index + 1]}`)",
    replacement: 'raw[index + 1]',
  },
  {
    is: 'harmless',
    because: 'whether a run of maintenance counts 20,000 or 20,001 records: the next one goes on',
    line: 'const countedMax = 20_000',
    replacement: '20001',
  },
  {
    is: 'harmless',
    because: 'whether the two file names above a diff are bold or in the colours of its lines',
    line: 'if (/^(?:---|\\+\\+\\+) /.test(line)) return paint.bold(line)',
    replacement: 'false',
  },
  {
    is: 'harmless',
    because: 'whether a second attempt begins with 50 or with 51 ms left',
    line: 'const bounds = { attemptMs: 1000, attemptMsMin: 50, retriesMax: 1 }',
    replacement: '51',
  },
  {
    is: 'harmless',
    because: 'whether a run of maintenance looks back an hour for events to send, or a second more',
    line: 'const emittedAgainFor = 3_600',
    replacement: '3601',
  },
  {
    is: 'harmless',
    because: 'whether an ID token with exactly a minute left is used or renewed: milliseconds decide',
    line: "if (typeof exp === 'number' && exp - Date.now() / 1000 > leftMin) return idToken",
    replacement: '>=',
  },
  {
    is: 'harmless',
    because:
      'whether the issuer for development gives the reason for a page that it has not: it stays refused',
    line: "const why = error instanceof Error ? error.message : 'it failed'",
    replacement: "error instanceof Error ? 'it failed' : error.message",
  },
  {
    is: 'harmless',
    because:
      'whether a sign-in that ended between two reads of its file is refused with a sentence or an error',
    line: 'const { issuer, client_id: clientId, client_secret: clientSecret } = context ?? {}',
    replacement: 'context',
  },
]

/** What was judged of a survivor; `undefined` is a hole in the tests until somebody says otherwise. */
export function verdictOf({ replacement }: Mutant, line: string): Verdict | undefined {
  return judged.find((one) => one.line === line && one.replacement === replacement)
}
