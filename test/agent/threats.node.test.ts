import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { childEnvironment } from '../../src/agent/agent.ts'
import { createIsOwnPeer, tableForms } from '../../src/agent/peer-user.ts'
import { jwtFromCommand, jwtFromFile, jwtFromPlatform } from '../../src/agent/proofs.ts'
import { createPerson } from '../../src/cli/terminal.ts'
import { sendRaw, startTestAgent, tokenPath } from '../support/agent-under-test.ts'
import { serveOnLoopback } from '../support/clients/loopback-server.ts'
import { looksLikeJwt, refusal, startFakeBroker, token, type FakeBroker } from '../support/fake-broker.ts'
import { runCli } from '../support/run-cli.ts'

let broker: FakeBroker
let folder = ''
let plain: FakeBroker['answerWith']
const at = (name: string): string => join(folder, name)

beforeAll(async () => {
  broker = await startFakeBroker()
  plain = broker.answerWith
  folder = mkdtempSync(join(tmpdir(), 'downscope-agent-'))
  writeFileSync(at('caller.jwk.json'), JSON.stringify(createPerson('billing').privateJwk), { mode: 0o600 })
  return async () => {
    await broker.close()
    rmSync(folder, { recursive: true })
  }
})

beforeEach(() => {
  broker.answerWith = plain
  broker.issuer = broker.url
  broker.isActive = true
})

describe('T28: a JWT is made out to the broker that was named', () => {
  test('and to its issuer where that was named, whatever the metadata says', async () => {
    const audiences: string[] = []
    const proof = (audience: string): string => {
      audiences.push(audience)
      return looksLikeJwt()
    }
    const agents = [
      await startTestAgent(broker.url, { proof }),
      await startTestAgent(broker.url, { proof, brokerIssuer: 'https://tokens.example' }),
    ]
    for (const agent of agents) {
      expect((await agent.ask(tokenPath)).status).toBe(200)
      agent.close()
    }
    expect(audiences).toEqual([broker.url, 'https://tokens.example'])
  })

  test('an agent whose broker calls itself by another name asks for no JWT and sends none', async () => {
    broker.issuer = 'https://evil.example'
    const before = broker.asked.length
    let proofs = 0
    const agent = await startTestAgent(broker.url, {
      proof: () => {
        proofs += 1
        return looksLikeJwt()
      },
    })
    const response = await agent.ask(tokenPath)
    agent.close()

    expect(response.status).toBe(403)
    expect(await response.text()).toContain('calls itself https://evil.example')
    expect([proofs, broker.asked.length - before]).toEqual([0, 0])
    expect(agent.log()).toContain('Check --broker and --broker-issuer')
  })

  test('downscope jwt signs for nobody else either', async () => {
    const args = ['jwt', '--broker', broker.url, '--key', at('caller.jwk.json')]
    const good = await runCli(args)
    expect([good.status, claims(good.stdout)['aud']]).toEqual([0, broker.url])

    broker.issuer = 'https://evil.example'
    const bad = await runCli(args)
    expect(bad).toMatchObject({ status: 2, stdout: '' })
    expect(bad.stderr).toContain('calls itself https://evil.example')
    const named = await runCli([...args, '--broker-issuer', 'https://evil.example'])
    expect(claims(named.stdout)['aud']).toBe('https://evil.example')
  })

  test.each(['http://tokens.example', 'ftp://127.0.0.1', 'tokens.example', 'https://user@tokens.example'])(
    'the broker is reached by https, or on this machine: %s',
    async (url) => {
      const { status, stderr } = await runCli(['jwt', '--broker', url, '--key', at('caller.jwk.json')])
      expect(status).toBe(2)
      expect(stderr).toMatch(/^error: /)
    },
  )

  test('a redirect is not followed', async () => {
    const elsewhere = await startFakeBroker()
    broker.answerWith = () => ({
      status: 307,
      document: {},
      headers: { location: `${elsewhere.url}/v1/token` },
    })
    const agent = await startTestAgent(broker.url)
    const response = await agent.ask(tokenPath)
    agent.close()
    await elsewhere.close()

    expect(response.status).toBe(503)
    expect(elsewhere.asked).toHaveLength(0)
  })

  test('GitLab’s token counts only with the broker as its audience', async () => {
    const env = (aud: unknown) => ({ DOWNSCOPE_ID_TOKEN: looksLikeJwt({ aud }) })
    for (const aud of ['https://a.example', ['https://a.example']])
      expect(await jwtFromPlatform('gitlab', env(aud))('https://a.example')).toMatch(/^ey/)
    for (const aud of ['https://b.example', ['https://a.example', 'https://b.example'], undefined])
      await expect(jwtFromPlatform('gitlab', env(aud))('https://a.example')).rejects.toThrow(
        'another audience',
      )
  })
})

