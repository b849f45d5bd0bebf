import { createServer, type Server } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runCli } from '../support/run-cli.ts'
import { listenOnLoopback } from '../support/listen.ts'

const apiKeyType = 'urn:downscope:params:oauth:token-type:api_key'
const jwt = `${['{"alg":"ES256"}', '{"iss":"billing"}'].map((part) => Buffer.from(part).toString('base64url')).join('.')}.AAAA`

let server: Server
let url: string
let asked: URLSearchParams | undefined

/** A broker that knows one API key, and gives it to who asks for one. */
beforeEach(async () => {
  asked = undefined
  server = createServer((request, response) => {
    void text(request).then((body) => {
      asked = new URLSearchParams(body)
      const isKey = request.url === '/v1/token' && asked.get('requested_token_type') === apiKeyType
      response.writeHead(isKey ? 200 : 400, { 'content-type': 'application/json' })
      response.end(
        JSON.stringify(
          isKey
            ? { access_token: 'AIza-key', issued_token_type: apiKeyType, token_type: 'N_A', expires_in: 3600 }
            : { error: 'invalid_target' },
        ),
      )
    })
  })
  url = `http://127.0.0.1:${await listenOnLoopback(server)}`
})
afterEach(() => new Promise((resolve) => server.close(resolve)))

const ask = (...more: readonly string[]) =>
  runCli(['token', 'maps', '--jwt', '-', ...more], { env: { DOWNSCOPE_URL: url }, stdin: jwt })

test('an API key is asked for as what it is, and stands in its own header', async () => {
  expect(await ask('--api-key')).toMatchObject({ status: 0, stdout: 'AIza-key\n' })
  expect(asked?.get('audience')).toBe('maps')
  expect(await ask('--api-key', '--header')).toMatchObject({
    status: 0,
    stdout: 'X-Goog-Api-Key: AIza-key\n',
  })
})

test('it is not what comes without being asked for, and not an ID token at once', async () => {
  expect((await ask()).status).not.toBe(0)
  asked = undefined
  expect(await ask('--api-key', '--id-token')).toMatchObject({ status: 2, stdout: '' })
  expect(asked).toBeUndefined()
})
