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
  {
    is: 'harmless',
    because:
      'whether the health of a credential that does not change is recorded again after ten minutes or ten milliseconds more',
    line: 'const repeatAfterMs = 10 * 60_000',
    replacement: '60001',
  },
  {
    is: 'harmless',
    because: 'whether the fifth pause of a rotation that fails is 300 or 301 s',
    line: 'const otherPauses = [5, 15, 30, 60, 300, 600] as const',
    replacement: '301',
  },
  {
    is: 'equivalent',
    because: 'the index is never beyond the list: the compiler does not know that',
    line: 'return seconds(pauses[Math.min(failures, pauses.length - 1)] ?? 600)',
    replacement: 'pauses[Math.min(failures, pauses.length - 1)]',
  },
  {
    is: 'harmless',
    because: 'the digest tells versions of the style sheet apart with or without its first character',
    line: 'for (let at = 0; at < text.length; at += 1)',
    replacement: '1',
  },
  {
    is: 'harmless',
    because:
      'whether a run looks at 1,000 or 1,001 records in which there is nothing to do: the next one goes on',
    line: 'const lookedAtMax = 1000',
    replacement: '1001',
  },
  {
    is: 'harmless',
    because: 'such an `alg` fits no key and is refused some lines later, in another sentence',
    line: "if (alg !== undefined && (typeof alg !== 'string' || alg === '')) return undefined",
    replacement: 'false',
  },
  {
    is: 'harmless',
    because: 'the colour of a badge whose word says the same',
    line: "${one.attention === undefined ? '' : badge(attentionWords[one.attention] ?? '', one.attention === 'broken' ? 'bad' : 'odd')}`,",
    replacement: "one.attention === 'broken' ? 'odd' : 'bad'",
  },
  {
    is: 'harmless',
    because: 'whether the chart keeps an hour that ended this very second',
    line: '.filter(({ hour }) => now - hour < (hoursKept + 1) * hourSeconds)',
    replacement: '<=',
  },
  {
    is: 'equivalent',
    because: 'where there is no name there is a fault: the compiler does not know that',
    line: 'else if (key.name !== undefined)',
    replacement: 'true',
  },
  {
    is: 'harmless',
    because: 'how long a request that waits for a lease pauses between two looks',
    line: 'const pauseMs = Math.min(pollMsMax, pollMsMin * 2 ** poll) * (0.5 + entropy.fraction() / 2)',
    replacement: '1.5',
  },
  {
    is: 'harmless',
    because: 'whether a token is served in its last second or a millisecond of it less',
    line: 'const usable = (): Kept | undefined => (kept !== undefined && leftMs(kept) > 1_000 ? kept : undefined)',
    replacement: '1001',
  },
  {
    is: 'harmless',
    because: 'likewise',
    line: 'const usable = (): Kept | undefined => (kept !== undefined && leftMs(kept) > 1_000 ? kept : undefined)',
    replacement: '>=',
  },
  {
    is: 'harmless',
    because: 'whether a full pipe is tried again after 5 or 6 ms',
    line: 'const retryMs = 5',
    replacement: '6',
  },
  {
    is: 'harmless',
    because: 'a form without its field is not from our page, and is refused with another sentence',
    line: "const body = { issuer: form.get('issuer') ?? '', subject: form.get('subject') ?? '' }",
    replacement: "form.get('subject')",
  },
  {
    is: 'equivalent',
    because: 'whoever sends a secret names its file: the type is of all requests',
    line: "isMembers(body) && 'secret' in body ? { ...body, secret: `(what is in ${file ?? 'the file'})` } : body",
    replacement: 'file',
  },
  {
    is: 'harmless',
    because: 'spans that were given away may be kept as long as what their request left open',
    line: 'trace.spans.length = 0',
    replacement: ';',
  },
  {
    is: 'harmless',
    because: 'likewise, one of them',
    line: 'trace.spans.length = 0',
    replacement: '1',
  },
  {
    is: 'harmless',
    because: 'whether somebody may take 600 or 601 s at the issuer’s page',
    line: 'const signInLife = seconds(600)',
    replacement: '601',
  },
  {
    is: 'harmless',
    because: 'whether the audit trail is counted up to 180 or 181 s ago: the next run goes on',
    line: 'const settledAfter = seconds(-180)',
    replacement: '181',
  },
  {
    is: 'harmless',
    because: 'how many documents one list of the store brings',
    line: 'const listMax = { plain: 100, filtered: 500 }',
    replacement: '501',
  },
  {
    is: 'harmless',
    because: 'whether an attempt may take 1,000 or 1,001 ms',
    line: 'const bounds = { attemptMs: 1000, attemptMsMin: 50, retriesMax: 1 }',
    replacement: '1001',
  },
  {
    is: 'harmless',
    because: 'whether the head of a hunk is dim or in the colours of its lines',
    line: "if (line.startsWith('@@')) return paint.dim(line)",
    replacement: 'endsWith',
  },
  {
    is: 'equivalent',
    because: 'a program that runs from a file has a name',
    line: "realpathSync(process.argv[1] ?? ''),",
    replacement: 'process.argv[1]',
  },
  {
    is: 'equivalent',
    because: 'what is no number is never later than now: the compiler does not know that',
    line: "if (given === undefined || typeof left !== 'number') return []",
    replacement: 'false',
  },
  {
    is: 'harmless',
    because: 'whether a stop that the store does not take is told on its own page or on one of its own',
    line: 'if (!(error instanceof AdminApiError) || error.status >= 500) throw error',
    replacement: '&&',
  },
  {
    is: 'harmless',
    because: 'how an API key is called in the dim line that a terminal shows below it',
    line: "if (type === apiKeyType) return `API key${expiresIn === undefined ? '' : `, ask again in ${expiresIn} s`}`",
    replacement: 'false',
  },
  {
    is: 'equivalent',
    because:
      'a route says `true` or nothing: what is not `undefined` counts, and the compiler takes no `false`',
    line: 'ifMatch: true,',
    replacement: 'false',
  },
]

/** What was judged of a survivor; `undefined` is a hole in the tests until somebody says otherwise. */
export function verdictOf({ replacement }: Mutant, line: string): Verdict | undefined {
  return judged.find((one) => one.line === line && one.replacement === replacement)
}
