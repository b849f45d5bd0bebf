import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { createClientWorld, reading, type ClientWorld } from '../support/clients/client-world.ts'
import { jsonObject, textOf } from '../support/test-broker/json.ts'

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern)

const run = promisify(execFile)
const curl = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'curl'))
  .find((file) => existsSync(file))
const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange'
const jwtType = 'urn:ietf:params:oauth:token-type:jwt'

describe.skipIf(curl === undefined)('curl (skipped where it is not installed)', () => {
  let world: ClientWorld

  beforeAll(async () => {
    world = await createClientWorld()
    return () => world.close()
  }, 60_000)

  test('gets a token with the subject token from a file, newline and all', async () => {
    const file = world.write('workload.jwt', await world.subjectToken())
    const heard = world.proxy.listen()
    const answer = await ask(['--fail', '--data-urlencode', `subject_token@${file}`], 'reports')

    expect(world.carried(textOf(answer, 'access_token')).scopes).toEqual([reading])
    expect(answer).toMatchObject({ token_type: 'Bearer', scope: reading })
    expect(heard()[0]?.form.get('subject_token')).toMatch(/\n$/)
  })

  test('P12: shows the error and its description', async () => {
    const file = world.write('workload.jwt', await world.subjectToken())
    const answer = await ask(['--data-urlencode', `subject_token@${file}`], 'nothing')

    expect(answer).toEqual({
      error: 'invalid_target',
      error_description: matching(/^the audience is not available to this caller; request id [0-9a-f-]{36}$/),
    })
  })

  async function ask(proof: readonly string[], audience: string) {
    const form = { grant_type: grantType, subject_token_type: jwtType, audience, scope: reading }
    const data = Object.entries(form).flatMap(([name, value]) => ['--data-urlencode', `${name}=${value}`])
    // `-q` comes first: the settings of whoever runs this stay out of it.
    const options = ['-q', '--silent', '--show-error', '--noproxy', '*', '--max-time', '20']
    const { stdout } = await run(curl ?? 'curl', [...options, ...proof, ...data, `${world.url}/v1/token`])
    return jsonObject(stdout) ?? {}
  }
})
