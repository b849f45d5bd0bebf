import { Ajv2020 } from 'ajv/dist/2020.js'
import { load } from 'js-yaml'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import {
  install,
  pack,
  residentMibMax,
  tryPackage,
  type Installed,
  type Tried,
} from '../../infra/try-package.ts'
import { billOfMaterials } from '../../infra/sbom.ts'
import { startWrangler } from '../../infra/wrangler.ts'
import { softwareVersion } from '../../src/domain/version.ts'
import { freePort } from '../support/free-port.ts'
import { jsonMembers } from '../support/json-members.ts'
import { listenOnLoopback } from '../support/listen.ts'
import { repository, runProgram } from '../support/run-node.ts'
import { until } from '../support/test-broker/until.ts'

/** What `npm pack` gives, in an empty folder of somebody who has Node and nothing else. */
let tarball = ''
let installed: Installed
let tried: Tried
const inPackage = (path: string) => join(installed.folder, 'node_modules/downscope', path)
const launcher = () => inPackage('infra/downscope.mjs')
const runHere = (args: readonly string[]) => runProgram(process.execPath, args, { cwd: installed.folder })

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'downscope-tarball-'))
  tarball = await pack(folder)
  installed = await install(tarball)
  tried = await tryPackage(installed, performance.now(), await freePort())
  return () => rmSync(folder, { recursive: true })
})
afterAll(() => installed.remove())

