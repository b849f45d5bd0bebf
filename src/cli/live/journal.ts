import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import * as z from 'zod/mini'
import { isMembers, parseJsonObject, type Members } from '../../domain/json.ts'
import { omitUndefined } from '../../domain/omit-undefined.ts'
import { createFault } from '../fault.ts'
import { causeOf } from '../files.ts'
import { ask, notRun, type GoogleProject, type Reply } from './google-project.ts'

const thing = z.object({
  kind: z.enum([
    'object',
    'service account',
    'key',
    'bucket grant',
    'identity pool',
    'key version',
    'TTL policy',
    'consent',
  ]),
  /** The resource, below the address of its API, or whatever it is found by. */
  name: z.string(),
  /** Random text that stands in it, so that nobody else's is taken for it. */
  mark: z.string(),
  /** What Google called it: known once the answer came. */
  id: z.optional(z.string()),
})

/** What a run made, or was about to make. */
export type Thing = z.output<typeof thing>

const document = z.object({ pid: z.number(), things: z.array(thing) })

/** What has to be taken away again, in a file that is written before anything is made (T39). No secret is in it. */
export interface Journal {
  readonly file: string
  readonly things: () => readonly Thing[]
  readonly add: (thing: Thing) => void
  readonly drop: (thing: Thing) => void
  /** Takes the file away when nothing is left. */
  readonly close: () => void
}

/** Throws a fault for a journal that another run is writing, or that cannot be read. */
export function openJournal(file: string): Journal {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  let things = startJournal(file)
  const save = (next: readonly Thing[]): void => {
    things = next
    const text = JSON.stringify({ pid: process.pid, things }, undefined, 2)
    // Whole or not at all, and on the disk before anything is asked of Google.
    writeFileSync(`${file}.next`, text, { mode: 0o600, flush: true })
    renameSync(`${file}.next`, file)
  }
  save(things)
  const others = ({ kind, name, mark }: Thing): readonly Thing[] =>
    things.filter((one) => one.kind !== kind || one.name !== name || one.mark !== mark)
  return {
    file,
    things: () => things,
    add: (made) => save([...others(made), made]),
    drop: (made) => save(others(made)),
    close: () => {
      if (things.length === 0) rmSync(file, { force: true })
    },
  }
}