describe('T29: loopback is shared', () => {
  const isRoot = process.getuid?.() === 0

  test.skipIf(!isRoot || !existsSync('/usr/bin/curl') || process.platform !== 'linux')(
    'another user of this machine is refused, unless --any-user',
    async () => {
      const closed = await startTestAgent(broker.url)
      const open = await startTestAgent(broker.url, { anyUser: true })
      const askAs = async (uid: number, url: string): Promise<string> => {
        const args = ['-s', '-H', 'Metadata-Flavor: Google', '-w', ' %{http_code}', `${url}${tokenPath}`]
        const child = spawn('/usr/bin/curl', args, { uid, cwd: '/', env: {} })
        return text(child.stdout)
      }
      try {
        expect(await askAs(65_534, closed.url)).toMatch(/--any-user\n 403$/)
        expect(await askAs(0, closed.url)).toMatch(/access_token.* 200$/)
        expect(await askAs(65_534, open.url)).toMatch(/access_token.* 200$/)
      } finally {
        closed.close()
        open.close()
      }
    },
  )

  test('an address is written as the kernel writes it, for sockets of one protocol and of both', () => {
    expect(tableForms('127.0.0.1', 8970)).toEqual(['0100007F:230A', '0000000000000000FFFF00000100007F:230A'])
    expect(tableForms('::1', 80)).toEqual(['00000000000000000000000001000000:0050'])
    expect(tableForms('::ffff:10.1.2.3', 1)[0]).toBe('0302010A:0001')
  })

  test('a connection that is in no table is not our own, and elsewhere nobody can say', async () => {
    const stray = { remoteAddress: '127.0.0.1', remotePort: 1, localAddress: '127.0.0.1', localPort: 2 }
    expect(await createIsOwnPeer('linux', 0)(stray as never)).toBe(false)
    expect(await createIsOwnPeer('darwin', 0)(stray as never)).toBeUndefined()
  })

  test('beyond loopback it listens only with --allow-remote and a name', async () => {
    const args = ['agent', '--broker', broker.url, '--account', 'default=reports', '--jwt-file', at('x')]
    const remote = [...args, '--host', '0.0.0.0', '--port', '0']
    expect((await runCli(remote)).stderr).toContain('--allow-remote')
    expect((await runCli([...remote, '--allow-remote'])).stderr).toContain('--allow-host')
    // With both the place is taken, and what comes next is refused: tests listen on loopback only.
    const named = ['--allow-remote', '--allow-host', 'agent.internal', '--recheck', '0']
    const { stderr } = await runCli([...remote, ...named])
    expect(stderr).toContain('--recheck')
    expect(stderr).not.toContain('--allow')
  })

  test('and takes the names that were given, and no other', async () => {
    const agent = await startTestAgent(broker.url, {
      allowedHosts: ['agent.internal'],
      anyUser: true,
    })
    const ask = (host: string): Promise<string> =>
      sendRaw(
        agent.port,
        `GET ${tokenPath} HTTP/1.1\r\nHost: ${host}\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\r\n`,
      )
    expect(await ask(`agent.internal:${agent.port}`)).toContain('access_token')
    expect(await ask(`evil.example:${agent.port}`)).toContain('403')
    agent.close()
  })
})