describe('the package', () => {
  test('is one small tarball without sources, tests or anything to install beside it', async () => {
    const { stdout } = await runProgram('tar', ['tzf', tarball], { cwd: tmpdir() })
    const files = stdout.trim().split('\n')
    const strange = files.filter(
      (file) =>
        !/^package\/(?:dist\/(?:types\/)?[\w./-]+\.(?:js|d\.ts|json|txt)|infra\/downscope\.mjs|node_modules\/jose\/.+|[\w-]+\.md|LICENSE|package\.json)$/.test(
          file,
        ),
    )

    expect(strange).toEqual([])
    expect(files.length).toBeGreaterThan(50)
    expect(statSync(tarball).size).toBeLessThan(2_500_000)
    expect(readFileSync(inPackage('dist/THIRD-PARTY-NOTICES.txt'), 'utf8')).toMatch(
      /^@google-cloud\/firestore /m,
    )
  })

  test('has jose alone as a dependency, and brings it along', () => {
    const { dependencies, bundleDependencies } = jsonMembers(readFileSync(inPackage('package.json'), 'utf8'))

    expect(Object.keys(z.record(z.string(), z.string()).parse(dependencies))).toEqual(['jose'])
    expect(bundleDependencies).toEqual(['jose'])
  })

  test('gives a first token in five commands, and an agent and a policy check', () => {
    expect(tried.commands).toHaveLength(5)
    expect(tried.printed['import']).toContain('reports-sa')
    expect(tried.printed['token']).toMatch(/^ya29\.\S+$/)
    expect(jsonMembers(tried.printed['agent'] ?? '')).toMatchObject({ token_type: 'Bearer' })
    expect(tried.printed['policy check']).toContain('policy.yaml')
  })

  test('needs no process above 150 MiB', () => {
    expect(Object.keys(tried.mib)).toEqual(['dev', 'broker', 'agent'])
    for (const mib of Object.values(tried.mib)) expect(mib).toBeLessThan(residentMibMax)
  })

  test('is a command wherever npm installs it', async () => {
    const shell = async (command: string) => (await installed.shell(command)).trim()

    expect(await shell('npx --offline downscope --version')).toBe(softwareVersion)
    await shell(`npm install --offline --silent --global --prefix "$PWD/global" ${tarball}`)
    expect(await shell('global/bin/downscope --version')).toBe(softwareVersion)
  })

  test('exports a broker for a server of yours, the client, and their types', async () => {
    const { folder } = installed
    writeFileSync(
      join(folder, 'use.ts'),
      `import { openBroker, type EmbeddedBroker } from 'downscope'
import { createTokenSource } from 'downscope/client'
import worker, { DocumentsObject } from 'downscope/worker'
const broker: EmbeddedBroker = openBroker({
  DOWNSCOPE_ISSUER: 'https://tokens.acme.example', DOWNSCOPE_STORE: 'memory:',
  DOWNSCOPE_KEYS: 'k1:${'A'.repeat(43)}=', DOWNSCOPE_POLICY_YAML: '{"version":1,"issuers":[],"rules":[],"admins":[]}',
})
const answer = await broker.fetch(new Request('https://tokens.acme.example/readyz'))
await broker.close()
const proof = { key: { kty: 'EC', crv: 'P-256' }, caller: 'me' }
createTokenSource({ url: 'https://a.example', credential: 'x', proof })
console.log(answer.status)
export const deployed = [worker.fetch, DocumentsObject]
`,
    )
    const tsc = join(repository, 'node_modules/typescript/bin/tsc')
    const types = join(repository, 'node_modules/@types')
    const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2024', '--types', 'node']
    // By the whole path: that of the repository, not of the folder.
    const compiled = await runHere([tsc, ...options, '--typeRoots', types, 'use.ts'])
    const source = readFileSync(join(folder, 'use.ts'), 'utf8').replaceAll(
      /^import worker.*\n|^export.*\n/gm,
      '',
    )
    writeFileSync(join(folder, 'run.ts'), source)

    expect(compiled).toEqual({ status: 0, stdout: '', stderr: '' })
    expect((await runHere(['run.ts'])).stdout).toMatch(/^200$/m)
  })

  test('brings a Worker that serves in workerd', async () => {
    const { folder } = installed
    const [port, inspector] = [await freePort(), await freePort()]
    const config = readFileSync(join(repository, 'wrangler.toml'), 'utf8')
    writeFileSync(join(folder, 'wrangler.toml'), config.replace('src/workers.ts', 'worker.js'))
    writeFileSync(join(folder, 'worker.js'), "export { default, DocumentsObject } from 'downscope/worker'\n")
    writeFileSync(
      join(folder, '.dev.vars'),
      `DOWNSCOPE_ISSUER=https://tokens.acme.example
DOWNSCOPE_KEYS=k1:${'A'.repeat(43)}=
DOWNSCOPE_POLICY_YAML={"version":1,"issuers":[],"rules":[],"admins":[]}
`,
    )
    const options = `--config ${folder}/wrangler.toml --persist-to ${folder}/state --ip 127.0.0.1 --port ${port} --inspector-port ${inspector}`
    const worker = startWrangler(
      ['dev', '--show-interactive-dev-session=false', ...options.split(' ')],
      'ignore',
    )
    onTestFinished(async () => {
      const ended = new Promise((resolve) => void worker.once('close', resolve))
      worker.kill('SIGTERM')
      await ended
    })
    const answer = await until('the Worker is ready', async () => {
      const found = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
      return found?.status === 200 ? found.json() : undefined
    })

    expect(answer).toMatchObject({ store: 'ok', policy: 'ok' })
  })

  test('has a bill of materials of what is bundled, and of no tool', () => {
    const { bomFormat, components } = jsonMembers(billOfMaterials())
    const names = z
      .array(z.object({ name: z.string() }))
      .parse(components)
      .map(({ name }) => name)

    expect(bomFormat).toBe('CycloneDX')
    for (const name of ['jose', 'hono', '@google-cloud/firestore', 'oidc-provider'])
      expect(names).toContain(name)
    for (const name of ['vitest', 'typescript', 'esbuild', 'wrangler']) expect(names).not.toContain(name)
  })

  test('brings the schema of a policy, which finds a misspelt key, and the description of the API', () => {
    const read = (name: string) => jsonMembers(readFileSync(inPackage(`dist/${name}`), 'utf8'))
    const validate = new Ajv2020({ strict: false }).compile(read('schema.json'))
    const policy = readFileSync(join(installed.folder, '.downscope/dev/policy.yaml'), 'utf8')

    validate(load(policy))
    expect(validate.errors).toBe(null)
    expect(validate(load(policy.replace('credential:', 'credentials:')))).toBe(false)
    expect(validate(load('{version: 1, issuers: [], upstreams: [{name: chat, preset: slack}]}'))).toBe(true)
    expect(read('openapi.json')['openapi']).toMatch(/^3\./)
  })
})