function startJournal(file: string): readonly Thing[] {
  try {
    writeFileSync(file, JSON.stringify({ pid: process.pid, things: [] }), { mode: 0o600, flag: 'wx' })
    return []
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST'))
      throw createFault('usage', `the journal ${file} cannot be written: ${causeOf(error)}`)
  }
  const read = document.safeParse(parseJsonObject(readFileSync(file, 'utf8')))
  if (!read.success)
    throw createFault('usage', `the journal ${file} cannot be read`, {
      hints: [
        'Look for what is called downscope-… in the project, take it away by hand, and delete the file.',
      ],
    })
  const { pid, things } = read.data
  if (pid !== process.pid && isAlive(pid))
    throw createFault('refused', `process ${pid} is writing the journal ${file}`, {
      hints: ['Wait for it, or name another file with --journal.'],
    })
  return things
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/**
 * Writes down what is about to be made, has it made, and writes down what Google called it. Throws `notRun` where that
 * is not allowed, or where there is such a thing already, which then is not ours.
 */
export async function make(
  google: GoogleProject,
  made: Thing,
  create: () => Promise<Reply>,
): Promise<Members> {
  const { journal } = google
  journal.add(made)
  // Where no answer comes it stays in the journal: it may be there.
  const { status, members, said } = await create()
  if (status === 200) {
    const id = kinds[made.kind].idIn(members)
    journal.add({ ...made, ...omitUndefined({ id }) })
    return members
  }
  if (status < 500 && status !== 408) journal.drop(made)
  if (status === 409 || status === 412)
    throw notRun(`the ${made.kind} exists already and is not of this run: ${said}`)
  throw notRun(`the ${made.kind} could not be made: ${said}`)
}

/** What was taken away, and what could not be. */
export interface Cleaned {
  readonly removed: readonly Thing[]
  readonly left: readonly { readonly thing: Thing; readonly why: string }[]
}

/** Takes away what the journal names, the last thing first, each by what Google called it. Never throws. */
export async function clean(google: GoogleProject): Promise<Cleaned> {
  const removed: Thing[] = []
  const left: { readonly thing: Thing; readonly why: string }[] = []
  for (const made of google.journal.things().toReversed()) {
    try {
      const why = await remove(google, made)
      if (why === undefined) removed.push(made)
      else left.push({ thing: made, why })
    } catch (error) {
      left.push({ thing: made, why: error instanceof Error ? error.message : 'it failed' })
    }
  }
  return { removed, left }
}

async function remove(google: GoogleProject, made: Thing): Promise<string | undefined> {
  const { find, withdraw, untold } = kinds[made.kind]
  const id = made.id ?? (await find?.(google, made))
  if (id === undefined && untold !== undefined) {
    google.journal.drop(made)
    return untold(made)
  }
  const reply = id === undefined ? undefined : await withdraw(google, made, id)
  if (reply !== undefined && reply.status !== 404 && (reply.status < 200 || reply.status > 299))
    return reply.said
  google.journal.drop(made)
  return undefined
}

interface Kind {
  readonly idIn: (members: Members) => string | undefined
  /** What it is called where the answer was lost; `undefined` when it is not there, or not ours. */
  readonly find?: (google: GoogleProject, made: Thing) => Promise<string | undefined>
  readonly withdraw: (google: GoogleProject, made: Thing, id: string) => Promise<Reply | undefined>
  /** For what nobody can find again: what to look at by hand. */
  readonly untold?: (made: Thing) => string
}

const textIn =
  (member: string) =>
  (members: Members): string | undefined => {
    const value = members[member]
    return typeof value === 'string' ? value : undefined
  }

/** The mark in the description of what IAM has under that name. */
async function findByDescription(
  google: GoogleProject,
  { name, mark }: Thing,
  idMember: string,
): Promise<string | undefined> {
  const { status, members, said } = await ask(google, `${google.urls.iamUrl}/v1/${name}`)
  if (status === 404) return undefined
  if (status !== 200) throw notRun(said)
  return members['description'] === mark && members['state'] !== 'DELETED'
    ? textIn(idMember)(members)
    : undefined
}

const kinds: Readonly<Record<Thing['kind'], Kind>> = {
  object: {
    idIn: textIn('generation'),
    find: async (google, { name, mark }) => {
      const { status, members, said } = await ask(google, `${google.urls.apis('storage')}/storage/v1/${name}`)
      if (status === 404) return undefined
      if (status !== 200) throw notRun(said)
      const { metadata } = members
      return isMembers(metadata) && metadata['downscope-doctor'] === mark
        ? textIn('generation')(members)
        : undefined
    },
    // That generation alone: what somebody else wrote there since stays.
    withdraw: (google, { name }, generation) =>
      ask(google, `${google.urls.apis('storage')}/storage/v1/${name}?generation=${generation}`, {
        method: 'DELETE',
      }),
  },
  'service account': {
    idIn: textIn('uniqueId'),
    find: (google, made) => findByDescription(google, made, 'uniqueId'),
    // An e-mail address may be given again, the number may not.
    withdraw: (google, { name }, uniqueId) =>
      ask(google, `${google.urls.iamUrl}/v1/${name.replace(/[^/]+$/, uniqueId)}`, { method: 'DELETE' }),
  },
  key: {
    idIn: textIn('name'),
    // Where the answer was lost it goes with its account, which is ours.
    withdraw: (google, _, name) => ask(google, `${google.urls.iamUrl}/v1/${name}`, { method: 'DELETE' }),
  },
  'bucket grant': {
    idIn: () => 'by its title',
    find: (_, { mark }) => Promise.resolve(mark),
    withdraw: (google, { name, mark }) =>
      revisePolicy(google, bucketPolicy(google, name), (bindings) =>
        bindings.filter(
          (binding) => !(isMembers(binding['condition']) && binding['condition']['title'] === mark),
        ),
      ),
  },
  'identity pool': {
    // An operation comes back; the name was given by us.
    idIn: () => undefined,
    find: (google, made) => findByDescription(google, made, 'name'),
    withdraw: (google, _, name) => ask(google, `${google.urls.iamUrl}/v1/${name}`, { method: 'DELETE' }),
  },
  'key version': {
    idIn: textIn('name'),
    withdraw: (google, _, name) =>
      ask(google, `${google.urls.kmsUrl}/v1/${name}:destroy`, { method: 'POST', json: {} }),
    untold: ({ name }) => `whether a version of ${name} was made is not known: look for a new one there`,
  },
  'TTL policy': {
    idIn: () => 'by its name',
    find: (_, { name }) => Promise.resolve(name),
    withdraw: (google, { name }) => ask(google, ttlUrl(google, name), { method: 'PATCH', json: {} }),
  },
  consent: {
    idIn: () => undefined,
    withdraw: () => Promise.resolve(undefined),
    untold: () =>
      'what was consented may still stand: take it away at https://myaccount.google.com/connections',
  },
}

export function ttlUrl({ urls }: GoogleProject, field: string): string {
  return `${urls.apis('firestore')}/v1/${field}?updateMask=ttlConfig`
}

interface PolicyPlace {
  readonly read: () => Promise<Reply>
  readonly write: (policy: Members) => Promise<Reply>
}

export function bucketPolicy(google: GoogleProject, bucket: string): PolicyPlace {
  const url = `${google.urls.apis('storage')}/storage/v1/b/${bucket}/iam`
  return {
    read: () => ask(google, `${url}?optionsRequestedPolicyVersion=3`),
    write: (policy) => ask(google, url, { method: 'PUT', json: policy }),
  }
}

export function accountPolicy(google: GoogleProject, email: string): PolicyPlace {
  const url = `${google.urls.iamUrl}/v1/projects/${google.project}/serviceAccounts/${email}`
  return {
    read: () => ask(google, `${url}:getIamPolicy?options.requestedPolicyVersion=3`, { method: 'POST' }),
    write: (policy) => ask(google, `${url}:setIamPolicy`, { method: 'POST', json: { policy } }),
  }
}

const policyTriesMax = 5

/** Changes one thing in an IAM policy and leaves what others wrote meanwhile: by its etag, again where that is another. */
export async function revisePolicy(
  { clock }: GoogleProject,
  { read, write }: PolicyPlace,
  revise: (bindings: readonly Members[]) => readonly Members[],
): Promise<Reply> {
  for (let tries = 1; ; tries += 1) {
    const policy = await read()
    if (policy.status !== 200) return policy
    const { bindings = [], etag } = policy.members
    if (typeof etag !== 'string' || !Array.isArray(bindings)) throw notRun('the IAM policy has no etag')
    const before = bindings.filter((binding) => isMembers(binding))
    const after = revise(before)
    if (after.length === before.length) return policy
    const written = await write({ ...policy.members, version: 3, bindings: after })
    if ((written.status !== 409 && written.status !== 412) || tries === policyTriesMax) return written
    await clock.sleep(1_000)
  }
}