describe('T30: the Unix socket', () => {
  const serve = (path: string) => startTestAgent(broker.url, { port: undefined, socket: path })

  test('is its owner’s alone from the first moment, and asks for the same headers', async () => {
    mkdirSync(at('own'), { mode: 0o700 })
    const path = at('own/agent.sock')
    const agent = await serve(path)
    const ask = (headers: Readonly<Record<string, string>>): Promise<number> =>
      new Promise((resolve) => {
        request({ socketPath: path, path: tokenPath, headers }, (response) => {
          response.resume()
          resolve(response.statusCode ?? 0)
        }).end()
      })
    expect(agent.places).toEqual([`unix:${path}`])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(await ask({ host: 'localhost', 'metadata-flavor': 'Google' })).toBe(200)
    expect(await ask({ host: 'localhost' })).toBe(403)
    expect(await ask({ host: 'evil.example', 'metadata-flavor': 'Google' })).toBe(403)

    await expect(serve(path)).rejects.toThrow('is in use: does an agent run already?')
    agent.close()
  })

  test('takes the place of a stale socket of ours, and of nothing else', async () => {
    mkdirSync(at('stale'), { mode: 0o700 })
    const path = at('stale/agent.sock')
    const dead = spawnSync(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ])
    expect([dead.signal, existsSync(path)]).toEqual(['SIGKILL', true])
    const agent = await serve(path)
    agent.close()

    writeFileSync(at('stale/notes'), 'keep me')
    await expect(serve(at('stale/notes'))).rejects.toThrow('no socket of ours')
    expect(existsSync(at('stale/notes'))).toBe(true)
  })

  test('is not made where others may write', async () => {
    mkdirSync(at('shared'))
    chmodSync(at('shared'), 0o777)
    await expect(serve(at('shared/agent.sock'))).rejects.toThrow('others may write')
    await expect(serve(at('missing/agent.sock'))).rejects.toThrow('is no folder')
  })
})

describe('T31: what proves the workload', () => {
  test('--jwt-command is run without a shell, and nothing of what it prints is told', async () => {
    const program = at('print.mjs')
    writeFileSync(
      program,
      `console.error('SECRET-ERR'); console.log(process.argv[2] ?? 'SECRET-OUT'); process.exit(process.argv[3] ? 3 : 0)`,
    )
    const command = `${process.execPath} ${program}`
    expect(await jwtFromCommand(`${command} $(id);x`, {})('a')).toBe('$(id);x')
    const failure = await failureOf(jwtFromCommand(`${command} SECRET-OUT fail`, {})('a'))
    expect(failure).toContain('it ended with status 3')
    expect(failure).not.toContain('SECRET')

    const agent = await startTestAgent(broker.url, { proof: jwtFromCommand(command, {}) })
    const response = await agent.ask(tokenPath)
    agent.close()
    expect(response.status).toBe(503)
    expect(agent.log() + (await response.text())).not.toContain('SECRET')
  })

  test('--jwt-command is bounded: 16 KiB, and at most once a second', async () => {
    const program = at('much.mjs')
    writeFileSync(program, `process.stdout.write('x'.repeat(Number(process.argv[2])))`)
    const command = `${process.execPath} ${program}`
    expect(await failureOf(jwtFromCommand(`${command} 20000`, {})('a'))).toContain('more than 16 KiB')

    const proof = jwtFromCommand(`${command} 5`, {})
    const startedMs = performance.now()
    await Promise.all([proof('a'), proof('a'), proof('a')])
    expect(performance.now() - startedMs).toBeGreaterThan(1_990)
  })

  test('a JWT file is read anew, and what is half of one is not sent', async () => {
    const file = at('workload.jwt')
    writeFileSync(file, looksLikeJwt({ sub: 'first' }))
    const proof = jwtFromFile(file)
    expect(claims(await proof('a'))['sub']).toBe('first')
    writeFileSync(file, `${looksLikeJwt({ sub: 'second' })}\n`)
    expect(claims(await proof('a'))['sub']).toBe('second')

    writeFileSync(file, looksLikeJwt().slice(0, 20))
    expect(await failureOf(proof('a'))).toContain('written only half?')
    writeFileSync(file, 'x'.repeat(20_000))
    expect(await failureOf(proof('a'))).toContain('larger than a JWT may be')
    expect(await failureOf(jwtFromFile(at('nowhere'))('a'))).toContain('ENOENT')
  })

  test('exec hides it from the command', () => {
    const env = childEnvironment(
      {
        PATH: '/bin',
        DOWNSCOPE_ADMIN_KEY: 'x',
        DOWNSCOPE_ID_TOKEN: 'x',
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'x',
        ACTIONS_ID_TOKEN_REQUEST_URL: 'x',
        GOOGLE_APPLICATION_CREDENTIALS: 'x',
      },
      { authority: '127.0.0.1:1234', projectId: 'acme' },
    )
    expect(env).toEqual({
      PATH: '/bin',
      GCE_METADATA_HOST: '127.0.0.1:1234',
      GCE_METADATA_IP: '127.0.0.1:1234',
      GCE_METADATA_ROOT: '127.0.0.1:1234',
      METADATA_SERVER_DETECTION: 'assume-present',
      GOOGLE_CLOUD_PROJECT: 'acme',
      NO_PROXY: '127.0.0.1',
      no_proxy: '127.0.0.1',
    })
  })

  test('GitHub’s token is asked for with the broker as its audience', async () => {
    const asked: string[] = []
    const site = await serveOnLoopback(
      createServer((incoming, response) => {
        asked.push(`${incoming.url} ${incoming.headers.authorization}`)
        response.end(JSON.stringify({ value: looksLikeJwt() }))
      }),
    )
    const env = {
      ACTIONS_ID_TOKEN_REQUEST_URL: `${site.url}/token?v=1`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'bearer',
    }
    expect(await jwtFromPlatform('github', env)('https://a.example')).toBe(looksLikeJwt())
    await site.close()
    expect(asked).toEqual(['/token?v=1&audience=https%3A%2F%2Fa.example Bearer bearer'])
    expect(await failureOf(jwtFromPlatform('github', {})('a'))).toContain('id-token: write')
    // The bearer token that GitHub gives with it travels by TLS alone.
    for (const url of ['http://actions.example/token', 'token', 'file:///token'])
      expect(
        await failureOf(jwtFromPlatform('github', { ...env, ACTIONS_ID_TOKEN_REQUEST_URL: url })('a')),
      ).toContain('is no https URL')
  })
})

