import { createRandom, type Random } from '../random.ts'
import type { Checker } from './checkers.ts'
import { documents, splice } from './documents.ts'

/** What one checker used of its thread's CPU time for one document. */
export interface Cost {
  readonly checker: string
  readonly from: Checker['from']
  readonly document: string
  readonly chars: number
  readonly ms: number
}

/** What a document may cost, whoever wrote it: so much at once, and so much for each character. */
const costLimits: Readonly<Record<Checker['from'], { readonly ms: number; readonly nsPerChar: number }>> = {
  // A stranger's 64 KiB: 10 ms.
  stranger: { ms: 3, nsPerChar: 110 },
  administrator: { ms: 5, nsPerChar: 1_500 },
  upstream: { ms: 5, nsPerChar: 500 },
  store: { ms: 5, nsPerChar: 500 },
}

/** A figure above its limit is measured again: the first time a function runs, it is compiled too. */
const attemptsMax = 6

/** Shapes are filled a little beyond what is asked for: so they come whole. */
const wholeShare = 0.95

/** Each of the checkers with every document at the most that it is given. */
export function measureCosts(given: readonly Checker[], seed = 1): readonly Cost[] {
  const random = createRandom(seed)
  return given.flatMap((checker) =>
    documents.map(({ name, make }) =>
      measureCost(checker, name, make(Math.floor(checker.charsMax * wholeShare), random)),
    ),
  )
}

/** As many documents as are wanted that are spliced of two others, each for a checker drawn by lot. */
export function* measureSplicedCosts(
  given: readonly Checker[],
  seed: number,
  count: number,
): Generator<Cost> {
  const random = createRandom(seed)
  for (let index = 0; index < count; index += 1) {
    const checker = random.oneOf(given)
    const [one, other] = [drawDocument(random, checker.charsMax), drawDocument(random, checker.charsMax)]
    const text = splice(one.text, other.text, checker.charsMax, random)
    yield measureCost(checker, `${one.name} with ${other.name} (seed ${seed}, case ${index})`, text)
  }
}

function drawDocument(random: Random, charsMax: number): { readonly name: string; readonly text: string } {
  const { name, make } = random.oneOf(documents)
  return { name, text: make(1 + random.below(charsMax), random) }
}

/** What that text costs a checker; measured again where it seems too much. */
export function measureCost(checker: Checker, document: string, text: string): Cost {
  const { name, from, charsMax, read } = checker
  const given = text.slice(0, charsMax)
  const limit = costLimit(from, given.length)
  let ms = cpuMsOf(() => read(given))
  for (let attempt = 1; attempt < attemptsMax && ms > limit && ms < 4 * limit; attempt += 1)
    ms = Math.min(
      ms,
      cpuMsOf(() => read(given)),
    )
  return { checker: name, from, document, chars: given.length, ms }
}

/** What a document of that size may cost at most, in milliseconds of CPU. */
function costLimit(from: Checker['from'], chars: number): number {
  const { ms, nsPerChar } = costLimits[from]
  return ms + (nsPerChar * chars) / 1e6
}

export function isTooDear({ from, chars, ms }: Cost): boolean {
  return ms > costLimit(from, chars)
}

export function describeCost({ checker, from, document, chars, ms }: Cost): string {
  return `${checker} of ${document}: ${chars} characters, ${ms.toFixed(1)} ms of CPU (${from}: at most ${costLimit(from, chars).toFixed(1)})`
}

/** CPU time of this thread: how busy the machine is does not count. */
function cpuMsOf(work: () => unknown): number {
  const before = process.threadCpuUsage()
  try {
    work()
  } catch {
    // A refusal is as good as an answer.
  }
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}
