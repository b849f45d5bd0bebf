import { join } from 'node:path'
import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import { createTestWorld, type TestWorld } from '../../test/support/test-broker/test-world.ts'
import { brokerIssuer } from '../../test/support/test-broker/callers.ts'
import { holdsContract, installSchemathesis } from './schemathesis.ts'

// `npm run contract [SECONDS]`: Schemathesis asks a broker by its own /openapi.json whatever that allows and forbids,
// as an administrator, with the store in memory and in SQLite, and for half of the time each.

const secondsDefault = 60
const config = join(import.meta.dirname, 'schemathesis.toml')

process.exitCode = await main(process.argv[2])

async function main(given: string | undefined): Promise<number> {
  const seconds = Number(given ?? secondsDefault)
  if (!Number.isInteger(seconds) || seconds < 2) {
    process.stdout.write('usage: npm run contract [SECONDS]\n')
    return 2
  }
  const program = await installSchemathesis()
  const world = await createTestWorld()
  let isHeld = true
  try {
    for (const store of ['memory:', `sqlite:${join(world.folder, 'contract.db')}`]) {
      process.stdout.write(`contract: ${store.split(':')[0] ?? ''}\n`)
      const isHeldHere = await holdsWith(world, store, { program, seconds: Math.floor(seconds / 2) })
      isHeld &&= isHeldHere
    }
  } finally {
    await world.close()
  }
  process.stdout.write(`contract: ${isHeld ? 'schema and behaviour agree' : 'FAILED'}\n`)
  return isHeld ? 0 : 1
}

async function holdsWith(
  world: TestWorld,
  store: string,
  { program, seconds }: { readonly program: string; readonly seconds: number },
): Promise<boolean> {
  const admin = await createAdministrator()
  const broker = await world.yard.start({
    ...world.settings([]),
    DOWNSCOPE_STORE: store,
    DOWNSCOPE_LOG_LEVEL: 'error',
    DOWNSCOPE_CALLER_RATE: '0',
    DOWNSCOPE_POLICY_YAML: JSON.stringify(admin.policy),
  })
  const jwt = await admin.sign()
  await enrolReports(world, broker.url, jwt)
  const isHeld = await holdsContract(program, { url: broker.url, jwt, seconds, config, folder: world.folder })
  await broker.stop()
  return isHeld
}

/** The account of the IAM Credentials API's path in schemathesis.toml. */
async function enrolReports(world: TestWorld, url: string, jwt: string): Promise<void> {
  const { status } = await fetch(`${url}/v1/admin/credentials`, {
    method: 'POST',
    headers: { authorization: `Bearer ${jwt}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'reports', secret: await world.google.createServiceAccount() }),
  })
  if (status !== 201) throw new Error(`contract: the credential was not enrolled: ${status}`)
}

/** Somebody whose JWT may be sent again and again. */
async function createAdministrator() {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const issuer = {
    name: 'fuzzer',
    issuer: 'https://fuzzer.example',
    keys: { jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'k1' }] } },
    lifetime_seconds_max: 86_400,
    replay: 'allowed',
  }
  return {
    policy: {
      version: 1,
      issuers: [issuer],
      rules: [
        {
          name: 'reports',
          callers: [{ issuer: 'fuzzer', subject: 'fuzzer' }],
          credential: 'reports',
          scopes: ['https://www.googleapis.com/auth/devstorage.read_only'],
          excess_scopes: 'drop',
          token_types: ['access_token', 'id_token', 'signature'],
          id_token_audiences: ['https://reports.example'],
          signature: { storage_buckets: ['*'], jwt_audiences: ['https://warehouse.example'] },
        },
      ],
      admins: [{ callers: [{ issuer: 'fuzzer', subject: 'fuzzer' }], role: 'admin' }],
    },
    sign: () =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
        .setIssuer(issuer.issuer)
        .setSubject('fuzzer')
        .setAudience(brokerIssuer)
        .setIssuedAt()
        .setExpirationTime('12h')
        .sign(privateKey),
  }
}
