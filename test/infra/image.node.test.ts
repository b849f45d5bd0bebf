import { load } from 'js-yaml'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { freePort } from '../support/free-port.ts'
import { jsonMembers } from '../support/json-members.ts'
import { plainEnvironment, repository, runProgram } from '../support/run-node.ts'
import { until } from '../support/test-broker/until.ts'

/**
 * There is no container engine where tests run: each step of the Dockerfile and each service of infra/compose.yaml is run as a
 * plain process, from the same files, as the same user, and in a folder that it cannot write to.
 */
const read = (path: string) => readFileSync(join(repository, path), 'utf8')
const dockerfile = read('infra/cloud-run/Dockerfile')
const [, buildStage = '', runtime = ''] = dockerfile.split(/^FROM /m)
const text = z.string()
const compose = z
  .object({
    services: z.record(
      text,
      z.object({
        image: text,
        command: z.array(text).optional(),
        environment: z.record(text, text).optional(),
        read_only: z.literal(true),
        cap_drop: z.tuple([z.literal('ALL')]),
        security_opt: z.tuple([z.literal('no-new-privileges:true')]),
        healthcheck: z.object({ test: z.array(text) }).optional(),
      }),
    ),
  })
  .parse(load(read('infra/compose.yaml')))

describe('the Dockerfile', () => {
  test('names its base images by digest, and the stand-in runs in the same one', () => {
    const images = [...dockerfile.matchAll(/^ARG \w+_IMAGE=(.+)$/gm)].map(([, image]) => image)

    expect(images).toHaveLength(2)
    for (const image of images) expect(image).toMatch(/^[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}$/)
    expect(dockerfile.match(/^FROM \S+/gm)).toEqual(['FROM ${BUILD_IMAGE}', 'FROM ${RUNTIME_IMAGE}'])
    expect(compose.services['google']?.image).toBe(images[0])
  })

  test('is built by a builder that is named by digest', () => {
    const builders = [...read('infra/cloud-run/cloudbuild.yaml').matchAll(/^ +- name: (.+)$/gm)]

    expect(builders.map(([, builder]) => builder)).toEqual([
      expect.stringMatching(/^gcr\.io\/cloud-builders\/docker@sha256:[0-9a-f]{64}$/),
    ])
  })

  test('runs without root, shell or anything that it may change', () => {
    expect(runtime).toMatch(/^USER 65532:65532$/m)
    expect(runtime).toMatch(/^COPY --from=build --chown=0:0 /m)
    expect(runtime).not.toMatch(/^(?:RUN|SHELL|ADD|VOLUME)\b/m)
    for (const instruction of ['ENTRYPOINT', 'CMD', '  CMD']) {
      const [, list = ''] = new RegExp(`^${instruction} (.+)$`, 'm').exec(runtime) ?? []
      expect(z.array(text).parse(JSON.parse(list)).length).toBeGreaterThan(0)
    }
  })

  test('installs what the lockfile names, as no root, and fetches nothing else', () => {
    expect(buildStage.match(/^RUN .+$/gm)).toEqual([
      'RUN chown 1000:1000 .',
      'RUN npm ci --no-audit --no-fund',
      'RUN node infra/build.ts --image',
    ])
    expect(buildStage.indexOf('USER 1000:1000')).toBeLessThan(buildStage.indexOf('RUN npm ci'))
    expect(dockerfile).not.toMatch(/curl|wget|apt-get|^ADD|sudo/m)
  })
})

