import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isMembers } from '../../src/domain/json.ts'
import { freePort } from '../../test/support/free-port.ts'
import { send, type Answer } from '../../test/support/test-broker/ask.ts'
import { until } from '../../test/support/test-broker/until.ts'
import { downloadsFolder } from '../clients/toolchains.ts'

/** The newest that runs on Java 17. */
const version = '26.7.3'
const realmFile = join(import.meta.dirname, '../../test/servers/keycloak-realm.json')
/** Minutes on a machine with other work: it compiles itself when it is started for the first time. */
const startMsMax = 400_000
const run = promisify(execFile)

export interface Keycloak {
  /** The issuer of the realm `shop`. */
  readonly issuer: string
  /** The token endpoint's answer to a client of the realm, or of another one. */
  readonly token: (
    client: readonly [id: string, secret: string],
    form: Form,
    realm?: string,
  ) => Promise<Answer>
  /** The admin REST API of the realm, as its administrator. */
  readonly admin: AdminApi
  /** Of another realm; of the empty name, of all of them. */
  readonly adminOf: (realm: string) => AdminApi
  readonly pause: () => void
  readonly resume: () => void
  readonly close: () => Promise<void>
}

type AdminApi = (method: string, path: string, body?: object) => Promise<Answer>
type Form = Readonly<Record<string, string>>

/** A Keycloak as it is published, on this machine, with the realm of `test/servers/` made by its own `kcadm.sh`. */
export async function startKeycloak(say: (line: string) => void): Promise<Keycloak> {
  const home = await unpack(say)
  // What a former run left: each begins with nothing.
  await rm(join(home, 'data'), { recursive: true, force: true })
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const child = spawn(
    join(home, 'bin/kc.sh'),
    ['start-dev', `--http-port=${port}`, '--http-host=127.0.0.1', '--cache=local'],
    {
      env: { ...process.env, KC_BOOTSTRAP_ADMIN_USERNAME: 'admin', KC_BOOTSTRAP_ADMIN_PASSWORD: 'admin' },
      stdio: 'ignore',
      // A group of its own: the script starts java as its child.
      detached: true,
    },
  )
  const signal = (name: NodeJS.Signals) => signalGroup(child, name)
  const close = async () => {
    signal('SIGCONT')
    signal('SIGKILL')
    await rm(join(home, 'data'), { recursive: true, force: true })
  }
  process.once('exit', () => signal('SIGKILL'))
  try {
    await until('Keycloak is ready', () => isUp(`${url}/realms/master`, child), {
      ms: startMsMax,
      pauseMs: 500,
    })
    say(`Keycloak ${version} is ready`)
    const credentials = ['--server', url, '--realm', 'master', '--user', 'admin', '--password', 'admin']
    const config = ['--config', join(home, 'data', 'kcadm.config')]
    await run(join(home, 'bin/kcadm.sh'), ['create', 'realms', ...config, ...credentials, '-f', realmFile])
    say('its kcadm.sh made the realm')
  } catch (error) {
    await close()
    throw error
  }

  const token: Keycloak['token'] = ([id, secret], form, realm = 'shop') =>
    send(`${url}/realms/${realm}/protocol/openid-connect/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`${id}:${secret}`)}` },
      body: new URLSearchParams(form),
    })
  const adminForm = { grant_type: 'password', client_id: 'admin-cli', username: 'admin', password: 'admin' }
  const adminOf =
    (realm: string): AdminApi =>
    async (method, path, body) => {
      const { token: bearer } = await send(`${url}/realms/master/protocol/openid-connect/token`, {
        method: 'POST',
        body: new URLSearchParams(adminForm),
      })
      const answer = await send(`${url}/admin/realms${realm === '' ? '' : `/${realm}`}${path}`, {
        method,
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      if (answer.status >= 300)
        throw new Error(`Keycloak: ${method} ${path}: ${answer.status} ${answer.text}`)
      return answer
    }
  return {
    issuer: `${url}/realms/shop`,
    token,
    admin: adminOf('shop'),
    adminOf,
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    close,
  }
}

/** From Maven Central, into a cache outside the repository. */
async function unpack(say: (line: string) => void): Promise<string> {
  const cache = downloadsFolder
  const home = join(cache, `keycloak-${version}`)
  if (existsSync(join(home, 'bin/kc.sh'))) return home
  await mkdir(cache, { recursive: true })
  say(`Keycloak ${version} comes from Maven Central`)
  const artifact = `org.keycloak:keycloak-quarkus-dist:${version}:zip`
  await run('mvn', ['-q', '-B', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${cache}`])
  const file = join(cache, `keycloak-quarkus-dist-${version}.zip`)
  // Where there is no unzip there is the JDK's jar, which sets no permissions.
  try {
    await run('unzip', ['-q', '-o', file, '-d', cache])
  } catch (error) {
    if (!isMembers(error) || error['code'] !== 'ENOENT') throw error
    await run('jar', ['xf', file], { cwd: cache })
    for (const program of ['kc.sh', 'kcadm.sh']) await chmod(join(home, 'bin', program), 0o755)
  }
  await rm(file)
  return home
}

async function isUp(url: string, child: ChildProcess): Promise<boolean> {
  if (child.exitCode !== null) throw new Error(`Keycloak ended with ${child.exitCode}`)
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(5_000) })).ok
  } catch {
    return false
  }
}

function signalGroup({ pid }: ChildProcess, name: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, name)
  } catch {
    // It is over.
  }
}
