import { parsePolicy } from '../../src/policy/parse-policy.ts'
import type { Upstream } from '../../src/domain/upstream.ts'

/** The upstreams that a policy with these entries has, read by the broker's own parser. */
export function upstreamsOf(...entries: readonly object[]): readonly Upstream[] {
  const text = JSON.stringify({ version: 1, issuers: [], rules: [], upstreams: entries })
  const context = { brokerIssuer: 'https://tokens.acme.example' }
  return parsePolicy({ text, revision: '1', origin: 'test' }, context).upstreams
}

/** How mint and enrolment look for one of them. */
export function finderOf(...entries: readonly object[]): (name: string) => Promise<Upstream | undefined> {
  const upstreams = upstreamsOf(...entries)
  return async (wanted) => upstreams.find(({ name }) => name === wanted)
}
