import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { load, loadAll } from 'js-yaml'
import { runCli } from '../support/run-cli.ts'
import { createClientWorld, type ClientWorld } from '../support/clients/client-world.ts'
import { repository, runProgram } from '../support/run-node.ts'
import { until } from '../support/test-broker/until.ts'

const folder = join(repository, 'infra/recipes')
const names = readdirSync(folder)
const textOf = (name: string): string => readFileSync(join(folder, name), 'utf8')

/** Every list that begins with `agent` and every `downscope agent …` line, as the words after `downscope`. */
function agentWords(name: string): readonly (readonly string[])[] {
  if (name.endsWith('.service'))
    return [...textOf(name).matchAll(/^ExecStart=.* downscope (agent .*)$/gm)].map(([, words = '']) =>
      words.split(' '),
    )
  const found: string[][] = []
  const search = (value: unknown): void => {
    if (Array.isArray(value) && value[0] === 'agent') found.push(value.map(String))
    else if (typeof value === 'object' && value !== null)
      for (const member of Object.values(value)) search(member)
  }
  for (const document of loadAll(textOf(name))) search(document)
  return found
}

const withAgent = names.filter((name) => agentWords(name).length > 0)

describe('the recipes', () => {
  test('are there for each place', () => {
    expect(names).toEqual([
      'cloud-run-sidecar.yaml',
      'compose.yaml',
      'downscope-agent.service',
      'external-secrets.yaml',
      'gitlab-ci.yml',
      'helm-values.yaml',
      'kubernetes-sidecar.yaml',
    ])
    expect(withAgent).toHaveLength(5)
  })

  test.each(withAgent)('%s starts an agent with options that it takes', async (name) => {
    for (const words of agentWords(name)) {
      // Everything is in order but the last option, so the agent says that and does not start.
      const { status, stderr } = await runCli([...words, '--recheck', '0'])
      expect(stderr).toContain('--recheck is a whole number')
      expect(status).toBe(2)
      expect((await runCli([...words, '--no-such-option'])).stderr).toContain(
        "unknown option '--no-such-option'",
      )
    }
  })

  test.each(withAgent.filter((name) => !name.endsWith('.service')))(
    '%s sets the three variables that clients read',
    (name) => {
      const text = textOf(name)
      for (const variable of ['GCE_METADATA_HOST', 'GCE_METADATA_IP', 'GCE_METADATA_ROOT'])
        expect(text).toMatch(new RegExp(`${variable}[^\\n]*127\\.0\\.0\\.1:8970`))
    },
  )

  test('the broker of External Secrets has a name that the operator accepts', () => {
    const [config] = loadAll(textOf('external-secrets.yaml'))
    const { data } = config as { data: Record<string, string> }
    const file = JSON.parse(data['credential.json'] ?? '') as { token_url: string; token_info_url: string }
    // The operator's own rule, pkg/provider of its pull request 6273.
    expect(file.token_url).toMatch(/^https:\/\/sts\.[^/\s]+\/v1\/token$/)
    expect(file.token_info_url).toMatch(/^https:\/\/sts\.[^/\s]+\/v1\/introspect$/)
  })

  test.skipIf(!existsSync('/usr/bin/systemd-analyze'))('systemd finds no fault in the unit', () => {
    const { stderr, stdout } = spawnSync(
      'systemd-analyze',
      ['verify', join(folder, 'downscope-agent.service')],
      {
        encoding: 'utf8',
      },
    )
    expect(
      `${stdout}${stderr}`.split('\n').filter((line) => line.includes('downscope-agent.service')),
    ).toEqual([])
  })
})

describe('the recipe for GitLab CI', () => {
  let world: ClientWorld
  let job = ''

  beforeAll(async () => {
    world = await createClientWorld()
    job = mkdtempSync(join(tmpdir(), 'downscope-gitlab-'))
    // What npx and the job's own program are on the runner.
    writeFileSync(
      join(job, 'npx'),
      `#!/bin/sh\nshift\nexec '${process.execPath}' '${repository}/src/cli.ts' "$@"\n`,
    )
    writeFileSync(join(job, 'report.sh'), '#!/bin/sh\ncat "$CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"\n')
    for (const name of ['npx', 'report.sh']) chmodSync(join(job, name), 0o755)
    return async () => {
      rmSync(job, { recursive: true })
      await world.close()
    }
  }, 60_000)

  test('gets a token, gives it to the job, and revokes it, in at most ten lines', async () => {
    const text = textOf('gitlab-ci.yml')
    expect(
      text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length,
    ).toBeLessThanOrEqual(10)
    const { report } = load(text) as {
      report: Record<'before_script' | 'script' | 'after_script', string[]>
    }
    const env = {
      PATH: [job, dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
      BROKER: world.url,
      TOKEN_FILE: join(job, 'token'),
      DOWNSCOPE_ID_TOKEN: (await world.subjectToken()).trim(),
    }
    const run = async (lines: readonly string[]): Promise<string> => {
      const script = lines.join('\n').replaceAll('reports-sa', 'reports')
      const { status, stdout, stderr } = await runProgram('/bin/sh', ['-ec', script], { cwd: job, env })
      if (status !== 0) throw new Error(stderr)
      return stdout
    }
    await run(report.before_script)
    const token = (await run(report.script)).trim()
    expect(world.carried(token).scopes.length).toBeGreaterThan(0)
    await run(report.after_script)
    await until('the token is not active any more', async () => {
      const body = new URLSearchParams({ token })
      const response = await fetch(`${world.url}/v1/introspect`, { method: 'POST', body })
      return !((await response.json()) as { active: boolean }).active
    })
  }, 60_000)
})
