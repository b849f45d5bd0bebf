import { createFault } from './fault.ts'

/**
 * One word of a command line that is shown to be copied, for any POSIX shell. Throws for one with control, format or
 * line characters: a terminal shows another line than it copies (T25).
 */
export function shellWord(text: string): string {
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text))
    throw createFault('usage', 'a name with control characters cannot be shown as a command line')
  return /^[\w./-][\w@%+:,./=-]*$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}

/** A whole command line, or as much of it as is shown. */
export function commandLine(words: readonly string[]): string {
  return words.map(shellWord).join(' ')
}
