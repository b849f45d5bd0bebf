import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import type { BrokerProcess } from '../../test/support/spawn-broker.ts'
import { askToken } from '../../test/support/test-broker/ask.ts'
import { scopeOf, type TestWorld } from '../../test/support/test-broker/test-world.ts'
import { inTestWorld } from './proof.ts'

const residentMiBMax = 512
const scope = scopeOf('devstorage.read_only')
const answerMsMax = 10_000
const seconds = 60

/** Somebody without a credential who wants to cost as much as they can; gives back how often they tried. */
export type Attack = (port: number, isOver: () => boolean) => Promise<number>

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: broker\r\n\r\n`
const head = 'HTTP/1.1 '
const form = (body: string): string =>
  `POST /v1/token HTTP/1.1\r\nHost: broker\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`

export const attacks: Readonly<Record<string, Attack>> = {
  'send many requests and read no answer': (port, isOver) =>
    repeat(isOver, async () => {
      const socket = await open(port)
      socket.pause().write(get('/openapi.json').repeat(2_000))
      await wait(500)
      socket.destroy()
    }),
  'send many requests at once and read': (port, isOver) =>
    repeat(isOver, async () => {
      const socket = await open(port)
      socket.resume().write(get('/healthz').repeat(500))
      await wait(300)
      socket.destroy()
    }),
  'send one byte a second': async (port, isOver) => {
    const sockets = await Promise.all(Array.from({ length: 200 }, () => open(port)))
    while (!isOver()) {
      for (const socket of sockets) socket.write('P')
      await wait(1_000)
    }
    for (const socket of sockets) socket.destroy()
    return sockets.length
  },
  'connect and say nothing': async (port, isOver) => {
    const sockets: Socket[] = []
    while (!isOver()) {
      if (sockets.length < 2_000) sockets.push(await open(port))
      else await wait(100)
    }
    for (const socket of sockets) socket.destroy()
    return sockets.length
  },
  'name a new issuer, key and audience each time': (port, isOver) => nameNew(port, { isOver }),
  'send forms that are dear to read': (port, isOver) =>
    repeat(isOver, async () => {
      const socket = await open(port)
      socket.resume().write(form('n%=%&'.repeat(12_000)))
      await wait(50)
      socket.destroy()
    }),
}

/** Each name of a JWT that nobody signed is another in each request; gives back how many were answered. */
async function nameNew(
  port: number,
  { isOver, from = 0 }: { readonly isOver: (answered: number) => boolean; readonly from?: number },
): Promise<number> {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const batch = 8
  const type = 'urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer'
  let answered = 0
  while (!isOver(answered)) {
    const socket = await open(port)
    if (socket.closed) {
      await wait(50)
      continue
    }
    let heads = 0
    let rest = ''
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    const isEnded = await new Promise<boolean>((resolve) => {
      void closed.then(() => resolve(true))
      const say = (): void => {
        // As many as one connection may have under way.
        for (let index = 0; index < batch; index += 1) {
          const n = from + answered + index
          const jwt = `${encode({ alg: 'ES256', kid: `k${n}` })}.${encode({ iss: `i${n}`, sub: `s${n}`, aud: `a${n}`, jti: `j${n}` })}.${'A'.repeat(86)}`
          socket.write(
            form(
              `grant_type=client_credentials&client_assertion_type=${type}&audience=n${n}&client_assertion=${jwt}`,
            ),
          )
        }
      }
      socket.on('data', (chunk: Buffer) => {
        const parts = (rest + chunk.toString('latin1')).split(head)
        heads += parts.length - 1
        // A head may be in two pieces.
        rest = parts.at(-1)?.slice(-head.length + 1) ?? ''
        if (heads < batch) return
        heads = 0
        answered += batch
        if (isOver(answered)) resolve(false)
        else say()
      })
      say()
    })
    if (!isEnded) socket.destroy()
  }
  return answered
}

/** All of them at the same time, against a process that may have 512 MiB; somebody honest is served all the while. */
export const proveHostileClients = inTestWorld(async (world, say) => {
  const broker = await world.yard.start({
    ...world.settings([world.rule('kept', [scope])], { DOWNSCOPE_LOG_LEVEL: 'error' }),
    NODE_OPTIONS: '--max-old-space-size=256',
  })
  await world.enrolAccount(broker, 'kept')
  const untilMs = performance.now() + seconds * 1_000
  const isOver = (): boolean => performance.now() > untilMs
  const [honest, resident, ...tried] = await Promise.all([
    askHonestly(world, broker, isOver),
    watchResident(broker, isOver),
    ...Object.entries(attacks).map(async ([name, attack]) => ({
      name,
      count: await attack(broker.port, isOver),
    })),
  ])
  for (const { name, count } of tried) say(`${name}: ${count} times`)
  const names = await nameMillion(broker)
  say(
    `${names.count} distinct names of issuer, subject, key, audience and jti: ${names.resident} MiB at most`,
  )
  say(
    `an honest caller: ${honest.served} of ${honest.asked} served, the slowest after ${Math.round(honest.slowestMs)} ms; at most ${resident} MiB`,
  )
  await broker.stop()
  return [
    ...[resident, names.resident].filter((mib) => mib > residentMiBMax).map((mib) => `${mib} MiB`),
    ...(honest.served < honest.asked
      ? [`${honest.asked - honest.served} honest requests failed: ${honest.failures.join(', ')}`]
      : []),
    ...(honest.slowestMs > answerMsMax ? [`an honest request took ${Math.round(honest.slowestMs)} ms`] : []),
    ...tried.filter(({ count }) => count === 0).map(({ name }) => `nobody did ${name}`),
  ]
})

const namesWanted = 1_000_000
/** On two idle cores it takes some minutes; what was not sent by then is said. */
const namesMsMax = 20 * 60_000

/** On four connections, for each of which the next answer is waited for. */
async function nameMillion(
  broker: BrokerProcess,
): Promise<{ readonly count: number; readonly resident: number }> {
  const parts = 4
  const endMs = performance.now() + namesMsMax
  const counts = await Promise.all(
    Array.from({ length: parts }, (_, part) =>
      nameNew(broker.port, {
        isOver: (answered) => answered >= namesWanted / parts || performance.now() > endMs,
        from: part * namesWanted,
      }),
    ),
  )
  return { count: counts.reduce((sum, count) => sum + count, 0), resident: peakResidentMiB(broker.pid) }
}

async function askHonestly(world: TestWorld, broker: BrokerProcess, isOver: () => boolean) {
  let [asked, served, slowestMs] = [0, 0, 0]
  const failures = new Set<string>()
  while (!isOver()) {
    asked += 1
    const answer = await askToken(broker, world.workload, { audience: 'kept', scope }).catch(
      (error: unknown) => String(error),
    )
    if (typeof answer === 'string') failures.add(answer)
    else {
      slowestMs = Math.max(slowestMs, answer.tookMs)
      if (answer.status === 200) served += 1
      else failures.add(String(answer.status))
    }
    await wait(100)
  }
  return { asked, served, slowestMs, failures: [...failures] }
}

/** The most memory that a process had, in MiB. */
export function peakResidentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(/VmHWM:\s+(?<kib>\d+)/.exec(status)?.groups?.['kib'] ?? 0) / 1024)
}

async function watchResident({ pid }: BrokerProcess, isOver: () => boolean): Promise<number> {
  while (!isOver()) await wait(500)
  return peakResidentMiB(pid)
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  socket.on('error', () => undefined)
  await new Promise<void>((resolve) => {
    socket.once('connect', () => resolve())
    socket.once('close', () => resolve())
  })
  return socket
}

async function repeat(isOver: () => boolean, once: () => Promise<void>, each = 1): Promise<number> {
  let count = 0
  while (!isOver()) {
    await once()
    count += each
  }
  return count
}
