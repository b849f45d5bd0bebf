import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repository, runProgram } from '../../test/support/run-node.ts'
import { caller, scope, type ClientsWorld } from './world.ts'

export type Way = 'file' | 'url' | 'executable' | 'impersonation' | 'metadata'
export const ways: readonly Way[] = ['file', 'url', 'executable', 'impersonation', 'metadata']

/** What a client finds in its environment for each way; nothing of whoever runs this. */
export type Environments = Readonly<Record<Way | 'ticket', Readonly<Record<string, string>>>>

/** Credential files come from `downscope credential-file`, as a user's would. `url`: where the client reaches the broker. */
export async function prepareWays(world: ClientsWorld, url: string, name: string): Promise<Environments> {
  const file = async (way: string, ...proof: readonly string[]): Promise<string> => {
    const cli = join(repository, 'src/cli.ts')
    const args = [cli, 'credential-file', 'reports', '--broker', url, '--broker-issuer', world.url, ...proof]
    const { status, stdout, stderr } = await runProgram(process.execPath, args, { cwd: world.folder })
    if (status !== 0) throw new Error(`credential-file: ${stderr}`)
    const path = join(world.folder, `${name}-${way}.json`)
    writeFileSync(path, stdout, { mode: 0o600 })
    return path
  }
  const common = {
    HOME: world.folder,
    CLIENT_SCOPE: scope,
    GOOGLE_CLOUD_PROJECT: 'acme',
    NO_PROXY: '127.0.0.1',
    METADATA_SERVER_DETECTION: 'none',
    NO_GCE_CHECK: 'true',
  }
  const [byFile, byUrl, byKey, byImpersonation] = await Promise.all([
    file('file', '--jwt-file', world.jwtFile),
    file('url', '--jwt-url', world.jwtUrl),
    file('executable', '--key', world.keyFiles.jwk, '--caller', caller),
    file('impersonation', '--jwt-file', world.jwtFile, '--impersonation'),
  ])
  // What a library gets by it is good for requests of one's own to the broker's IAM Credentials API.
  const { service_account_impersonation_url: _url, ...ticket } = JSON.parse(
    readFileSync(byImpersonation, 'utf8'),
  ) as Record<string, unknown>
  const byTicket = join(world.folder, `${name}-ticket.json`)
  writeFileSync(byTicket, JSON.stringify(ticket), { mode: 0o600 })
  return {
    ticket: { ...common, GOOGLE_APPLICATION_CREDENTIALS: byTicket },
    file: { ...common, GOOGLE_APPLICATION_CREDENTIALS: byFile },
    url: { ...common, GOOGLE_APPLICATION_CREDENTIALS: byUrl },
    executable: {
      ...common,
      GOOGLE_APPLICATION_CREDENTIALS: byKey,
      GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES: '1',
    },
    impersonation: { ...common, GOOGLE_APPLICATION_CREDENTIALS: byImpersonation },
    metadata: {
      ...common,
      METADATA_SERVER_DETECTION: 'assume-present',
      NO_GCE_CHECK: 'false',
      GCE_METADATA_HOST: world.agent,
      GCE_METADATA_IP: world.agent,
      GCE_METADATA_ROOT: world.agent,
    },
  }
}
