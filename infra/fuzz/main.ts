import { parseArgs } from 'node:util'
import { checkNarrowing } from '../../test/support/narrowing.ts'
import { checkers } from '../../test/support/cost/checkers.ts'
import {
  describeCost,
  isTooDear,
  measureCosts,
  measureSplicedCosts,
  type Cost,
} from '../../test/support/cost/measure-cost.ts'

// `npm run fuzz -- --seed N --count N`: documents made to be expensive, for everything that reads what others wrote, and
// requests drawn at random against an independent model of what may be granted. Prints how many it tried.

const shownMax = 10

process.exitCode = await main()

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      count: { type: 'string', default: '20000' },
      narrowing: { type: 'string', default: '100000' },
    },
  })
  const seed = Number(values.seed)
  const faults =
    (await tellNarrowing(seed, Number(values.narrowing))) +
    tellCosts('shapes', measureCosts(checkers, seed)) +
    tellCosts('spliced', measureSplicedCosts(checkers, seed, Number(values.count)))
  return faults === 0 ? 0 : 1
}

/** Whether anything was granted that an independent model would not grant. */
async function tellNarrowing(seed: number, runs: number): Promise<number> {
  try {
    print(
      `narrowing: ${runs} cases tried of seed ${seed}, none wider: ${JSON.stringify(await checkNarrowing(runs, seed))}`,
    )
    return 0
  } catch (error) {
    print(`narrowing: TOO WIDE: ${String(error)}`)
    return 1
  }
}

/** How many were too dear. */
function tellCosts(name: string, costs: Iterable<Cost>): number {
  let tried = 0
  let dearest: Cost | undefined
  const faults: Cost[] = []
  for (const cost of costs) {
    tried += 1
    if (cost.ms > (dearest?.ms ?? 0)) dearest = cost
    if (isTooDear(cost)) faults.push(cost)
  }
  for (const fault of faults.toSorted((one, other) => other.ms - one.ms).slice(0, shownMax))
    print(`cost: TOO DEAR: ${describeCost(fault)}`)
  print(
    `cost, ${name}: ${tried} documents tried, ${faults.length} too dear; the dearest: ${dearest === undefined ? 'none' : describeCost(dearest)}`,
  )
  return faults.length
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