describe('T32: what the agent holds', () => {
  test('it serves on while the broker is down', async () => {
    const own = await startFakeBroker()
    const agent = await startTestAgent(own.url, { recheckSeconds: 0 })
    const first = (await (await agent.ask(tokenPath)).json()) as object
    await own.close()

    for (const _ of [1, 2, 3])
      expect(await (await agent.ask(tokenPath)).json()).toMatchObject({
        ...first,
        expires_in: expect.any(Number) as unknown,
      })
    agent.close()
  })

  test.each([
    ['a refusal', () => refusal(400, 'invalid_target')],
    [
      'a stop, of which the broker says that the token is over',
      () => refusal(503, 'temporarily_unavailable'),
    ],
  ])('it stops serving after --recheck, at %s', async (_name, answer) => {
    const agent = await startTestAgent(broker.url, { recheckSeconds: 0 })
    expect((await agent.ask(tokenPath)).status).toBe(200)
    broker.answerWith = answer
    broker.isActive = false

    expect((await agent.ask(tokenPath)).status).not.toBe(200)
    agent.close()
  })

  test('and serves on where the broker cannot give a new one but says that this one holds', async () => {
    const agent = await startTestAgent(broker.url, { recheckSeconds: 0 })
    await agent.ask(tokenPath)
    broker.answerWith = () => refusal(503, 'temporarily_unavailable')

    expect((await agent.ask(tokenPath)).status).toBe(200)
    agent.close()
  })

  test('a JWT that was shown before and is refused now ends nothing: its issuer may take each once', async () => {
    const agent = await startTestAgent(broker.url, { recheckSeconds: 0 })
    await agent.ask(tokenPath)
    broker.answerWith = () => refusal(400, 'invalid_request')

    expect((await agent.ask(tokenPath)).status).toBe(200)
    agent.close()
  })

  test('before that nobody asks the broker', async () => {
    const agent = await startTestAgent(broker.url)
    broker.answerWith = () => token('kept')
    const before = broker.asked.length
    for (const _ of Array.from({ length: 20 })) await agent.ask(tokenPath)
    agent.close()
    expect(broker.asked.length - before).toBe(1)
  })
})

function claims(jwt: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
}

async function failureOf(work: string | Promise<string>): Promise<string> {
  try {
    return `no failure: ${await work}`
  } catch (error) {
    return String(error)
  }
}
