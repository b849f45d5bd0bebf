import type { Server } from 'node:http'
import type { ProofOfCaller } from '../client/broker-connection.ts'
import { createTokenSource, type TokenSource } from '../client/token-source.ts'
import { createAgentServer } from './server.ts'
import type { Account } from './metadata.ts'
import { createIsOwnPeer } from './peer-user.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'
import type { TokenError } from '../client/token-error.ts'
import { lstatSync, statSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, resolve } from 'node:path'
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Environment } from './proofs.ts'

export interface AgentOptions {
  readonly broker: string
  /** What the broker calls itself, where that is not `broker`. */
  readonly brokerIssuer?: string | undefined
  readonly proof: ProofOfCaller
  readonly accounts: readonly Account[]
  readonly projectId?: string | undefined
  readonly projectNumber?: string | undefined
  /** Absent: no TCP. 0: a free port. */
  readonly port?: number | undefined
  readonly host: string
  readonly socket?: string | undefined
  /** Hosts that a request may name beside this machine's own names. */
  readonly allowedHosts: readonly string[]
  readonly anyUser: boolean
  readonly recheckSeconds: number
  /** Lines for whoever runs it. */
  readonly write: (text: string) => void
}

export interface RunningAgent {
  /** `http://127.0.0.1:PORT`, `unix:PATH`, or both. */
  readonly places: readonly string[]
  /** `127.0.0.1:PORT`, for GCE_METADATA_HOST. */
  readonly authority: string | undefined
  /** Breaks off what is under way. */
  readonly close: () => void
}

/** Metadata clients give up after 3 s; by then they have a token, or a 503 that they ask again after. */
const answerWithinMs = 2_400

/** Starts the agent. Rejects with an Error whose message says what to do where it cannot listen. */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const log = createOperatorLog(options.write)
  const sources = new Map<Account, TokenSource>(
    options.accounts.map((account) => [account, sourceFor(account, options, log)]),
  )
  const hosts = new Set<string>()
  const shared = {
    place: options,
    sourceOf: (account: Account) => sources.get(account) ?? sourceFor(account, options, log),
    now: () => Date.now(),
    hosts,
    log,
  }
  const servers: Server[] = []
  const places: string[] = []
  let authority: string | undefined
  if (options.port !== undefined) {
    const isOwnPeer = options.anyUser ? undefined : createIsOwnPeer()
    const server = createAgentServer({ ...shared, isOwnPeer })
    const { port, host } = await listenOnTcp(server, options.host, options.port)
    authority = `${host}:${port}`
    places.push(`http://${authority}`)
    servers.push(server)
    for (const name of [host, 'localhost', '127.0.0.1', '[::1]', ...options.allowedHosts])
      hosts.add(name.toLowerCase()).add(`${name.toLowerCase()}:${port}`)
  }
  if (options.socket !== undefined) {
    // The file mode of the socket decides who can connect.
    const server = createAgentServer(shared)
    await listenOnSocket(server, options.socket)
    places.push(`unix:${options.socket}`)
    servers.push(server)
    for (const name of ['localhost', ...options.allowedHosts]) hosts.add(name.toLowerCase())
  }
  return {
    places,
    authority,
    close: () => {
      for (const server of servers) {
        server.close()
        server.closeAllConnections()
      }
    },
  }
}

function sourceFor(account: Account, options: AgentOptions, log: OperatorLog): TokenSource {
  return createTokenSource({
    url: options.broker,
    ...omitUndefined({ issuer: options.brokerIssuer }),
    credential: account.credential,
    proof: options.proof,
    recheck: options.recheckSeconds,
    timeout: answerWithinMs,
    onFailure: (failure) => logFailure(log, account.credential, failure),
  })
}

interface TcpPlace {
  readonly host: string
  readonly port: number
}

async function listenOnTcp(server: Server, host: string, port: number): Promise<TcpPlace> {
  await listen(server, { host, port })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return { host: host.includes(':') ? `[${host}]` : host, port: address.port }
}

async function listenOnSocket(server: Server, path: string): Promise<void> {
  const fault = await prepareSocketPath(path)
  if (fault !== undefined) throw new Error(fault)
  // Around the bind, which `listen` does at once: a mode that is set afterwards leaves a moment for others.
  const before = process.umask(0o177)
  const listening = listen(server, { path })
  process.umask(before)
  await listening
}

function listen(
  server: Server,
  place: { readonly host: string; readonly port: number } | { readonly path: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: Error & { readonly code?: string }) => {
      const shown = 'path' in place ? place.path : `${place.host}:${place.port}`
      const hint =
        error.code === 'EADDRINUSE'
          ? `${shown} is taken: does an agent run already? Choose another with --port`
          : `cannot listen on ${shown}: ${error.code ?? error.message}`
      reject(new Error(hint))
    })
    server.listen(place, resolve)
  })
}

/** Lines of the same `topic` differ in numbers and ids only; by default the topic is the line itself. */
type OperatorLog = (line: string, topic?: string) => void

