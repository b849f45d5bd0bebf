import { connect } from 'node:net'
import { startAgent, type AgentOptions, type RunningAgent } from '../../src/agent/agent.ts'
import { looksLikeJwt } from './fake-broker.ts'

export interface AgentUnderTest extends RunningAgent {
  readonly port: number
  readonly url: string
  /** What the operator reads. */
  readonly log: () => string
  /** As Google's clients ask. */
  readonly ask: (path: string, headers?: Readonly<Record<string, string>>) => Promise<Response>
}

export const tokenPath = '/computeMetadata/v1/instance/service-accounts/default/token'

/** An agent in this process on a free port, whose account `default` is the credential `reports`. */
export async function startTestAgent(
  broker: string,
  options: Partial<AgentOptions> = {},
): Promise<AgentUnderTest> {
  let log = ''
  const agent = await startAgent({
    broker,
    proof: () => looksLikeJwt(),
    accounts: [{ alias: 'default', credential: 'reports', email: 'reports@127.0.0.1' }],
    port: 0,
    host: '127.0.0.1',
    allowedHosts: [],
    anyUser: false,
    recheckSeconds: 60,
    write: (text) => (log += text),
    ...options,
  })
  const url = `http://${agent.authority}`
  return {
    ...agent,
    url,
    port: Number(agent.authority?.split(':').at(-1) ?? 0),
    log: () => log,
    ask: (path, headers = {}) =>
      fetch(`${url}${path}`, { headers: { 'Metadata-Flavor': 'Google', ...headers } }),
  }
}

/** Sends these octets and reads until the other side closes, or for `ms`. */
export function sendRaw(port: number, octets: string, ms = 1_500): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(octets, 'latin1'))
    const timer = setTimeout(() => socket.destroy(), ms)
    socket.setEncoding('latin1').on('data', (text: string) => (answer += text))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(answer)
    })
  })
}
