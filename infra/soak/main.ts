import type { Proof } from './proof.ts'
import { parseArgs } from 'node:util'

// `npm run soak NAME` and `npm run soak -- --minutes N`: proofs that take too long for the test suite. Each prints what
// it counted.

const proofs: Readonly<Record<string, () => Promise<Proof>>> = {
  boundaries: async () => (await import('./boundaries.ts')).proveBoundaries,
  'damaged-store': async () => (await import('./damaged-store.ts')).proveDamagedStore,
  'outbound-faults': async () => (await import('./outbound-faults.ts')).proveOutboundFaults,
  'process-faults': async () => (await import('./process-faults.ts')).proveProcessFaults,
  'hostile-clients': async () => (await import('./hostile-clients.ts')).proveHostileClients,
  'move-store': async () => (await import('./move-store.ts')).proveMoveStore,
  revoke: async () => (await import('./revoke.ts')).proveRevoke,
  rewrap: async () => (await import('./rewrap.ts')).proveRewrap,
  rotation: async () => (await import('./rotation.ts')).proveRotation,
  'upstream-rotation': async () => (await import('./upstream-rotation.ts')).proveUpstreamRotation,
}

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals: names } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { minutes: { type: 'string' }, seed: { type: 'string', default: '1' } },
  })
  const minutes = Number(values.minutes ?? 0)
  const unknown = names.filter((name) => proofs[name] === undefined)
  if ((names.length === 0 && !(minutes > 0)) || unknown.length > 0) {
    print(
      `usage: npm run soak NAME…, of ${Object.keys(proofs).join(', ')}; or npm run soak -- --minutes N [--seed N]`,
    )
    return 2
  }
  const chosen = names.map((name) => ({ name, load: proofs[name] }))
  if (minutes > 0) {
    const everything = async () =>
      (await import('./everything.ts')).proveEverything(minutes, Number(values.seed))
    chosen.push({ name: 'everything', load: everything })
  }
  let isProved = true
  for (const { name, load } of chosen) {
    const prove = await load?.()
    const faults = (await prove?.((line) => print(`${name}: ${line}`))) ?? []
    for (const fault of faults) print(`${name}: FAILED: ${fault}`)
    print(`${name}: ${faults.length === 0 ? 'proved' : `${faults.length} faults`}`)
    isProved &&= faults.length === 0
  }
  return isProved ? 0 : 1
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