/** A line for whoever runs the agent: what it is, and what to do. One topic is logged once a minute at most. */
function createOperatorLog(
  write: (text: string) => void,
  now: () => number = () => performance.now(),
): OperatorLog {
  const lastAtMs = new Map<string, number>()
  return (line, topic = line) => {
    const at = now()
    if (at - (lastAtMs.get(topic) ?? -Infinity) < repeatMs) return
    if (lastAtMs.size >= linesMax) lastAtMs.clear()
    lastAtMs.set(topic, at)
    write(`downscope agent: ${line}\n`)
  }
}

const repeatMs = 60_000
const linesMax = 500

function logFailure(log: OperatorLog, credential: string, failure: TokenError): void {
  const topic = failure.message.replaceAll(/\d+/g, '')
  log(`${credential}: ${failure.message}. ${whatToDo(failure)}`, `${credential} ${failure.code} ${topic}`)
}

function whatToDo({ code, error, status, requestId }: TokenError): string {
  const request = requestId === undefined ? '' : ` (request ${requestId})`
  switch (code) {
    case 'refused':
      if (error === 'invalid_request' || error === 'invalid_client')
        return `The broker does not accept the JWT of this workload: check its issuer, audience and lifetime${request}`
      return requestId === undefined
        ? 'Policy does not allow it'
        : `Policy does not allow it: downscope explain --request ${requestId}`
    case 'unavailable':
      return status === undefined
        ? 'Is the broker up, and --broker right? Tokens at hand are served as long as they last'
        : `The broker cannot serve this now; its log says why${request}`
    case 'proof':
      return 'Check what gives the JWT: --jwt-file, --jwt-command, --platform or --key'
    case 'configuration':
      return 'Check --broker and --broker-issuer, and what --platform takes from the environment'
  }
}

/** Why no socket may be made there, or nothing. Only a stale socket of our own is removed (THREATS T30). */
async function prepareSocketPath(path: string): Promise<string | undefined> {
  const folder = dirname(resolve(path))
  const own = process.getuid?.() ?? 0
  const parent = statSync(folder, { throwIfNoEntry: false })
  if (parent === undefined || !parent.isDirectory()) return `${folder} is no folder`
  if (parent.uid !== own && parent.uid !== 0) return `${folder} belongs to another user`
  if ((parent.mode & 0o022) !== 0) return `others may write to ${folder}: chmod go-w ${folder}`
  const before = lstatSync(path, { throwIfNoEntry: false })
  if (before === undefined) return undefined
  if (!before.isSocket() || before.uid !== own) return `${path} exists already and is no socket of ours`
  if (await isAlive(path)) return `${path} is in use: does an agent run already?`
  unlinkSync(path)
  return undefined
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      done(true)
    })
    socket.once('error', () => done(false))
  })
}

interface ChildPlace {
  readonly authority: string
  readonly projectId?: string | undefined
}

/** Nobody but the agent may prove who this workload is (THREATS T31). */
const proofVariables = /^(?:DOWNSCOPE_.*|ACTIONS_ID_TOKEN_REQUEST_(?:URL|TOKEN))$/
/** What would make a client pass by the metadata server. */
const detours: readonly string[] = [
  'GOOGLE_APPLICATION_CREDENTIALS',
  'NO_GCE_CHECK',
  'CLOUDSDK_CORE_CHECK_GCE_METADATA',
  'METADATA_SERVER_DETECTION',
]

/**
 * The environment in which Google's clients ask the agent: each of the three variables is the only one that some of
 * them read (WIRE §4.1).
 */
export function childEnvironment(env: Environment, { authority, projectId }: ChildPlace): Environment {
  const direct = [env['NO_PROXY'] ?? env['no_proxy'] ?? '', authority.replace(/:\d+$/, '')]
  const noProxy = direct.filter((host) => host !== '').join(',')
  const kept = Object.entries(env).filter(([name]) => !proofVariables.test(name) && !detours.includes(name))
  return {
    ...omitUndefined({ GOOGLE_CLOUD_PROJECT: projectId }),
    ...Object.fromEntries(kept),
    GCE_METADATA_HOST: authority,
    GCE_METADATA_IP: authority,
    GCE_METADATA_ROOT: authority,
    METADATA_SERVER_DETECTION: 'assume-present',
    NO_PROXY: noProxy,
    no_proxy: noProxy,
  }
}

const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

/** Runs a command to its end and resolves with its status, as a shell gives it: 128 + N for signal N, 127 for no such command. */
export function runCommand(
  [program = '', ...args]: readonly string[],
  env: Environment,
  write: (text: string) => void,
): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'inherit', env })
    const pass = (signal: NodeJS.Signals): void => {
      // Ctrl-C in a terminal reaches the command by itself: it is of the same process group.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    }
    for (const signal of passedOn) process.on(signal, pass)
    const end = (status: number): void => {
      for (const signal of passedOn) process.off(signal, pass)
      resolve(status)
    }
    child.once('error', (error: Error & { readonly code?: string }) => {
      const isMissing = error.code === 'ENOENT'
      write(
        `downscope agent: ${program}: ${isMissing ? 'there is no such command' : (error.code ?? 'it cannot be started')}\n`,
      )
      end(isMissing ? 127 : 126)
    })
    child.once('exit', (status, signal) => {
      end(status ?? 128 + (signal === null ? 0 : constants.signals[signal]))
    })
  })
}
