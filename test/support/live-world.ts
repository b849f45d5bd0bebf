import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNodeHttpClient } from '../../src/adapters/system/node-http-client.ts'
import { createEntropy } from '../../src/adapters/system/clock-and-entropy.ts'
import { createConsentFlow } from '../../src/cli/live/consent.ts'
import { openOperator, readLiveUrls, type GoogleProject } from '../../src/cli/live/google-project.ts'
import { openJournal } from '../../src/cli/live/journal.ts'
import { readWrite } from '../../src/cli/live/live-checks.ts'
import { Secret } from '../../src/domain/secret.ts'
import type { Bucket } from './google/buckets.ts'
import { startGoogleStandIn, type GoogleStandIn } from './google/stand-in.ts'
import { createSkippingClock } from './skipping-clock.ts'
import type { CheckOptions } from '../../src/cli/live/live-scene.ts'

const project = 'acme-trial'
const bucketName = 'acme-trial-doctor'
export const kmsKey = `projects/${project}/locations/europe-west1/keyRings/r/cryptoKeys/k`
const operatorEmail = 'ops@acme.example'
const email = 'https://www.googleapis.com/auth/userinfo.email'
const client = { id: 'desktop.apps.googleusercontent.com', secret: 'GOCSPX-desktop-secret' }

/** A project at the stand-in for Google, and the operator's folder beside it. */
export interface LiveWorld {
  readonly google: GoogleStandIn
  readonly bucket: Bucket
  readonly folder: string
  readonly journal: string
  /** Of `downscope doctor --live`. */
  readonly env: Readonly<Record<string, string>>
  readonly args: readonly string[]
  /** The same without the command line, on a clock on which waiting takes no time. */
  readonly open: () => Promise<{
    readonly live: GoogleProject
    readonly options: CheckOptions
    readonly end: () => Promise<void>
  }>
  /** Goes where a link leads, as the browser of whoever sits there. */
  readonly browse: (link: string) => Promise<void>
  readonly close: () => Promise<void>
}

export async function createLiveWorld(): Promise<LiveWorld> {
  const clock = createSkippingClock()
  let isSkipping = false
  const google = await startGoogleStandIn({ now: () => (isSkipping ? clock.now() : Date.now() / 1000) })
  const folder = mkdtempSync(join(tmpdir(), 'downscope-live-'))
  const credentials = join(folder, 'adc.json')
  const adc = google.createRefreshToken({
    scopes: ['https://www.googleapis.com/auth/cloud-platform', email],
    user: operatorEmail,
  })
  writeFileSync(credentials, JSON.stringify(adc))
  google.createProject(project, '123456789012', operatorEmail)
  const bucket = google.createBucket(bucketName, operatorEmail)
  google.createCryptoKey(kmsKey)
  google.allowCryptoKey(operatorEmail, kmsKey)
  google.allowKeyVersions(operatorEmail, kmsKey)
  google.addClientSecret(client.id, client.secret)
  google.sitDown({ email: operatorEmail, consents: true })
  await google.createServiceAccount({ email: `machine@${project}.iam.gserviceaccount.com` })
  google.runAs(`machine@${project}.iam.gserviceaccount.com`)
  const clientFile = join(folder, 'client.json')
  writeFileSync(
    clientFile,
    JSON.stringify({
      installed: { client_id: client.id, client_secret: client.secret, redirect_uris: ['http://localhost'] },
    }),
  )
  const env = {
    ...google.endpoints,
    GOOGLE_APIS_URL: google.origin,
    GCE_METADATA_HOST: google.metadataHost,
    GOOGLE_APPLICATION_CREDENTIALS: credentials,
  }
  const journal = join(folder, 'journal.json')
  const browse = async (link: string): Promise<void> => {
    await fetch(link)
  }
  return {
    google,
    bucket,
    folder,
    journal,
    env,
    args: [
      'doctor',
      '--live',
      '--project',
      project,
      '--bucket',
      bucketName,
      '--journal',
      journal,
      '--kms-key',
      kmsKey,
      '--oauth-client',
      clientFile,
    ],
    open: async () => {
      isSkipping = true
      const outside = { http: createNodeHttpClient(), clock, urls: readLiveUrls(env) }
      const live: GoogleProject = {
        ...outside,
        project,
        bucket: bucketName,
        run: '0badcafe',
        entropy: createEntropy(),
        operator: await openOperator(env, outside),
        journal: openJournal(journal),
      }
      const flow = createConsentFlow(
        live,
        { id: client.id, secret: new Secret(client.secret) },
        {
          scopes: [readWrite, email],
          show: (link) => void browse(link),
        },
      )
      const options: CheckOptions = {
        kmsKey,
        database: '(default)',
        metadataHost: google.metadataHost,
        email: undefined,
        consent: flow.grant,
      }
      return { live, options, end: flow.end }
    },
    browse,
    close: async () => {
      await google.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
