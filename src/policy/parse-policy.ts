import type { Json } from '../domain/caller.ts'
import type { Policy } from '../domain/policy.ts'
import { quote } from '../domain/text.ts'
import { runAtOnce, type Steps } from '../domain/promises.ts'
import type { PolicyDocument } from '../ports/policy-source.ts'
import { isList, memberOf } from '../domain/json.ts'
import { documentInvalid, keptFaultsMax, type At, type Fault, type Report } from './policy-faults.ts'
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
import { omitUndefined } from '../domain/omit-undefined.ts'

/** A policy, and the text in which each of its parts has its place. */
export interface ReadPolicy {
  readonly policy: Policy
  readonly text: PolicyText
}

export interface PolicyContext {
  /** The broker's public URL. */
  readonly brokerIssuer: string
  /** The clients that people sign in with, where it is known. */
  readonly signInClients?: readonly string[]
}

/** The policy that a document means; otherwise like `readPolicy`. */
export function parsePolicy(document: PolicyDocument, context: PolicyContext): Policy {
  return readPolicy(document, context).policy
}

/**
 * The policy that a YAML or JSON document means. Throws `document_invalid`, and nothing else, with every fault at
 * once: its line and column, its path, and what is wrong. An unknown key is a fault (docs/policy.md).
 */
export function readPolicy(document: PolicyDocument, context: PolicyContext): ReadPolicy {
  return runAtOnce(readPolicySteps(document, context))
}

/** The same in steps of at most some thousand values each, after two that read the text. */
export function* readPolicySteps(document: PolicyDocument, context: PolicyContext): Steps<ReadPolicy> {
  const judged = yield* judgeDocument(document.text, context)
  if (!judged.ok) throw documentInvalid(document.origin, judged.faults)
  return judged.read
}

export type DocumentJudgement =
  | { readonly ok: true; readonly read: ReadPolicy }
  | { readonly ok: false; readonly faults: readonly Fault[] }

/** The policy that a text means, or its faults, a thousand at most. */
export function* judgeDocument(text: string, context: PolicyContext): Steps<DocumentJudgement> {
  const read = yield* readPolicyText(text)
  yield
  const found: (Omit<Fault, 'position'> & { readonly at: At })[] = []
  const isEnough = () => read.faults.length + found.length >= keptFaultsMax
  const report: Report = (path, message, { at = 'value', code = 'invalid', hint } = {}) => {
    if (!isEnough()) found.push({ path, at, code, text: message, ...omitUndefined({ hint }) })
  }
  // A text that does not parse, or only with values left out, would be judged by what is not in it.
  if (read.faults.length > 0 && read.value === null) return { ok: false, faults: read.faults }
  const policy = yield* readWhole(read.value, { report, isEnough, ...context })
  if (read.faults.length + found.length === 0) return { ok: true, read: { policy, text: read } }
  const locate = yield* read.places()
  const placed = found.map(({ at, ...fault }) => ({ ...fault, position: locate(fault.path, at) }))
  return { ok: false, faults: [...read.faults, ...placed] }
}

interface Reading extends PolicyContext {
  readonly report: Report
  /** Whether there are so many faults that nobody would read more. */
  readonly isEnough: () => boolean
}

function* readWhole(value: Json, reading: Reading): Steps<Policy> {
  const { report, brokerIssuer } = reading
  const { entry: top } = readEntry(policyDocumentSchema, value, { path: [], report })
  // docs/policy.md allows a policy without rules or without admins; with neither key it is more likely cut off.
  if (top !== undefined && top.rules === undefined && top.admins === undefined)
    report([], 'has neither rules nor admins: is it cut off?', { code: 'missing' })

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
  const issuersByName = new Map(
    issuers.map((entry) => [textMember(entry, 'name') ?? '', textMember(entry, 'issuer') ?? '']),
  )
  const section = { reading, issuerNames }

  const policy: Policy = {
    issuers: yield* readAll({ ...section, name: 'issuers', entries: issuers }, (entry, place) => {
      const read = readEntry(issuerSchema, entry, place, { name: 'x', issuer: 'x', keys: {} })
      return read.entry === undefined ? undefined : readIssuer(read.entry, without(place, read), brokerIssuer)
    }),
    upstreams: yield* readAll({ ...section, name: 'upstreams', entries: upstreams }, (entry, place) => {
      const read = readEntry(upstreamSchema, withPreset(entry, place), place, {
        name: 'x',
        client_auth: 'none',
      })
      return read.entry === undefined ? undefined : readUpstream(read.entry, without(place, read))
    }),
    rules: yield* readAll({ ...section, name: 'rules', entries: rules }, (entry, place) => {
      const read = readEntry(ruleSchema, entry, place, { name: 'x', callers: spareCallers, credential: 'x' })
      return read.entry === undefined ? undefined : readRule(read.entry, without(place, read))
    }),
    admins: yield* readAll(
      { ...section, name: 'admins', entries: entriesOf(value, 'admins') },
      (entry, place) => {
        const read = readEntry(adminSchema, entry, place, { callers: spareCallers, role: 'viewer' })
        return read.entry === undefined
          ? undefined
          : readAdmin(read.entry, without(place, read), issuersByName)
      },
    ),
  }
  reportOwnAudiences(rules, policy, reading)
  return policy
}

