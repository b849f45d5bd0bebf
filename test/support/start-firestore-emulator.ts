import { spawn } from 'node:child_process'
import { accessSync, constants, existsSync, realpathSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from './free-port.ts'

export interface FirestoreEmulator {
  /** `127.0.0.1:PORT`, as FIRESTORE_EMULATOR_HOST wants it. */
  readonly host: string
  readonly port: number
  /** The Java process: SIGSTOP hangs it, SIGCONT recovers it. */
  readonly pid: number
  stop(): Promise<void>
}

export type EmulatorFiles =
  | { readonly found: true; readonly java: string; readonly jar: string }
  | { readonly found: false; readonly missing: string }

/** For a sign of life on a machine whose cores are busy; alone it takes a second. */
const readyTimeoutMs = 120_000
const jarInSdk = 'platform/cloud-firestore-emulator/cloud-firestore-emulator.jar'

/** Where Java and the emulator's jar are. Looks only at PATH: asking `gcloud info` takes seconds. */
export function findEmulator(path: string = process.env['PATH'] ?? ''): EmulatorFiles {
  const java = findProgram('java', path)
  if (java === undefined) return { found: false, missing: 'no java on PATH' }
  const gcloud = findProgram('gcloud', path)
  if (gcloud === undefined)
    return { found: false, missing: 'no gcloud on PATH, whose SDK holds the emulator' }
  const jar = join(dirname(dirname(realpathSync(gcloud))), jarInSdk)
  if (!existsSync(jar)) return { found: false, missing: `no ${jarInSdk} in gcloud's SDK` }
  return { found: true, java, jar }
}

/**
 * Starts Google's Firestore emulator on a free port and answers when it serves. It dies with this process,
 * however this process ends. It keeps every document in its heap: 256 MB, of which a test with a hundred
 * thousand documents needs more.
 */
export async function startFirestoreEmulator(
  files: EmulatorFiles = findEmulator(),
  { heapMb = 256 } = {},
): Promise<FirestoreEmulator> {
  if (!files.found) throw new Error(`the Firestore emulator is not here: ${files.missing}`)
  const port = await freePort()
  // The shell kills Java when its standard input closes, which a SIGKILL of this process does too.
  const watch = '"$@" & echo "pid $!"; child=$!; exec >/dev/null 2>&1; cat; kill -9 $child; wait $child'
  const shell = spawn(
    'sh',
    ['-c', watch, 'sh', files.java, ...javaArguments({ jar: files.jar, port, heapMb })],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  )
  let output = ''
  let ended = false
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-4096)
  }
  shell.stdout.on('data', keep).once('close', () => (ended = true))
  shell.stderr.on('data', keep)
  const exited = new Promise((resolve) => shell.once('exit', resolve))
  const stop = async (): Promise<void> => {
    shell.stdin.end()
    await exited
  }
  const deadline = Date.now() + readyTimeoutMs
  let pid: number | undefined
  while (pid === undefined || !(await serves(port))) {
    if (ended || Date.now() > deadline) {
      await stop()
      throw new Error(`the Firestore emulator did not start:\n${output}`)
    }
    const said = /^pid (\d+)$/m.exec(output)?.[1]
    if (said !== undefined) pid = Number(said)
    await wait(50)
  }
  return { host: `127.0.0.1:${port}`, port, pid, stop }
}

function javaArguments({
  jar,
  port,
  heapMb,
}: {
  jar: string
  port: number
  heapMb: number
}): readonly string[] {
  const main = 'com.google.cloud.datastore.emulator.firestore.CloudFirestore'
  const jvm = [
    '-Duser.language=en',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    `-Xmx${heapMb}m`,
    '-cp',
    jar,
  ]
  return [...jvm, main, 'start', '--host=127.0.0.1', `--port=${port}`, '--database-mode=firestore-native']
}

/**
 * It answers `/` long before its first document, for which Java loads classes: on a busy machine that takes longer than
 * a store waits. So it serves when it has written a document, read it and listed it.
 */
async function serves(port: number): Promise<boolean> {
  const documents = `http://127.0.0.1:${port}/v1/projects/sign-of-life/databases/(default)/documents`
  const structuredQuery = { from: [{ collectionId: 'things' }], limit: 1 }
  return (
    (await answers(`http://127.0.0.1:${port}/`)) &&
    (await answers(`${documents}/things/one`, { method: 'PATCH', body: '{"fields":{}}' })) &&
    (await answers(`${documents}/things/one`)) &&
    (await answers(`${documents}:runQuery`, { method: 'POST', body: JSON.stringify({ structuredQuery }) }))
  )
}

async function answers(url: string, request: RequestInit = {}): Promise<boolean> {
  try {
    const response = await fetch(url, { ...request, signal: AbortSignal.timeout(30_000) })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}

function findProgram(name: string, path: string): string | undefined {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, name)
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // Not in this folder.
    }
  }
  return undefined
}
