import type { CallerPattern, Policy } from '../domain/policy.ts'
import { quote } from '../domain/quote.ts'
import type { Path, Report } from './policy-faults.ts'

/**
 * Issuers that sign for everybody who has an account, and the subjects that leave open whose it is. Source:
 * docs/policy.md, "Issuers as they are met".
 */
const everybodysIssuers: readonly {
  readonly issuer: string
  readonly open: RegExp
  readonly tell: string
}[] = [
  { issuer: 'https://accounts.google.com', open: /^\*$/, tell: 'email with email_verified, or hd' },
  {
    issuer: 'https://token.actions.githubusercontent.com',
    open: /^(?:\*|repo:\*)/,
    tell: 'repository_owner_id or repository_id',
  },
  { issuer: 'https://gitlab.com', open: /^(?:\*|project_path:\*)/, tell: 'namespace_id or project_id' },
]

/** Microsoft's own tenant of private accounts. */
const microsoftConsumers = 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0'

/**
 * Why anybody in the world could be this administrator (T21): an e-mail address that nobody verified, or an account at an
 * issuer where everybody may have one, without the organisation it belongs to.
 */
export function anybodyFault(
  { subject, claims }: CallerPattern,
  issuer: string | undefined,
): string | undefined {
  if (Object.hasOwn(claims, 'email') && claims['email_verified'] !== true)
    return 'an e-mail address counts only beside email_verified: true'
  // Without a star the subject is one account and no other.
  if (!subject.includes('*')) return undefined
  const isGoogle = issuer === 'https://accounts.google.com'
  const isWorldwide = isGoogle || issuer === microsoftConsumers
  if (isWorldwide && !Object.hasOwn(claims, 'hd') && !Object.hasOwn(claims, 'tid'))
    return `this issuer signs for everybody in the world: ask for ${isGoogle ? 'hd' : 'tid'}, or for one subject`
  const others = everybodysIssuers.find((entry) => entry.issuer === issuer && !isGoogle)
  if (others?.open.test(subject) === true && !Object.keys(claims).some(telling))
    return `this issuer signs for everybody in the world: ask for a claim such as ${others.tell}`
  return undefined
}

/** Claims that are alike for everybody. */
const telling = (name: string): boolean => name !== 'email_verified' && name !== 'aud' && name !== 'iss'

export interface CallersContext {
  readonly policy: Policy
  /** Of the entry that has these callers. */
  readonly path: Path
  readonly warn: Report
}

/** Warns of callers that are anybody at all, because the issuer signs for the whole world. */
export function warnOfCallers(
  callers: readonly CallerPattern[],
  { policy, path, warn }: CallersContext,
): void {
  for (const [index, { issuer: name, subject, claims }] of callers.entries()) {
    const issuer = policy.issuers.find((entry) => entry.name === name)?.issuer
    const everybodys = everybodysIssuers.find((entry) => entry.issuer === issuer)
    if (everybodys === undefined || !everybodys.open.test(subject) || Object.keys(claims).some(telling))
      continue
    warn(
      [...path, 'callers', index],
      `${quote(name)} signs for everybody in the world, and this takes them all: ask for a claim such as ${everybodys.tell}`,
    )
  }
}