describe('what is sent to a build', () => {
  const rules = (path: string) => read(path).split('\n').slice(1).join('\n')

  test('is the same for Docker and Cloud Build', () => {
    expect(rules('.gcloudignore')).toBe(rules('.dockerignore'))
  })

  test('is the sources, and no key that lies beside or among them', () => {
    const folder = mkdtempSync(join(tmpdir(), 'downscope-context-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const keys = [
      'admin.jwk.json',
      'reports-key.json',
      'downscope-keys.txt',
      '.env',
      '.dev.vars',
      'policy.yaml',
    ]
    const hidden = [
      ...keys,
      '.downscope/dev/keys.txt',
      '.git/config',
      'node_modules/a/b.js',
      'dist/cli.js',
      'test/a.ts',
    ]
    const inSources = ['src/admin.jwk.json', 'infra/reports-key.json', 'src/cli/.env', 'infra/.dev.vars']
    const sent = ['package.json', 'package-lock.json', 'tsconfig.json', 'src/cli/main.ts', 'infra/build.ts']
    for (const name of [...hidden, ...inSources, ...sent]) {
      mkdirSync(join(folder, dirname(name)), { recursive: true })
      writeFileSync(join(folder, name), '')
    }
    expect(contextOf(folder, folder)).toEqual(sent.toSorted())
  })

  test('no key is committed either', () => {
    for (const name of [
      'admin.jwk.json',
      'reports-key.json',
      'downscope-keys.txt',
      '.downscope/dev/keys.txt',
    ])
      expect(spawnSync('git', ['check-ignore', '-q', name], { cwd: repository }).status).toBe(0)
  })
})

describe('the image as plain processes', () => {
  let folder = ''
  const app = () => join(folder, 'app')

  // The COPY and RUN instructions of the Dockerfile; its `npm ci` is that of the repository.
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'downscope-image-'))
    chmodSync(folder, 0o755)
    const build = join(folder, 'build')
    for (const name of contextOf(repository, folder)) {
      mkdirSync(join(build, dirname(name)), { recursive: true })
      cpSync(join(repository, name), join(build, name))
    }
    symlinkSync(join(repository, 'node_modules'), join(build, 'node_modules'))
    expect(await runProgram('node', ['infra/build.ts', '--image'], { cwd: build })).toMatchObject({
      status: 0,
    })
    mkdirSync(app())
    cpSync(join(build, 'dist'), join(app(), 'dist'), { recursive: true })
    for (const name of ['dist', '.']) chmodSync(join(app(), name), 0o555)
    return () => {
      for (const name of ['dist', '.']) chmodSync(join(app(), name), 0o755)
      rmSync(folder, { recursive: true, force: true })
    }
  }, 150_000)

  test('infra/compose.yaml gives an agent a token', async () => {
    const files = join(folder, 'files')
    const made = await runProgram('node', ['infra/compose/main.ts', 'files', files], { cwd: repository })
    expect(made).toMatchObject({ status: 0, stderr: '' })
    // What is mounted is there for the containers' user; the folder itself is for its owner, who is not theirs.
    expect(readdirSync(files).toSorted()).toEqual([
      'admin.jwk.json',
      'broker.env',
      'keys.txt',
      'my-service.jwk.json',
      'policy.yaml',
    ])
    chmodSync(files, 0o711)
    const ports = new Map([
      ['8080', String(await freePort())],
      ['8090', String(await freePort())],
      ['8970', String(await freePort())],
    ])
    const here = (word: string) =>
      [...ports]
        .reduce(
          (all, [port, other]) =>
            all.replaceAll(`:${port}`, `:${other}`).replace(new RegExp(`^${port}$`), other),
          word,
        )
        .replace('/etc/downscope/', `${files}/`)
        .replace('/run/secrets/caller', `${files}/my-service.jwk.json`)
        .replace('/run/secrets/admin', `${files}/admin.jwk.json`)
    const broker = ports.get('8080') ?? ''
    const service = (name: string) => {
      const { command = jsonList(/^CMD (.+)$/m), environment = {} } = compose.services[name] ?? {}
      const env = Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, here(value)]))
      const [, key = '', value = ''] =
        /^(\w+)=(.+)$/m.exec(readFileSync(join(files, 'broker.env'), 'utf8')) ?? []
      const words = command.map(here)
      if (name === 'agent') words.push(`--port=${ports.get('8970')}`)
      return start(
        name === 'google'
          ? { words: words.slice(1), cwd: repository, env: {} }
          : {
              words,
              cwd: app(),
              env: {
                ...env,
                NODE_ENV: 'production',
                PORT: broker,
                DOWNSCOPE_HOST: '127.0.0.1',
                [key]: value,
              },
            },
      )
    }
    const health = (command: readonly string[], port: string) =>
      start({ words: command.map(here).slice(1), cwd: app(), env: { PORT: port } }).ended

    const brokerProcess = service('broker')
    expect(await health(jsonList(/^ {2}CMD (.+)$/m), '1')).toBe(1)
    await until(
      'the broker is healthy',
      async () => (await health(jsonList(/^ {2}CMD (.+)$/m), broker)) === 0,
    )
    const google = service('google')
    await until('reports-sa is enrolled', () => google.output().includes('reports-sa is enrolled'))
    const agent = service('agent')
    const probe = (compose.services['agent']?.healthcheck?.test ?? []).slice(1)
    await until('the agent is healthy', async () => (await health(probe, '')) === 0)
    const answer = await fetch(
      `http://127.0.0.1:${ports.get('8970')}/computeMetadata/v1/instance/service-accounts/default/token`,
      { headers: { 'Metadata-Flavor': 'Google' } },
    )

    expect(jsonMembers(await answer.text())).toMatchObject({ token_type: 'Bearer' })
    for (const { child, ended } of [agent, google, brokerProcess]) {
      child.kill('SIGTERM')
      expect(await ended).toBe(0)
    }
    expect(existsSync(join(app(), 'node_modules'))).toBe(false)
  })
})

/** The files below `root` that a build is sent, by the lines of .gcloudignore, which Git reads as gcloud does. */
function contextOf(root: string, scratch: string): readonly string[] {
  const git = join(scratch, 'context.git')
  spawnSync('git', ['init', '--quiet', '--bare', git])
  const args = [
    '--git-dir',
    git,
    '--work-tree',
    root,
    'ls-files',
    '--others',
    '--exclude-from',
    join(repository, '.gcloudignore'),
  ]
  const { stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  rmSync(git, { recursive: true })
  return stdout
    .trim()
    .split('\n')
    .filter((name) => !name.startsWith('context.git'))
    .toSorted()
}

function jsonList(pattern: RegExp): readonly string[] {
  return z.array(text).parse(JSON.parse(pattern.exec(runtime)?.[1] ?? ''))
}

interface Program {
  readonly words: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

/** As the image's user where we may choose. */
function start({ words, cwd, env }: Program) {
  const user = process.getuid?.() === 0 ? { uid: 65_532, gid: 65_532 } : {}
  const child: ChildProcess = spawn(process.execPath, words, {
    cwd,
    env: { PATH: plainEnvironment()['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...user,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (more: string) => (output += more))
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', resolve)
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return { child, ended, output: () => output }
}
