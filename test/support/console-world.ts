import { startGoogleStandIn, type GoogleStandIn } from './google/stand-in.ts'
import { startPeopleWorld, type PeopleOptions, type PeopleWorld } from './people-world.ts'

export interface ConsoleWorld extends PeopleWorld {
  readonly google: GoogleStandIn
}

const reportScope = 'https://www.googleapis.com/auth/devstorage.read_only'

/** People at the console of a broker that keeps policy and audit trail in its store, with a key that can be rotated. */
export async function startConsoleWorld(more: PeopleOptions = {}): Promise<ConsoleWorld> {
  const google = await startGoogleStandIn()
  const world = await startPeopleWorld({
    storesPolicy: true,
    policy: ({ issuer }) => ({
      upstreams: [{ name: 'dev', issuer, discovery: true, client_auth: 'client_secret_basic' }],
      rules: [
        {
          name: 'billing reads reports',
          callers: [{ issuer: 'billing', subject: 'billing' }],
          credential: 'reports-sa',
          scopes: [reportScope],
        },
        {
          name: 'billing reads notes',
          callers: [{ issuer: 'billing', subject: 'billing' }],
          credential: 'notes',
          scopes: ['notes.read'],
        },
      ],
    }),
    ...more,
    settings: (where) => ({
      DOWNSCOPE_SIGN_IN_SCOPES: 'openid email profile groups',
      DOWNSCOPE_AUDIT: 'stdout+store',
      ...google.endpoints,
      ...more.settings?.(where),
    }),
  })
  const email = 'reports@acme.iam.gserviceaccount.com'
  const key = await google.createServiceAccount({ email })
  google.allowKeyAdministration(email, email)
  await world.admin('POST credentials', { name: 'reports-sa', secret: key })
  const client = { type: 'oauth_client', client_id: 'downscope-connect', client_secret: 'development-only' }
  await world.admin('POST credentials', { name: 'dev-client', upstream: 'dev', secret: client })
  return {
    ...world,
    google,
    close: async () => {
      await world.close()
      await google.close()
    },
  }
}
