import type { Exit } from './fault.ts'
import type { Terminal } from './terminal.ts'

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
