import type { Json } from '../domain/caller.ts'
import type { Policy } from '../domain/policy.ts'
import { quote } from '../domain/text.ts'
import type { PolicyDocument } from '../ports/policy-source.ts'
import { isList, memberOf } from '../domain/json.ts'
import { documentInvalid, type Fault, type Report } from './policy-faults.ts'
import {
  adminSchema,
  issuerSchema,
  policyDocumentSchema,
  ruleSchema,
  upstreamSchema,
} from './policy-schema.ts'
import { readPolicyText, type PolicyText } from './policy-text.ts'
import { readEntry, type EntryPlace, readIssuer, readUpstream } from './read-entries.ts'
import { readAdmin, readRule } from './read-rule.ts'
import { withPreset } from './read-preset.ts'

/** A policy, and the text in which each of its parts has its place. */
export interface ReadPolicy {
  readonly policy: Policy
  readonly text: PolicyText
}

export interface PolicyContext {
  /** The broker's public URL. */
  readonly brokerIssuer: string
}

/** The policy that a document means; otherwise like `readPolicy`. */
export function parsePolicy(document: PolicyDocument, context: PolicyContext): Policy {
  return readPolicy(document, context).policy
}

/**
 * The policy that a YAML or JSON document means. Throws `document_invalid`, and nothing else, with every fault at
 * once: its line and column, its path, and what is wrong. An unknown key is a fault (docs/policy.md).
 */
export function readPolicy(document: PolicyDocument, { brokerIssuer }: PolicyContext): ReadPolicy {
  const text = readPolicyText(document.text)
  const faults: Fault[] = [...text.faults]
  const report: Report = (path, message, at = 'value') =>
    faults.push({ position: text.locate(path, at), path, text: message })
  // A text that does not parse, or only with values left out, would be judged by what is not in it.
  const policy =
    faults.length > 0 && text.value === null ? undefined : readWhole(text.value, report, brokerIssuer)
  if (policy === undefined || faults.length > 0) throw documentInvalid(document.origin, faults)
  return { policy, text }
}

function readWhole(value: Json, report: Report, brokerIssuer: string): Policy {
  const top = readEntry(policyDocumentSchema, value, { path: [], report })
  // docs/policy.md allows a policy without rules or without admins; with neither key it is more likely cut off.
  if (top !== undefined && top.rules === undefined && top.admins === undefined)
    report([], 'has neither rules nor admins: is it cut off?')

  const issuers = entriesOf(value, 'issuers')
  const upstreams = entriesOf(value, 'upstreams')
  const rules = entriesOf(value, 'rules')
  reportRepeated(issuers, 'name', { path: ['issuers'], report })
  reportRepeated(issuers, 'issuer', { path: ['issuers'], report })
  reportRepeated(upstreams, 'name', { path: ['upstreams'], report })
  reportRepeated(rules, 'name', { path: ['rules'], report })
  const issuerNames = new Set(
    issuers.map((entry) => textMember(entry, 'name')).filter((name) => name !== undefined),
  )
  const issuersByName = new Map([...issuerNames].map((name) => [name, issuerNamed(issuers, name)]))

  return {
    issuers: readAll(issuers, { path: ['issuers'], report }, (entry, place) => {
      const read = readEntry(issuerSchema, entry, place)
      return read === undefined ? undefined : readIssuer(read, place, brokerIssuer)
    }),
    upstreams: readAll(upstreams, { path: ['upstreams'], report }, (entry, place) => {
      const read = readEntry(upstreamSchema, withPreset(entry, place), place)
      return read === undefined ? undefined : readUpstream(read, place)
    }),
    rules: readAll(rules, { path: ['rules'], report }, (entry, place) => {
      const read = readEntry(ruleSchema, entry, place)
      return read === undefined ? undefined : readRule(read, place, issuerNames)
    }),
    admins: readAll(entriesOf(value, 'admins'), { path: ['admins'], report }, (entry, place) => {
      const read = readEntry(adminSchema, entry, place)
      return read === undefined ? undefined : readAdmin(read, place, issuersByName)
    }),
  }
}

function readAll<Read>(
  entries: readonly Json[],
  { path, report }: EntryPlace,
  read: (entry: Json, place: EntryPlace) => Read | undefined,
): readonly Read[] {
  return entries
    .map((entry, index) => read(entry, { path: [...path, index], report }))
    .filter((result) => result !== undefined)
}

function reportRepeated(entries: readonly Json[], member: string, { path, report }: EntryPlace): void {
  const seen = new Set<string>()
  for (const [index, entry] of entries.entries()) {
    const text = textMember(entry, member)
    if (text === undefined) continue
    if (seen.has(text)) report([...path, index, member], `${quote(text)} occurs twice`)
    seen.add(text)
  }
}

function entriesOf(value: Json, member: string): readonly Json[] {
  const entries = memberOf(value, member)
  return entries !== undefined && isList(entries) ? entries : []
}

function issuerNamed(issuers: readonly Json[], name: string): string {
  const entry = issuers.find((one) => textMember(one, 'name') === name)
  return (entry === undefined ? undefined : textMember(entry, 'issuer')) ?? ''
}

function textMember(value: Json, member: string): string | undefined {
  const text = memberOf(value, member)
  return typeof text === 'string' ? text : undefined
}
