import type { MintedToken } from '../../domain/token.ts'
import { Secret } from '../../domain/secret.ts'
import { ask, notRun } from './google-project.ts'
import {
  judgeReach,
  makesAccount,
  readOnly,
  unexpected,
  type Check,
  type CheckOptions,
  type Reached,
  type Scene,
} from './live-scene.ts'

const onBucket = [
  makesAccount,
  'two small objects below downscope-doctor/ in the bucket',
  'a role for that account on these objects, in the IAM policy of the bucket',
] as const

/** What credential access boundaries do to a token, by the Security Token Service and sealed locally. */
export const boundaryChecks: readonly Check[] = [
  {
    name: 'boundary',
    claim:
      'a boundary with a condition on the name and on the prefix of lists opens what it names, and nothing else',
    creates: onBucket,
    run: async (scene, { email }) => {
      const source = await scene.sourceOf(email ?? (await scene.account()))
      return scene.reach((await bounded(scene, source)).secret)
    },
  },
  {
    name: 'boundary-narrow-source',
    claim: 'the Security Token Service bounds a token of devstorage.read_only (else: boundary_source)',
    creates: onBucket,
    run: async (scene, { email }) => {
      const own = email ?? (await scene.account())
      await scene.sourceOf(own)
      const { token } = await scene.tokenOf(own, [readOnly])
      return scene.reach((await bounded(scene, token)).secret)
    },
  },
  {
    name: 'boundary-conditions',
    claim: 'a condition on request.time is refused, so that refusing it early takes nothing from anybody',
    creates: onBucket,
    run: async (scene, { email }) => {
      const source = await scene.sourceOf(email ?? (await scene.account()))
      const result = await scene.exchange(source, [
        {
          availableResource: `//storage.googleapis.com/projects/_/buckets/${scene.google.bucket}`,
          availablePermissions: ['inRole:roles/storage.objectViewer'],
          availabilityCondition: { expression: "request.time < timestamp('2100-01-01T00:00:00Z')" },
        },
      ])
      return refused(result, 'a condition on request.time')
    },
  },
  {
    name: 'boundary-twice',
    claim: 'a bounded token cannot be bounded again',
    creates: onBucket,
    run: async (scene, { email }) => {
      const source = await scene.sourceOf(email ?? (await scene.account()))
      return refused(await scene.exchange(await bounded(scene, source)), 'a second boundary')
    },
  },
  {
    name: 'boundary-beyond-storage',
    claim: 'a token of cloud-platform with a boundary reaches no service but Cloud Storage',
    creates: onBucket,
    run: async (scene, { email }) => {
      const source = await scene.sourceOf(email ?? (await scene.account()))
      const accounts = await scene.reachBeyond((await bounded(scene, source)).secret, source)
      const own = await scene.operatorSource()
      const yours = await scene.reachBeyond((await bounded(scene, own)).secret, own, true)
      return {
        isAsMeant: accounts.isAsMeant && yours.isAsMeant,
        saw: `of the account: ${accounts.saw}; of yours: ${yours.saw}`,
      }
    },
  },
  {
    name: 'sealed-boundary',
    claim: 'a boundary that is sealed locally opens exactly what the same boundary opens otherwise',
    creates: onBucket,
    run: async (scene, { email }) => {
      const { token } = await scene.sealed(email ?? (await scene.account()))
      return scene.reach(token)
    },
  },
  {
    name: 'sealed-boundary-beyond-storage',
    claim: 'a locally bounded token reaches no service but Cloud Storage',
    creates: onBucket,
    run: async (scene, { email }) => {
      const own = email ?? (await scene.account())
      const { token } = await scene.sealed(own)
      return scene.reachBeyond(token, await scene.sourceOf(own))
    },
  },
  {
    name: 'intermediary-alone',
    claim: 'an intermediary token without its sealed boundary is refused everywhere',
    creates: onBucket,
    run: proveIntermediary,
  },
]

async function bounded(scene: Scene, source: MintedToken) {
  const result = await scene.exchange(source)
  if (!result.ok) throw unexpected(`no boundary is put on: ${result.reason}`)
  return result.token
}

function refused(result: Awaited<ReturnType<Scene['exchange']>>, what: string): Reached {
  return { isAsMeant: !result.ok, saw: result.ok ? `${what} is taken` : result.reason }
}

/** The sealed token works, so that a refusal is about the missing boundary and about nothing else. */
async function proveIntermediary(scene: Scene, { email }: CheckOptions): Promise<Reached> {
  const { google } = scene
  const own = email ?? (await scene.account())
  const { bare, token } = await scene.sealed(own)
  const control = await scene.reach(token)
  if (!control.isAsMeant) throw notRun(`the sealed token does not do what it should: ${control.saw}`)
  const [, suffix = ''] = token.reveal().split(`${bare.reveal()}.`)
  const middle = Math.floor(suffix.length / 2)
  const changed = `${suffix.slice(0, middle)}${suffix[middle] === 'A' ? 'B' : 'A'}${suffix.slice(middle + 1)}`
  const list = `${google.urls.apis('storage')}/storage/v1/b/${google.bucket}/o?maxResults=1&prefix=downscope-doctor/${google.run}/in/`
  const told = []
  for (const [what, text] of [
    ['alone', bare.reveal()],
    ['with an empty boundary', `${bare.reveal()}.`],
    ['with a changed boundary', `${bare.reveal()}.${changed}`],
  ] as const)
    told.push([what, false, await ask(google, list, { token: new Secret(text) })] as const)
  const storage = judgeReach(told)
  const beyond = await scene.reachBeyond(bare, await scene.sourceOf(own))
  return { isAsMeant: storage.isAsMeant && beyond.isAsMeant, saw: `${storage.saw}; alone at ${beyond.saw}` }
}
