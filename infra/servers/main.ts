import { startFirestoreEmulator } from '../../test/support/start-firestore-emulator.ts'
import { createTestWorld, firestoreSettings } from '../../test/support/test-broker/test-world.ts'
import { createChecks } from './checks.ts'
import { checkHydra } from './hydra.ts'
import { checkGuide } from './keycloak-guide.ts'
import { checkIssuer } from './keycloak-issuer.ts'
import { checkPeople } from './keycloak-people.ts'
import { checkUpstream } from './keycloak-upstream.ts'
import { startKeycloak } from './keycloak.ts'

// `npm run servers [--short]`: the broker against servers that nobody here wrote. Keycloak comes from Maven Central, as
// issuer and as upstream; Ory Hydra is built from the Go module proxy. `--short` is what .ci/run runs: two expiries in
// place of ten, no Firestore emulator and no Hydra.

const isShort = process.argv.includes('--short')
process.exitCode = await main()

async function main(): Promise<number> {
  const startedMs = performance.now()
  const say = (line: string) => process.stdout.write(`servers: ${line}\n`)
  const checks = createChecks(say)
  const keycloak = await startKeycloak(say)
  const world = await createTestWorld()
  const emulator = isShort ? undefined : await startFirestoreEmulator()
  try {
    await checkGuide(world, keycloak, checks)
    await checkIssuer(world, keycloak, checks)
    await checkPeople(keycloak, checks)
    await checkUpstream(world, keycloak, checks, {
      expiries: isShort ? 2 : 10,
      stores: emulator === undefined ? {} : { 'the Firestore emulator': firestoreSettings(emulator.host) },
    })
    // Go compiles it for a quarter of an hour when it is not in the cache.
    if (!isShort) await checkHydra(world, checks, 10)
  } finally {
    await checks.check('no broker let one request keep all others waiting', () => world.close())
    await keycloak.close()
    await emulator?.stop()
  }
  const { faults } = checks
  say(
    `${faults.length === 0 ? 'all as promised' : `${faults.length} FAILED`}, in ${Math.round((performance.now() - startedMs) / 1000)} s`,
  )
  return faults.length === 0 ? 0 : 1
}
