import { longPolicy } from '../../test/support/long-policy.ts'
import { compilePolicy, type CompiledPolicy } from '../../src/policy/compile-policy.ts'
import { readPolicySteps } from '../../src/policy/parse-policy.ts'
import { median } from './statistics.ts'

/** What a long policy costs: of a CPU, not of the clock. */
export interface LongPolicyFigures {
  readonly rules: number
  readonly bytes: number
  /** From text to compiled rules. */
  readonly loadMs: number
  /** The longest step, between two of which other requests have their turn. */
  readonly longestStepMs: number
  /** The rule for a caller, or that there is none. */
  readonly matchUs: number
}

const rounds = 7
const matches = 20_000

/** Loads a policy of 10,000 rules, some 2 MB, and finds the rules of callers in it. */
export function measureLongPolicy(rules = 10_000): LongPolicyFigures {
  const text = longPolicy({ rules })
  const loads = Array.from({ length: rounds }, () => load(text))
  const last = loads.at(-1)
  if (last === undefined) throw new Error('nothing was loaded')
  const found = Array.from({ length: rounds }, () => match(last.compiled, rules))
  return {
    rules,
    bytes: text.length,
    loadMs: median(loads.map(({ loadMs }) => loadMs)),
    longestStepMs: median(loads.map(({ longestStepMs }) => longestStepMs)),
    matchUs: median(found),
  }
}

function load(text: string) {
  const startedUs = cpuUs()
  let longestUs = 0
  const steps = readPolicySteps(
    { text, revision: '1', origin: 'bench' },
    { brokerIssuer: 'https://b.example' },
  )
  for (;;) {
    const beganUs = cpuUs()
    const step = steps.next()
    longestUs = Math.max(longestUs, cpuUs() - beganUs)
    if (step.done !== true) continue
    const compiled = compilePolicy(step.value.policy)
    return { compiled, loadMs: (cpuUs() - startedUs) / 1000, longestStepMs: longestUs / 1000 }
  }
}

function match(compiled: CompiledPolicy, rules: number): number {
  const startedUs = cpuUs()
  for (let index = 0; index < matches; index += 1) {
    const team = (index * 7_919) % (rules + rules / 10)
    const caller = {
      issuer: `https://issuer-${team % 10}.example`,
      issuerName: `issuer-${team % 10}`,
      subject: `system:serviceaccount:team-${team}:worker`,
      claims: { environment: 'production' },
    }
    const rule = compiled.findRule(caller, `credential-${team}`)
    if ((rule !== undefined) !== team < rules)
      throw new Error(`the rule of team ${team} is not found, or is not its`)
  }
  return (cpuUs() - startedUs) / matches
}

/** Of this thread alone: the collector's helpers work beside it. */
function cpuUs(): number {
  const { user, system } = process.threadCpuUsage()
  return user + system
}