/** T2, T3: whoever has a JWT for one of these audiences is another caller here, or a person. */
function reportOwnAudiences(
  rules: readonly Json[],
  { issuers }: Policy,
  { report, brokerIssuer, signInClients = [] }: Reading,
): void {
  const own = new Set([brokerIssuer, ...signInClients, ...issuers.flatMap(({ audiences }) => audiences)])
  for (const [index, rule] of rules.entries())
    for (const path of [['id_token_audiences'], ['signature', 'jwt_audiences']]) {
      const listed = path.reduce<Json | undefined>((at, step) => memberOf(at ?? null, step), rule)
      if (listed === undefined || !isList(listed)) continue
      for (const [place, audience] of listed.entries())
        if (typeof audience === 'string' && own.has(audience))
          report(
            ['rules', index, ...path, place],
            'is an audience by which callers or people prove themselves to this broker: its token would make one into another',
          )
    }
}

const spareCallers: Json = [{ issuer: 'x', subject: 'x' }]

/** What is wrong beside a faulty member is reported; what may only follow from the fault is not. */
function without(
  { path, report }: EntryPlace,
  { faulty }: { readonly faulty: ReadonlySet<string> },
): EntryPlace {
  if (faulty.size === 0) return { path, report }
  const silent = new Set([...faulty, ...[...faulty].flatMap((member) => judgedBy[member] ?? [])])
  return {
    path,
    report: (at, text, details) => {
      const member = at[path.length]
      if (member === undefined || silent.has(String(member))) return
      if (![...faulty].some((name) => text.includes(name))) report(at, text, details)
    },
  }
}

/** Which members are judged by what another one says. */
const judgedBy: Readonly<Record<string, readonly string[]>> = {
  token_types: ['scopes', 'id_token_audiences', 'subjects', 'boundary'],
  algorithms: ['keys'],
  client_auth: ['client_assertion_audience'],
}

interface Section {
  readonly name: string
  readonly entries: readonly Json[]
  readonly reading: Reading
  readonly issuerNames: ReadonlySet<string>
}

/** Of one entry: an honest one has some dozen. */
const entryValuesMax = 10_000
const stepValuesMax = 5_000

function* readAll<Read>(
  { name, entries, reading: { report, isEnough }, issuerNames }: Section,
  read: (entry: Json, place: EntryPlace) => Read | undefined,
): Steps<readonly Read[]> {
  const all: Read[] = []
  let values = 0
  for (const [index, entry] of entries.entries()) {
    if (isEnough()) break
    const path = [name, index]
    const size = sizeOf(entry, entryValuesMax)
    values += size
    if (size > entryValuesMax) {
      report(path, `holds more than ${entryValuesMax} values: make several entries of it`, {
        code: 'too_long',
      })
      continue
    }
    reportStrangeIssuers(entry, issuerNames, { path, report })
    const one = read(entry, { path, report })
    if (one !== undefined) all.push(one)
    if (values > stepValuesMax) {
      values = 0
      yield
    }
  }
  return all
}

/** How many values it holds, itself included; of more than `max` it is only known that they are more. */
function sizeOf(value: Json, max: number): number {
  if (typeof value !== 'object' || value === null) return 1
  let size = 1
  for (const part of Object.values(value)) {
    size += sizeOf(part, max - size)
    if (size > max) break
  }
  return size
}

function reportStrangeIssuers(entry: Json, known: ReadonlySet<string>, { path, report }: EntryPlace): void {
  for (const [index, caller] of entriesOf(entry, 'callers').entries()) {
    const issuer = textMember(caller, 'issuer')
    if (issuer !== undefined && !known.has(issuer))
      report([...path, 'callers', index, 'issuer'], `no issuer has the name ${quote(issuer)}`, {
        code: 'unknown_issuer',
      })
  }
}

function reportRepeated(entries: readonly Json[], member: string, { path, report }: EntryPlace): void {
  const seen = new Set<string>()
  for (const [index, entry] of entries.entries()) {
    const text = textMember(entry, member)
    if (text === undefined) continue
    if (seen.has(text)) report([...path, index, member], `${quote(text)} occurs twice`, { code: 'repeated' })
    seen.add(text)
  }
}

function entriesOf(value: Json, member: string): readonly Json[] {
  const entries = memberOf(value, member)
  return entries !== undefined && isList(entries) ? entries : []
}

function textMember(value: Json, member: string): string | undefined {
  const text = memberOf(value, member)
  return typeof text === 'string' ? text : undefined
}
