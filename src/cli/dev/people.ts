import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readKeyFile } from '../key-file.ts'
import { send } from '../send.ts'
import type { Terminal } from '../terminal.ts'
import { choosePort } from './broker-process.ts'
import { developmentClients, startDevelopmentIssuer, type DevelopmentIssuer } from './development-issuer.ts'

/**
 * The development issuer of a folder, on the port that its policy names. `undefined` for a folder whose policy was made
 * without one, and where oidc-provider is not installed: the broker runs without it.
 */
export async function openDevelopmentIssuer(
  folder: string,
  brokerPort: number,
): Promise<DevelopmentIssuer | undefined> {
  const file = join(folder, 'issuer-port')
  const isNew = !existsSync(join(folder, 'policy.yaml'))
  if (!isNew && !existsSync(file)) return undefined
  const port = isNew ? await choosePort(brokerPort + 1) : Number(readFileSync(file, 'utf8'))
  try {
    const issuer = await startDevelopmentIssuer({ port, broker: `http://127.0.0.1:${brokerPort}` })
    if (isNew) writeFileSync(file, String(port), { mode: 0o600 })
    return issuer
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'EADDRINUSE') return undefined
    throw error
  }
}

export function signInSettings({ url }: DevelopmentIssuer): Record<string, string> {
  return {
    DOWNSCOPE_SIGN_IN_ISSUER: url,
    DOWNSCOPE_SIGN_IN_CLIENT_ID: developmentClients.console,
    DOWNSCOPE_SIGN_IN_CLI_CLIENT_ID: developmentClients.cli,
    DOWNSCOPE_SIGN_IN_DEVICE_CLIENT_ID: developmentClients.device,
    DOWNSCOPE_SIGN_IN_SCOPES: 'openid email profile groups',
  }
}

/** Enrols the client of the development issuer, so that something can be connected at once; again, it changes nothing. */
export async function enrolDevelopmentClient(url: string, folder: string, terminal: Terminal): Promise<void> {
  const key = await readKeyFile(join(folder, 'admin.jwk.json'), terminal)
  const { id, secret } = developmentClients.connect
  const jwt = await key.sign({ issuer: 'ops', subject: 'ops', audience: url })
  await send(`${url}/v1/admin/credentials`, {
    method: 'POST',
    headers: { authorization: `Bearer ${jwt.reveal()}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'dev-client',
      upstream: 'dev',
      secret: { type: 'oauth_client', client_id: id, client_secret: secret },
    }),
  })
}
