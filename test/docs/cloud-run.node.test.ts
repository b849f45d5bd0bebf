import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { load } from 'js-yaml'
import { z } from 'zod'
import { parsePolicy } from '../../src/policy/parse-policy.ts'
import { readSettings } from '../../src/config.ts'
import { commandLines } from '../support/command-lines.ts'
import { blocks, brokerIssuer, readPage } from '../support/guides.ts'
import { repository } from '../support/run-node.ts'

const text = z.string()
const probe = z.object({ httpGet: z.object({ path: text }) }).loose()
const serviceYaml = z.object({
  metadata: z.object({ annotations: z.record(text, text) }),
  spec: z.object({
    template: z.object({
      metadata: z.object({ annotations: z.record(text, text) }),
      spec: z.object({
        serviceAccountName: text,
        containerConcurrency: z.number(),
        timeoutSeconds: z.number(),
        containers: z.tuple([
          z.object({
            image: text,
            resources: z.object({ limits: z.object({ cpu: text, memory: text }) }),
            env: z.array(
              z.object({
                name: text,
                value: text.optional(),
                valueFrom: z.object({ secretKeyRef: z.object({ name: text, key: text }) }).optional(),
              }),
            ),
            startupProbe: probe,
            livenessProbe: probe,
          }),
        ]),
      }),
    }),
  }),
})

describe('infra/cloud-run', () => {
  test('the policy to begin with is valid: an administrator, and the scheduler as an operator', async () => {
    const policy = await readFile(join(repository, 'infra/policy/first-policy.yaml'), 'utf8')
    const { admins } = parsePolicy({ text: policy, revision: '1', origin: 'infra' }, { brokerIssuer })

    expect(admins.map(({ role }) => role)).toEqual(['admin', 'operator'])
  })

  test('service.yaml is what the command of the guide deploys', async () => {
    const yaml = await readFile(join(repository, 'infra/cloud-run/service.yaml'), 'utf8')
    const { metadata, spec } = serviceYaml.parse(load(yaml))
    const { metadata: revision, spec: pod } = spec.template
    const [container] = pod.containers
    const variables = container.env.flatMap(({ name, value }) =>
      value === undefined ? [] : [`${name}=${value}`],
    )
    const secrets = container.env.flatMap(({ name, valueFrom }) => {
      const { name: secret, key } = valueFrom?.secretKeyRef ?? {}
      return secret === undefined ? [] : [`${name}=${secret}:${key}`]
    })
    const said = [
      metadata.annotations['run.googleapis.com/invoker-iam-disabled'] === 'true'
        ? '--no-invoker-iam-check'
        : '',
      revision.annotations['run.googleapis.com/cpu-throttling'] === 'false' ? '--no-cpu-throttling' : '',
      revision.annotations['run.googleapis.com/startup-cpu-boost'] === 'true' ? '--cpu-boost' : '',
      `--image=${container.image}`,
      `--service-account=${pod.serviceAccountName}`,
      `--min-instances=${revision.annotations['autoscaling.knative.dev/minScale']}`,
      `--max-instances=${revision.annotations['autoscaling.knative.dev/maxScale']}`,
      `--concurrency=${pod.containerConcurrency}`,
      `--timeout=${pod.timeoutSeconds}`,
      `--cpu=${container.resources.limits.cpu}`,
      `--memory=${container.resources.limits.memory}`,
      `--set-env-vars=${variables.join(',')}`,
      `--set-secrets=${secrets.join(',')}`,
      `--startup-probe=${probeFlag(container.startupProbe)}`,
      `--liveness-probe=${probeFlag(container.livenessProbe)}`,
    ]

    expect(said.map(plain).toSorted()).toEqual(deployFlags().map(plain).toSorted())
  })

  test('what it deploys is what the broker can start with, its policy in the store', () => {
    const variables = deployFlags().find((flag) => flag.startsWith('--set-env-vars=')) ?? ''
    const settings = variables
      .slice('--set-env-vars='.length)
      .replace('$ISSUER', brokerIssuer)
      .replace('$PROJECT', 'acme-tokens')
      .split(',')
      .map((pair): readonly [string, string] => {
        const [name = '', value = ''] = pair.split(/=(.*)/s)
        return [name, value]
      })

    expect(
      readSettings({ ...Object.fromEntries(settings), DOWNSCOPE_KEYS: `k1:${'A'.repeat(43)}=` }),
    ).toMatchObject({
      issuer: brokerIssuer,
      store: { kind: 'firestore', driver: 'native', project: 'acme-tokens', database: 'downscope' },
      policy: { from: 'store' },
      refresh: 'background',
    })
  })
})

describe('the guides to Cloud Run and Workers', () => {
  const guides = ['docs/deploy-cloud-run.md', 'docs/deploy-workers.md'].map((path) => ({
    path,
    page: readPage(path),
  }))

  test.each(guides)('$path names each version of a secret by its number', ({ page }) => {
    expect(page).not.toMatch(/:latest/)
  })

  test.each(guides)('$path writes every key into the own configuration folder', ({ path }) => {
    const shell = blocks
      .filter((one) => one.path === path && one.block.language === 'sh')
      .map(({ block }) => block.text)
    const written =
      shell.join('\n').match(/[\w"$/.-]+(?:\.jwk\.json|keys\.txt|-key\.json|\.dev\.vars)\b/g) ?? []
    const own = /^"?\$CONFIG\/|^reports-key\.json$|^"?\$DIR\/|^\.dev\.vars$|^DOWNSCOPE_ADMIN_KEY/

    expect(written.length).toBeGreaterThan(3)
    expect(written.filter((name) => !own.test(name))).toEqual([])
  })

  test('an ID token for an audience is asked for by impersonation alone, without which gcloud refuses people', () => {
    const asked = blocks.flatMap(({ block }) =>
      commandLines(block.text, 'gcloud').filter((words) => words.includes('print-identity-token')),
    )
    const audiences = asked.filter((words) => words.some((word) => word.startsWith('--audiences')))

    expect(audiences.length).toBeGreaterThan(1)
    for (const words of audiences) expect(words.join(' ')).toContain('--impersonate-service-account')
  })
})

/** `--name=value` of each flag of `gcloud run deploy`, but the region, which `services replace` is given. */
function deployFlags(): readonly string[] {
  const [words = []] = blocks
    .filter(({ path }) => path === 'docs/deploy-cloud-run.md')
    .flatMap(({ block }) => commandLines(block.text, 'gcloud'))
    .filter(([group, command]) => group === 'run' && command === 'deploy')
  const flags: string[] = []
  for (const word of words.slice(3))
    if (word.startsWith('--')) flags.push(word)
    else flags.push(`${flags.pop()}=${word}`)
  return flags.filter((flag) => !flag.startsWith('--region'))
}

function probeFlag({ httpGet, ...rest }: z.infer<typeof probe>): string {
  return [
    `httpGet.path=${httpGet.path}`,
    ...Object.entries(rest).map(([name, value]) => `${name}=${String(value)}`),
  ].join(',')
}

/** `$X` and `${X}` are the same. */
function plain(flag: string): string {
  return flag.replaceAll(/[{}]/g, '')
}
