/** Text as a terminal shows it; the same text anywhere else. */
export interface Paint {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  /** Neither good nor bad: to be looked at. */
  readonly odd: (text: string) => string
}

type Environment = Readonly<Record<string, string | undefined>>

export interface PaintOutput {
  readonly isTTY?: boolean
  readonly hasColors?: () => boolean
}

/** Colours on a terminal only, and never when NO_COLOR is set (https://no-color.org). */
export function createPaint(output: PaintOutput, env: Environment = process.env): Paint {
  const isWanted = (env['NO_COLOR'] ?? '') === ''
  const hasColours = output.isTTY === true && isWanted && output.hasColors?.() === true
  const paint = (code: number) => (text: string) => (hasColours ? `\u001B[${code}m${text}\u001B[0m` : text)
  return { bold: paint(1), dim: paint(2), good: paint(32), bad: paint(31), odd: paint(33) }
}
