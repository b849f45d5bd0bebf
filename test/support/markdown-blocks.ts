/** One fenced code block of a Markdown document. */
export interface CodeBlock {
  /** The first word after the fence; empty when there is none. */
  readonly language: string
  /** The rest of that line. */
  readonly note: string
  readonly text: string
  /** Where it begins, counted from 1. */
  readonly line: number
}

/** Every fenced block, in order. Throws on a fence that is never closed: its rest would be silently skipped. */
export function codeBlocksOf(markdown: string): readonly CodeBlock[] {
  const blocks: CodeBlock[] = []
  let open: { readonly language: string; readonly note: string; readonly line: number } | undefined
  let lines: string[] = []
  for (const [index, line] of markdown.split('\n').entries()) {
    const info = /^\s*```(.*)$/.exec(line)?.[1]?.trim()
    if (info === undefined) {
      if (open !== undefined) lines.push(line)
      continue
    }
    if (open === undefined) {
      const [language = '', ...note] = info.split(/\s+/)
      open = { language, note: note.join(' '), line: index + 1 }
      lines = []
      continue
    }
    blocks.push({ ...open, text: `${lines.join('\n')}\n` })
    open = undefined
  }
  if (open !== undefined) throw new Error(`the code block at line ${open.line} is never closed`)
  return blocks
}
