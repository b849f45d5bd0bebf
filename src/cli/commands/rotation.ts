import { setTimeout as wait } from 'node:timers/promises'
import { credentialAnswer, type CredentialAnswer, type RotationAnswer } from '../admin-answers.ts'
import { askAndPrint, changeOptions, connect, type AdminClient } from '../admin-client.ts'
import {
  type Call,
  type Command,
  credentialPath,
  nameArgument,
  scopeOption,
  scopesGiven,
  wholeNumber,
} from '../command.ts'
import { type Exit, createFault } from '../fault.ts'
import { type Paint, note, printAnswer, withProgress, type Progress, counted, plain } from '../output.ts'
import { readJsonInput } from '../files.ts'
import { stepWords } from './versions.ts'

export const rotationCommands: readonly Command[] = [
  {
    name: 'credentials rotate',
    summary: 'replace the secret of a credential while it stays in use',
    details:
      'A service-account key is made by the broker itself; any other secret is brought with --with. The new one is ' +
      'proved before it is used, and the old one stands by until then (docs/rotation.md).',
    arguments: [nameArgument],
    options: [
      {
        name: '--with',
        value: 'FILE',
        summary: 'a new credential file, - is standard input, in place of a key that the broker makes',
        offer: 'file',
      },
      scopeOption('with --with: a scope that was consented to; may be repeated'),
      { name: '--withdraw-former', summary: 'with --with: withdraw the secret it replaces upstream too' },
      { name: '--keep-former', summary: 'with --with: leave the secret it replaces as it is upstream' },
      { name: '--abort', summary: 'take back a rotation whose new version is not active yet' },
      { name: '--wait', summary: 'until the new version is active, and show how far it is' },
      ...changeOptions,
    ],
    examples: [
      'downscope credentials rotate reports-sa --wait',
      'downscope credentials rotate team-calendar --with new-consent.json --scope https://www.googleapis.com/auth/calendar.readonly',
      'downscope credentials rotate reports-sa --abort',
    ],
    run: rotate,
  },
  {
    name: 'credentials schedule',
    summary: 'set after how many days a credential is rotated automatically',
    arguments: [nameArgument],
    options: [
      { name: '--after', value: 'DAYS', summary: 'how old the active version may become' },
      { name: '--never', summary: 'rotate it by hand only' },
      ...changeOptions,
    ],
    examples: [
      'downscope credentials schedule reports-sa --after 90',
      'downscope credentials schedule reports-sa --never',
    ],
    run: schedule,
  },
]

const pollMs = 2_000
/** A key of a service account may take a minute to be known everywhere, and is proved three times. */
const waitMsMax = 300_000

async function rotate(call: Call): Promise<Exit> {
  const client = await connect(call)
  const begun = await begin(call, client)
  const isWaiting = call.has('--wait') && isUnderWay(begun.value.rotation)
  const { value, document } = isWaiting
    ? await withProgress(call, `Rotating ${plain(begun.value.name)}`, (progress) =>
        untilActive(call, client, progress),
      )
    : begun
  if (isWaiting && !isUnderWay(value.rotation) && value.version === begun.value.version)
    throw createFault('refused', `the rotation of ${plain(value.name)} ended, and no new version is active`, {
      hints: ["The broker's log says why; docs/rotation.md tells how to read it."],
    })
  printAnswer(call, document, (paint) => describe(value, paint))
  if (!isUnderWay(value.rotation)) return 'done'
  note(call, ({ dim }) =>
    dim(
      `downscope credentials show ${plain(value.name)} tells how far it is; downscope maintenance run goes on with it.`,
    ),
  )
  return isWaiting ? 'refused' : 'done'
}

async function begin(call: Call, client: AdminClient) {
  const file = call.text('--with')
  if (call.has('--abort') && call.has('--wait'))
    throw createFault('usage', '--wait is for a rotation that goes on, and --abort takes it back')
  if (file === undefined) {
    const given = ['--withdraw-former', '--keep-former'].find((option) => call.has(option))
    if (given !== undefined || call.texts('--scope').length > 0)
      throw createFault('usage', `${given ?? '--scope'} goes with --with FILE`)
    const path = credentialPath(call, call.has('--abort') ? ':abort' : ':rotate')
    return client.ask({ method: 'POST', path, answer: credentialAnswer })
  }
  if (call.has('--abort')) throw createFault('usage', '--abort and --with exclude each other')
  const body = {
    secret: await readJsonInput(file, call.terminal),
    scopes: scopesGiven(call),
    ...withdrawal(call),
  }
  const path = credentialPath(call, '/versions')
  return client.ask({ method: 'POST', path, body, file, answer: credentialAnswer })
}

function withdrawal(call: Call): { readonly withdraw_former?: boolean } {
  const [isWithdrawn, isKept] = [call.has('--withdraw-former'), call.has('--keep-former')]
  if (isWithdrawn && isKept)
    throw createFault('usage', '--withdraw-former and --keep-former exclude each other')
  return isWithdrawn || isKept ? { withdraw_former: isWithdrawn } : {}
}

/** From `overlap` on the new version is active, and what follows takes care of the old one. */
function isUnderWay(rotation: RotationAnswer | undefined): rotation is RotationAnswer {
  return rotation !== undefined && rotation.step !== 'overlap' && rotation.step !== 'disable'
}

async function untilActive(call: Call, client: AdminClient, progress: Progress) {
  const endMs = performance.now() + waitMsMax
  for (;;) {
    await wait(pollMs)
    const answer = await client.ask({ method: 'GET', path: credentialPath(call), answer: credentialAnswer })
    const { name, rotation } = answer.value
    if (!isUnderWay(rotation) || performance.now() > endMs) return answer
    progress.say(`Rotating ${plain(name)}: ${stepWords(rotation)}`)
  }
}

async function schedule(call: Call): Promise<Exit> {
  const days = wholeNumber(call, '--after', { min: 1, max: 3_650 })
  if ((days === undefined) !== call.has('--never'))
    throw createFault('usage', 'schedule required: pass either --after DAYS or --never')
  const body = { rotate_after_days: days ?? null }
  const change = { method: 'PATCH', path: credentialPath(call), body, answer: credentialAnswer } as const
  await askAndPrint(call, change, ({ name, rotate_after_days: after }, { bold }) => {
    const when = after === undefined ? 'by hand only' : `when its version is ${counted(after, 'day')} old`
    return `${bold(plain(name))} is rotated ${when}\n`
  })
  return 'done'
}

function describe({ name, version, rotation }: CredentialAnswer, { bold, good, odd }: Paint): string {
  if (isUnderWay(rotation)) return `${bold(plain(name))}: ${odd('rotating')}, ${stepWords(rotation)}\n`
  const after = rotation === undefined ? '' : `; ${stepWords(rotation)}`
  return `${bold(plain(name))}: ${good(`version ${plain(version)} is active`)}${after}\n`
}
