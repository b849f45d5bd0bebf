import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import type { ProofOfCaller } from '../client/broker-connection.ts'
import { TokenError } from '../client/token-error.ts'
import { claimsOf, isMembers, parseJsonObject } from '../domain/json.ts'
import { isLoopback } from '../domain/url.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The broker's own bound for a JWT. */
const jwtBytesMax = 16_384
const commandTimeoutMs = 10_000
const commandIntervalMs = 1_000
const platformTimeoutMs = 5_000

/** A file that the platform renews; read anew each time. */
export function jwtFromFile(path: string): ProofOfCaller {
  return async () => {
    try {
      const file = await open(path, 'r')
      try {
        // One byte more than may be: a file that is larger is no JWT, and is not read to its end.
        const { bytesRead, buffer } = await file.read(Buffer.alloc(jwtBytesMax + 1))
        if (bytesRead > jwtBytesMax) throw new TokenError('proof', `${path} is larger than a JWT may be`)
        const jwt = buffer.toString('utf8', 0, bytesRead).trim()
        if (claimsOf(jwt) === undefined)
          throw new TokenError('proof', `${path} holds no JWT: is it empty, or written only half?`)
        return jwt
      } finally {
        await file.close()
      }
    } catch (error) {
      if (error instanceof TokenError) throw error
      throw new TokenError('proof', `${path} cannot be read: ${codeOf(error)}`)
    }
  }
}

/**
 * What a program prints. No shell, at most once a second, 10 s, 16 KiB; what it prints is in no message (THREATS T31).
 */
export function jwtFromCommand(command: string, env: Environment): ProofOfCaller {
  const [program = '', ...args] = command.split(/\s+/).filter((word) => word !== '')
  if (program === '') throw new TokenError('configuration', 'the command that prints a JWT is empty')
  let nextMs = -Infinity
  return async () => {
    const startMs = Math.max(performance.now(), nextMs)
    nextMs = startMs + commandIntervalMs
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, startMs - performance.now())))
    return new Promise((resolve, reject) => {
      execFile(
        program,
        args,
        {
          env: { ...env },
          timeout: commandTimeoutMs,
          maxBuffer: jwtBytesMax,
          killSignal: 'SIGKILL',
        },
        (error, stdout) => {
          if (error === null) resolve(stdout.trim())
          else reject(new TokenError('proof', `${program} printed no JWT: ${endOf(error)}`))
        },
      )
    })
  }
}

export const platforms = ['cloud-run', 'gce', 'github', 'gitlab'] as const
export type Platform = (typeof platforms)[number]

/** The ID token of the platform that this runs on, made out to the broker. */
export function jwtFromPlatform(platform: Platform, env: Environment): ProofOfCaller {
  switch (platform) {
    case 'cloud-run':
    case 'gce':
      return (audience) => fromMetadataServer(audience, env)
    case 'github':
      return (audience) => fromGitHub(audience, env)
    case 'gitlab':
      return async (audience) => fromGitLab(audience, env)
  }
}

async function fromMetadataServer(audience: string, env: Environment): Promise<string> {
  const host = env['GCE_METADATA_HOST'] ?? 'metadata.google.internal'
  const query = new URLSearchParams({ audience, format: 'full' })
  const path = '/computeMetadata/v1/instance/service-accounts/default/identity'
  return askPlatform(`http://${host}${path}?${query.toString()}`, { 'metadata-flavor': 'Google' })
}

/** GitHub: https://docs.github.com/actions/reference/openid-connect-reference */
async function fromGitHub(audience: string, env: Environment): Promise<string> {
  const [address, bearer] = [env['ACTIONS_ID_TOKEN_REQUEST_URL'], env['ACTIONS_ID_TOKEN_REQUEST_TOKEN']]
  if (address === undefined || bearer === undefined)
    throw new TokenError(
      'configuration',
      'GitHub offers no ID token here: the job needs permissions: id-token: write',
    )
  const url = URL.parse(address)
  if (url === null || (url.protocol !== 'https:' && !isLoopback(url.hostname)))
    throw new TokenError('configuration', 'ACTIONS_ID_TOKEN_REQUEST_URL is no https URL')
  url.searchParams.set('audience', audience)
  const answer = parseJsonObject(await askPlatform(url.href, { authorization: `Bearer ${bearer}` }))
  const jwt = answer?.['value']
  if (typeof jwt === 'string') return jwt
  throw new TokenError('proof', 'GitHub answered without an ID token')
}

/** GitLab puts it into the environment; its audience is set in the job's `id_tokens`. */
function fromGitLab(audience: string, env: Environment): string {
  const jwt = env['DOWNSCOPE_ID_TOKEN']?.trim() ?? ''
  if (jwt === '')
    throw new TokenError(
      'configuration',
      'DOWNSCOPE_ID_TOKEN is not set: the job needs it among its id_tokens',
    )
  const { aud } = claimsOf(jwt) ?? {}
  if (aud === audience || (Array.isArray(aud) && aud.length === 1 && aud[0] === audience)) return jwt
  throw new TokenError('configuration', `DOWNSCOPE_ID_TOKEN is for another audience than ${audience}`)
}

async function askPlatform(url: string, headers: Readonly<Record<string, string>>): Promise<string> {
  const { origin } = new URL(url)
  try {
    const response = await fetch(url, {
      headers,
      redirect: 'error',
      signal: AbortSignal.timeout(platformTimeoutMs),
    })
    const text = await response.text()
    if (response.status === 200 && text.length <= jwtBytesMax * 2) return text.trim()
    throw new TokenError('proof', `${origin} answers ${response.status} instead of an ID token`)
  } catch (error) {
    if (error instanceof TokenError) throw error
    const cause = error instanceof Error ? error.cause : undefined
    throw new TokenError('proof', `${origin} gives no ID token: ${codeOf(cause ?? error)}`)
  }
}

function codeOf(error: unknown): string {
  const code = isMembers(error) ? error['code'] : undefined
  return typeof code === 'string' ? code : 'it failed'
}

function endOf(error: Error & { readonly killed?: boolean; readonly code?: unknown }): string {
  if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return 'it printed more than 16 KiB'
  if (error.killed === true) return `it did not end within ${commandTimeoutMs / 1000} s`
  return typeof error.code === 'number' ? `it ended with status ${error.code}` : codeOf(error)
}