describe('bad surroundings', () => {
  test('an older Node is told the command that brings a newer one', async () => {
    const old = join(installed.folder, 'old.mjs')
    writeFileSync(old, "Object.defineProperty(process.versions, 'node', { value: '22.14.0' })\n")

    expect(await runHere(['--import', old, launcher(), 'token', "it's"])).toEqual({
      status: 2,
      stdout: '',
      stderr:
        `downscope: Node 22.15 or newer is needed, and this is ${process.version}. ` +
        `Run: npx -p node@24 node ${launcher()} token 'it'\\''s'\n`,
    })
  })

  // Cut at the end of a statement, what is left would be a program.
  const withinLastFunction = () => readFileSync(inPackage('dist/cli.js')).lastIndexOf('function') + 8

  test.each([
    ['missing', () => rmSync(inPackage('dist/cli.js'))],
    ['cut off', () => truncateSync(inPackage('dist/cli.js'), withinLastFunction())],
  ])('an installation of which a file is %s is named in one line', async (_, damage) => {
    const whole = readFileSync(inPackage('dist/cli.js'))
    onTestFinished(() => writeFileSync(inPackage('dist/cli.js'), whole))
    damage()

    expect(await runHere([launcher(), '--version'])).toEqual({
      status: 2,
      stdout: '',
      stderr: 'downscope: this installation is not complete. Install the package again\n',
    })
  })

  test('a folder that cannot be written to is named, and nothing is left there', async () => {
    const blocked = join(installed.folder, 'blocked')
    writeFileSync(blocked, '')
    chmodSync(blocked, 0o400)

    const { status, stdout, stderr } = await runHere([launcher(), 'dev', '--folder', join(blocked, 'dev')])

    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(/^error: nothing can be written to \S+: .+\n {2}downscope dev --folder \S+\n$/)
    expect(readFileSync(blocked, 'utf8')).toBe('')
  })

  test('a key of which half was written when the space ended is named, and does not stay', async () => {
    const limited = 'ulimit -f 1; exec "$0" "$@"'
    const command = [process.execPath, launcher(), 'keys', 'generate', 'signing', 'signing.json']
    // A key for RS256 is longer than the 1,024 octets that a file may have there.
    const { status, stdout, stderr } = await runProgram(
      'bash',
      ['-c', limited, ...command, '--alg', 'RS256'],
      { cwd: installed.folder },
    )

    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(/^error: signing\.json cannot be written: no space is left\n {2}A key .+\n$/)
    expect(existsSync(join(installed.folder, 'signing.json'))).toBe(false)
  })

  test('without a network, what cannot be reached is named in one line, with what to do below it', async () => {
    const gone = createServer()
    const port = await listenOnLoopback(gone)
    await new Promise((resolve) => gone.close(resolve))
    const url = `http://127.0.0.1:${port}`
    const key = join(installed.folder, '.downscope/dev/my-service.jwk.json')
    const asked = await runHere([launcher(), 'token', 'reports-sa', '--key', key, '--url', url])

    expect(asked).toMatchObject({ status: 3, stdout: '' })
    expect(asked.stderr).toMatch(
      new RegExp(`^error: no broker answers at ${url}: the connection is refused\n(?: {2}\\S.*\n)+$`),
    )
  })

  test('a port that is taken is named, and no file of a broker is made', async () => {
    const squatter = createServer()
    const port = await listenOnLoopback(squatter)
    onTestFinished(() => void squatter.close())
    const folder = join(installed.folder, 'second')

    expect(await runHere([launcher(), 'dev', '--folder', folder, '--port', String(port)])).toMatchObject({
      status: 1,
      stderr: `error: port ${port} is taken\n`,
    })
    expect(existsSync(join(folder, 'policy.yaml'))).toBe(false)
  })
})
