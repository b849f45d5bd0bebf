import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { load } from 'js-yaml'
import { jsonObject, textOf } from '../../test/support/test-broker/json.ts'
import type { TestWorld } from '../../test/support/test-broker/test-world.ts'
import { brokerSettings, exchange, issuerHere } from './keycloak-issuer.ts'
import { same, type Checks } from './checks.ts'
import type { Keycloak } from './keycloak.ts'

const guide = join(import.meta.dirname, '../../docs/issuers.md')
const realm = 'fresh'
const run = promisify(execFile)

/** Does in a new realm what docs/issuers.md#keycloak says, step by step, with the policy and the command as they stand. */
export async function checkGuide(
  world: TestWorld,
  keycloak: Keycloak,
  { check }: Pick<Checks, 'check'>,
): Promise<void> {
  await check(
    'docs/issuers.md#keycloak leads from a fresh realm to a token, and names what goes wrong',
    async () => {
      const { policy, command } = await readGuide(keycloak)
      const broker = await world.yard.start(brokerSettings(world, policy))
      try {
        await world.enrolAccount(broker, 'reports-sa')
        await keycloak.adminOf('')('POST', '', { realm, enabled: true })
        const admin = keycloak.adminOf(realm)
        // 1. A client with a service account and nothing else, and its secret.
        await admin('POST', '/clients', {
          clientId: 'reporting',
          publicClient: false,
          serviceAccountsEnabled: true,
          standardFlowEnabled: false,
          directAccessGrantsEnabled: false,
        })
        const [client] = JSON.parse((await admin('GET', '/clients?clientId=reporting')).text) as readonly {
          readonly id: string
        }[]
        const { body } = await admin('GET', `/clients/${client?.id ?? ''}/client-secret`)
        // 2. The audience mapper.
        await admin('POST', `/clients/${client?.id ?? ''}/protocol-mappers/models`, {
          name: 'broker',
          protocol: 'openid-connect',
          protocolMapper: 'oidc-audience-mapper',
          config: { 'included.custom.audience': issuerHere, 'access.token.claim': 'true' },
        })
        const ask = async () => {
          const [program = '', ...args] = command.replace('SECRET', textOf(body, 'value')).split(/\s+/)
          const { stdout } = await run(program, args)
          const answer = await exchange(broker, textOf(jsonObject(stdout) ?? {}, 'access_token'))
          return { ...answer, audit: await broker.auditOf(answer.requestId) }
        }
        const early = await ask()
        same(
          [early.status, String(early.audit['reason']).includes('is not this broker alone')],
          [400, true],
          early.text,
        )
        // 3. Full scope allowed, off.
        await admin('PUT', `/clients/${client?.id ?? ''}`, { clientId: 'reporting', fullScopeAllowed: false })
        const { status, text, audit } = await ask()
        same([status, audit['rule']], [200, 'reporting reads reports'], text)
      } finally {
        await broker.stop()
      }
    },
  )
}

/** The policy and the command of the guide, with this realm and this broker in place of its example. */
async function readGuide({
  issuer,
}: Keycloak): Promise<{ readonly policy: object; readonly command: string }> {
  const text = await readFile(guide, 'utf8')
  const chapter = text.slice(text.indexOf('\n## Keycloak\n'), text.indexOf('\n## SPIRE\n'))
  const here = chapter
    .replaceAll('https://sso.acme.example/realms/shop', issuer.replace(/shop$/, realm))
    .replaceAll('https://tokens.acme.example', issuerHere)
  const [, yaml] = /```yaml\n(.*?)```/s.exec(here) ?? []
  const [, command] = /```text\n(curl .*?)```/s.exec(here) ?? []
  if (yaml === undefined || command === undefined) throw new Error('the guide has no policy or no command')
  const policy = load(yaml)
  if (typeof policy !== 'object' || policy === null) throw new Error('the guide’s policy is no document')
  return { policy, command: command.replaceAll('\\\n', ' ').trim() }
}
