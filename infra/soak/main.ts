import type { Proof } from './proof.ts'

// `npm run soak NAME`: proofs that take too long for the test suite. Each prints what it counted.

const proofs: Readonly<Record<string, () => Promise<Proof>>> = {
  'damaged-store': async () => (await import('./damaged-store.ts')).proveDamagedStore,
  'outbound-faults': async () => (await import('./outbound-faults.ts')).proveOutboundFaults,
  'process-faults': async () => (await import('./process-faults.ts')).proveProcessFaults,
  'hostile-clients': async () => (await import('./hostile-clients.ts')).proveHostileClients,
  revoke: async () => (await import('./revoke.ts')).proveRevoke,
  rewrap: async () => (await import('./rewrap.ts')).proveRewrap,
  rotation: async () => (await import('./rotation.ts')).proveRotation,
  'upstream-rotation': async () => (await import('./upstream-rotation.ts')).proveUpstreamRotation,
}

process.exitCode = await main(process.argv.slice(2))

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => proofs[name] === undefined)
  if (names.length === 0 || unknown.length > 0) {
    print(`usage: npm run soak NAME…, of ${Object.keys(proofs).join(', ')}`)
    return 2
  }
  let isProved = true
  for (const name of names) {
    const prove = await proofs[name]?.()
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
