import { beforeAll, describe, expect, test } from 'vitest'
import { createClientWorld, mail, reading, type ClientWorld } from '../support/clients/client-world.ts'
import { externalAccount } from '../support/clients/external-account.ts'
import { findGooglePython } from '../support/clients/google-python.ts'
import { jsonObject, textOf, type JsonObject } from '../support/test-broker/json.ts'

const google = findGooglePython()
// Where gcloud is, its library is; a run that must be whole does not pass without it.
const mustRun = process.env['CI'] !== undefined && !google.found && google.gcloud
const title = google.found
  ? `google-auth ${google.version} for Python`
  : `google-auth for Python (skipped: ${google.why})`

const program = `
import json, sys, time
import google.auth
from google.auth import exceptions, identity_pool
from google.auth.transport.requests import Request

how, path, scope = sys.argv[1:]
if how == 'file':
    credentials = identity_pool.Credentials.from_file(path, scopes=[scope])
elif how == 'dict':
    with open(path) as file:
        credentials, _ = google.auth.load_credentials_from_dict(json.load(file), scopes=[scope])
else:
    credentials, _ = google.auth.default(scopes=[scope])
try:
    credentials.refresh(Request())
    print(json.dumps({
        'token': credentials.token,
        'valid': credentials.valid,
        'left': credentials.expiry.timestamp() - time.mktime(time.gmtime()),
    }))
except exceptions.GoogleAuthError as error:
    print(json.dumps({'error': type(error).__name__, 'text': str(error)}))
`

describe.skipIf(!google.found && !mustRun)(title, () => {
  let world: ClientWorld
  let tokenFile: string

  beforeAll(async () => {
    world = await createClientWorld()
    tokenFile = world.write('workload.jwt', await world.subjectToken())
    return () => world.close()
  }, 60_000)

  test.each(['file', 'dict', 'default'])(
    'P13: %s gets a token of the scope it asked for, and when it ends',
    async (how) => {
      const heard = world.proxy.listen()
      const answer = await refresh(how, 'reports', reading)

      expect(answer).toMatchObject({ valid: true })
      expect(world.carried(textOf(answer, 'token')).scopes).toEqual([reading])
      expect(Number(answer['left'])).toBeGreaterThan(300)
      expect(Number(answer['left'])).toBeLessThan(3_610)
      expect(heard().map(({ form }) => form.get('scope'))).toEqual([reading])
      expect(heard()[0]?.form.get('subject_token')).toMatch(/\n$/)
    },
  )

  test.each([
    ['P13: invalid_scope', 'reports', 'openid', 'Error code invalid_scope: the scope is malformed or more'],
    ['P12: invalid_target', 'nothing', mail, 'Error code invalid_target: the audience is not available'],
  ])('says %s when it is refused', async (_name, credential, scope, text) => {
    const answer = await refresh('file', credential, scope)

    expect(answer['error']).toBe('OAuthError')
    expect(answer['text']).toContain(text)
  })

  test.each(['198.51.100.1', 'sts.googleapis.com'])('cannot reach %s from here', async (host) => {
    if (!google.found) throw new Error(google.why)
    const program = `socket.create_connection(('${host}', 443), timeout=1)`

    await expect(google.run(program, { args: [] })).rejects.toThrow('a test may not leave this machine')
  })

  async function refresh(how: string, credential: string, scope: string): Promise<JsonObject> {
    if (!google.found) throw new Error(google.why)
    const account = externalAccount(world, credential, { file: tokenFile })
    const path = world.write(`${credential}-${how}.json`, JSON.stringify(account))
    const env = { GOOGLE_APPLICATION_CREDENTIALS: path, GOOGLE_CLOUD_PROJECT: 'acme' }
    return jsonObject(await google.run(program, { args: [how, path, scope], env })) ?? {}
  }
})
