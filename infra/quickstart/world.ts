import { randomBytes } from 'node:crypto'
import { choosePort, startBroker, type BrokerProcess } from '../../src/cli/dev/broker-process.ts'
import {
  developmentClients,
  startDevelopmentIssuer,
  type DevelopmentIssuer,
} from '../../src/cli/dev/development-issuer.ts'
import { signInSettings } from '../../src/cli/commands/dev.ts'
import { startGoogleStandIn, type GoogleStandIn } from '../../test/support/google/stand-in.ts'
import { enrol } from './enrol.ts'
import { shellWord } from '../../src/cli/output.ts'
import { takePlace, type Place } from './place.ts'
import { createSampleCallers, type SampleCallers } from './sample-callers.ts'
import { calendarReadOnly, driveReadOnly, samplePolicy } from './sample-policy.ts'

/** Everything that runs while the quickstart does. */
export interface World {
  readonly place: Place
  readonly google: GoogleStandIn
  readonly broker: BrokerProcess
  readonly callers: SampleCallers
  /** Where people sign in and consent, without a password. */
  readonly people: DevelopmentIssuer
  /** Ends the broker and the stand-in; the files stay. */
  readonly stop: () => Promise<void>
}

export const serviceAccountEmail = 'reports@acme.iam.gserviceaccount.com'
export const userEmail = 'team@acme.example'
/** What the team consented to: more than anybody gets below. */
export const consentedScopes = [calendarReadOnly, driveReadOnly]
const jwtLifeSeconds = 3600
const module = import.meta.resolve('../../src/cloud-run.ts')

/** Google's stand-in, a broker on SQLite, and two credentials enrolled by the admin API. Throws with the reason. */
export async function startWorld(folder: string, wanted?: number): Promise<World> {
  const place = takePlace(folder)
  const google = await startGoogleStandIn()
  let started: Started | undefined
  let renewal: NodeJS.Timeout | undefined
  const stop = async () => {
    clearInterval(renewal)
    await started?.broker.stop()
    await started?.people.close()
    await google.close()
    place.leave()
  }
  try {
    const callers = await createSampleCallers()
    const parts = { place, google, callers }
    // Between the choice of a port and its use somebody else may take it; then any other will do.
    const port = await choosePort(wanted ?? 8080)
    if (wanted !== undefined && port !== wanted) throw new Error(`port ${wanted} is taken`)
    started = await startOn(port, parts).catch(async (error: unknown) => {
      if (wanted !== undefined) throw error
      return startOn(await choosePort(0), parts)
    })
    const { broker, people } = started
    await writeFiles({ place, google, broker, callers })
    renewal = setInterval(() => void signJwts({ place, broker, callers }), (jwtLifeSeconds * 1000) / 2)
    renewal.unref()
    await enrolSamples({ google, broker, callers })
    return { ...parts, broker, people, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

type Started = Pick<World, 'broker' | 'people'>

/** The broker, and the issuer that leads people back to it. */
async function startOn(port: number, parts: Pick<World, 'place' | 'google' | 'callers'>): Promise<Started> {
  const { place, google, callers } = parts
  const people = await startDevelopmentIssuer({ port: 0, broker: `http://127.0.0.1:${port}` })
  try {
    place.write('policy.yaml', samplePolicy(callers, people.url))
    const env = { ...brokerEnvironment(port, place, google), ...signInSettings(people) }
    const broker = await startBroker({ port, env, logFile: place.path('broker.log'), module })
    return { broker, people }
  } catch (error) {
    await people.close()
    throw error
  }
}

function brokerEnvironment(
  port: number,
  place: Place,
  google: GoogleStandIn,
): Readonly<Record<string, string>> {
  return {
    DOWNSCOPE_ISSUER: `http://127.0.0.1:${port}`,
    DOWNSCOPE_STORE: `sqlite:${place.path('store.db')}`,
    DOWNSCOPE_KEYS: `sample:${randomBytes(32).toString('base64')}`,
    DOWNSCOPE_POLICY: place.path('policy.yaml'),
    ...google.endpoints,
  }
}

type Running = Pick<World, 'google' | 'broker' | 'callers'>

/** What the tour (docs/tour.md) uses from another terminal. */
async function writeFiles({
  place,
  google,
  broker,
  callers,
}: Running & { readonly place: Place }): Promise<void> {
  await signJwts({ place, broker, callers })
  place.write('admin.jwk.json', json(callers.admin.privateJwk))
  place.write('billing.jwk.json', json(callers.billing.privateJwk))
  const another = await google.createServiceAccount({ email: 'invoices@acme.iam.gserviceaccount.com' })
  place.write('invoices-key.json', json(another))
  // As roles/iam.serviceAccountKeyAdmin on the account itself: the broker rotates a key with that key.
  for (const account of [serviceAccountEmail, another.client_email])
    google.allowKeyAdministration(account, account)
  place.write('external-account.json', json(externalAccount(broker.url, place.path('workload.jwt'))))
  place.write(
    'env',
    `BROKER=${broker.url}
GOOGLE=${google.origin}
DIR=${shellWord(place.path(''))}
export DOWNSCOPE_URL=${broker.url}
export DOWNSCOPE_ADMIN_KEY=${shellWord(place.path('admin.jwk.json'))}
`,
  )
}

/** As a platform does for its workloads, which read the file anew: long before the former one ends. */
async function signJwts({
  place,
  broker,
  callers,
}: Pick<World, 'place' | 'broker' | 'callers'>): Promise<void> {
  place.write('workload.jwt', await callers.workload.sign(broker.url, jwtLifeSeconds))
  place.write('admin.jwt', await callers.admin.sign(broker.url, jwtLifeSeconds))
}

/** A file for Google's own client libraries: they send the JWT to the broker and never see a credential. */
function externalAccount(brokerUrl: string, jwtFile: string): object {
  return {
    type: 'external_account',
    audience: `${brokerUrl}/credentials/reports-sa`,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${brokerUrl}/v1/token`,
    credential_source: { file: jwtFile },
  }
}

async function enrolSamples({ google, broker, callers }: Running): Promise<void> {
  const bearer = await callers.admin.sign(broker.url, 60)
  const admin = { brokerUrl: broker.url, bearer }
  await enrol(admin, {
    name: 'reports-sa',
    secret: await google.createServiceAccount({ email: serviceAccountEmail }),
  })
  await enrol(admin, {
    name: 'team-calendar',
    secret: google.createRefreshToken({ user: userEmail, scopes: consentedScopes }),
    scopes: consentedScopes,
  })
  const { id, secret } = developmentClients.connect
  await enrol(admin, {
    name: 'dev-client',
    upstream: 'dev',
    secret: { type: 'oauth_client', client_id: id, client_secret: secret },
  })
}

function json(document: object): string {
  return `${JSON.stringify(document, undefined, 2)}\n`
}
