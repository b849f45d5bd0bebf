import { type Exit, createFault } from './fault.ts'
import type { Terminal } from './terminal.ts'
import type { Members } from '../domain/json.ts'
import { readJsonInput } from './files.ts'
import { readScopes } from '../policy/scope-catalogue.ts'

/** One command as data: commander parses by it, help and completion show it, and docs/cli.md is held to it. */
export interface Command {
  /** The words after `downscope`: `credentials import`. */
  readonly name: string
  /** One line, for the list of commands. */
  readonly summary: string
  /** What else whoever gives it has to know. */
  readonly details?: string
  readonly arguments?: readonly ArgumentSpec[]
  readonly options?: readonly OptionSpec[]
  /** Whole command lines. */
  readonly examples: readonly string[]
  /** How it ended; a number is the status of a command that it ran for the user. */
  readonly run: (call: Call) => Promise<Exit | number>
}

/** A word that opens a list of commands. */
export interface Family {
  readonly name: string
  readonly summary: string
}

/** What the shell may offer in a place. */
export type Offer = 'file' | 'credential' | readonly string[]

export interface ArgumentSpec {
  /** In capitals, as it stands in the usage line. */
  readonly name: string
  readonly summary: string
  readonly isOptional?: boolean
  /** Takes all words that are left. */
  readonly isRepeatable?: boolean
  readonly offer?: Offer
}

export interface OptionSpec {
  /** `--scope`. */
  readonly name: string
  /** `SCOPE`; absent for a switch. */
  readonly value?: string
  readonly summary: string
  readonly offer?: Offer
  /** May be given more than once. */
  readonly isRepeatable?: boolean
  /** The heading it stands under in the help. */
  readonly group?: string
}

/** What was given to one command. */
export interface Call {
  readonly terminal: Terminal
  /** An argument (`FILE`) or an option with a value (`--scope`); an empty text is none. */
  readonly text: (name: string) => string | undefined
  /** An argument that commander has seen to. */
  readonly argument: (name: string) => string
  /** Of an argument or option that may be repeated. */
  readonly texts: (name: string) => readonly string[]
  /** Whether a switch was given. */
  readonly has: (name: string) => boolean
}

export const jsonOption: OptionSpec = {
  name: '--json',
  summary: 'print one JSON document instead of text for people',
}

export const yesOption: OptionSpec = { name: '--yes', summary: 'do not ask whether it is meant' }

/** What a caller asks for beside the credential, as far as it does. */
interface TokenOptions {
  readonly scopes: readonly string[] | undefined
  readonly lifetimeSeconds: number | undefined
  readonly actFor: string | undefined
  readonly boundary: Members | undefined
  readonly resource: string | undefined
}

export const tokenOptions: readonly OptionSpec[] = [
  scopeOption('a scope that is wanted; may be repeated; by default all that policy allows'),
  { name: '--lifetime', value: 'SECONDS', summary: 'the longest lifetime of the token' },
  { name: '--act-for', value: 'USER', summary: 'the user to act for, by domain-wide delegation' },
  {
    name: '--boundary',
    value: 'FILE',
    summary: "a Credential Access Boundary to narrow it by, in Google's JSON",
    offer: 'file',
  },
  { name: '--resource', value: 'URI', summary: 'the audience of the ID token' },
]

// What the broker reads, whatever an upstream can keep.
const lifetimeBounds = { min: 1, max: 999_999_999 }

export async function readTokenOptions(call: Call): Promise<TokenOptions> {
  const boundary = call.text('--boundary')
  return {
    scopes: scopesGiven(call),
    lifetimeSeconds: wholeNumber(call, '--lifetime', lifetimeBounds),
    actFor: call.text('--act-for'),
    boundary: boundary === undefined ? undefined : await readJsonInput(boundary, call.terminal),
    resource: call.text('--resource'),
  }
}

export const nameArgument: ArgumentSpec = {
  name: 'NAME',
  summary: "the credential's name",
  offer: 'credential',
}
export const versionArgument: ArgumentSpec = {
  name: 'VERSION',
  summary: 'its id, as versions list tells it',
}

/** The credential in `NAME`, below `/v1/admin/`; `rest` is what of it, or an act on it: `:disable`. */
export function credentialPath(call: Call, rest = ''): string {
  return `credentials/${encodeURIComponent(call.argument('NAME'))}${rest}`
}

export function versionPath(call: Call, act: string): string {
  return credentialPath(call, `/versions/${encodeURIComponent(call.argument('VERSION'))}${act}`)
}

/** `summary` says what the scopes are there for. */
export function scopeOption(summary: string): OptionSpec {
  return { name: '--scope', value: 'SCOPE', summary, isRepeatable: true }
}

/** Each `--scope`, which may hold several with spaces between; `undefined` when there is none. */
export function scopesGiven(call: Call): readonly string[] | undefined {
  const scopes = call.texts('--scope').flatMap((text) => text.split(' ').filter((scope) => scope !== ''))
  return scopes.length === 0 ? undefined : scopes
}

/** What a scope was probably meant to be, where the credential is one of Google; the broker tells no caller. */
export function scopeHints(scope = ''): readonly string[] {
  const read = readScopes(
    'google',
    scope.split(' ').filter((word) => word !== ''),
  )
  return read.ok
    ? []
    : read.faults
        .filter((fault) => fault.includes('did you mean'))
        .map((fault) => fault.replace(/^scopes: /, ''))
}

/** The number that an option gives, within its bounds; `undefined` without the option. */
export function wholeNumber(
  call: Call,
  name: string,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  const text = call.text(name)
  if (text === undefined) return undefined
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1
  if (value >= min && value <= max) return value
  throw createFault('usage', `${name} is a whole number from ${min} to ${max}`)
}
