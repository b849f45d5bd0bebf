import type { PolicyJudgement } from '../../policy/policy-warnings.ts'
import {
  appliedPolicySchema,
  policyVersionSchema,
  policyVersionsSchema,
  validPolicySchema,
} from '../../http/credential-schemas.ts'
import type { Policy, PolicyWarning } from '../../domain/policy.ts'
import { policyAnswer, type PolicyAnswer } from '../admin-answers.ts'
import { changeOptions, connect, readOptions, type AdminClient } from '../admin-client.ts'
import { jsonOption, type ArgumentSpec, type Call, type Command } from '../command.ts'
import { createFault, isFault, type Exit } from '../fault.ts'
import { counted, note, plain, printAnswer, table, type Paint } from '../output.ts'
import { readInput } from '../files.ts'

const fileArgument: ArgumentSpec = {
  name: 'FILE',
  summary: 'the policy document, YAML or JSON; - is standard input',
  offer: 'file',
}

export const policyCommands: readonly Command[] = [
  {
    name: 'policy check',
    summary: 'check a policy file for errors, without a broker',
    details:
      'Each fault is one line that begins with file:line:column; likewise each warning of what is allowed and ' +
      'probably not meant. Status 1 when there is a fault.',
    arguments: [fileArgument],
    options: [
      { name: '--strict', summary: 'status 1 for a warning too' },
      jsonOption,
      {
        name: '--broker-issuer',
        value: 'URL',
        summary: 'the public URL of the broker it is for (DOWNSCOPE_ISSUER)',
      },
    ],
    examples: [
      'downscope policy check policy.yaml',
      'downscope policy check --strict policy.yaml',
      'git show main:policy.yaml | downscope policy check -',
    ],
    run: checkFile,
  },
  {
    name: 'policy diff',
    summary: 'show what a policy file would change',
    details: 'A unified diff. Status 0 when they are the same, 1 when they differ.',
    arguments: [fileArgument],
    options: readOptions,
    examples: ['downscope policy diff policy.yaml', 'downscope policy diff policy.yaml | less -R'],
    run: diffFile,
  },
  {
    name: 'policy apply',
    summary: 'make a policy file the policy in force',
    details:
      'Only where the policy lies in the store. A file with a mistake changes nothing; neither does one that would ' +
      'lock out whoever applies it, or that would overwrite a change made meanwhile.',
    arguments: [fileArgument],
    options: [
      {
        name: '--force',
        summary: 'even if it makes you no administrator any more; with --store, even if a policy is there',
      },
      {
        name: '--store',
        summary:
          "write into the store that the broker's own settings name (DOWNSCOPE_STORE …), beside the broker: " +
          'for the first policy, when nobody is an administrator yet',
      },
      ...changeOptions,
    ],
    examples: [
      'downscope policy apply policy.yaml',
      'DOWNSCOPE_ISSUER=https://tokens.acme.example DOWNSCOPE_KEYS="$(cat keys.txt)" downscope policy apply --store policy.yaml',
    ],
    run: (call) => (call.has('--store') ? applyToStore(call) : applyByBroker(call)),
  },
  {
    name: 'policy show',
    summary: 'print the policy in force',
    details: 'Or its versions in the store, the newest first, 20 at most.',
    options: [
      { name: '--versions', summary: 'list the versions in the store, with who applied them' },
      { name: '--revision', value: 'REVISION', summary: 'print this version of them' },
      ...readOptions,
    ],
    examples: [
      'downscope policy show > policy.yaml',
      'downscope policy show --json',
      'downscope policy show --versions',
      'downscope policy show --revision e7375fd5-1464-41d8-a9ff-3614b85af4e2 > former.yaml',
    ],
    run: showPolicy,
  },
]

async function checkFile(call: Call): Promise<Exit> {
  const { text, place } = await readPolicy(call)
  const { judgePolicy } = await import('../../policy/policy-warnings.ts')
  const brokerIssuer = call.text('--broker-issuer') ?? call.terminal.env['DOWNSCOPE_ISSUER']
  const judgement = judgePolicy({ text, origin: place, brokerIssuer })
  if (!judgement.ok) return tellFaults(call, judgement)
  const { policy, warnings } = judgement
  tellWarnings(call, place, warnings)
  printAnswer(
    call,
    { valid: true, ...sizesOf(policy), warnings: warnings.map((warning) => ({ file: place, ...warning })) },
    ({ good }) => `${place}: ${good('no mistakes')}, ${shownSizes(policy)}\n`,
  )
  return call.has('--strict') && warnings.length > 0 ? 'refused' : 'done'
}

/** One line each, as compilers do; they are in the document of `--json`. */
function tellWarnings(call: Call, place: string, warnings: readonly PolicyWarning[]): void {
  for (const { line, column, path, text } of warnings)
    note(call, ({ odd }) => `${place}:${line}:${column} ${plain(path)}: ${odd('warning:')} ${plain(text)}`)
}

function sizesOf({ issuers, rules, admins }: Policy) {
  return { issuers: issuers.length, rules: rules.length, admins: admins.length }
}

function shownSizes(policy: Policy): string {
  const { issuers, rules, admins } = sizesOf(policy)
  return `${counted(issuers, 'issuer')}, ${counted(rules, 'rule')}, ${counted(admins, 'admin rule')}`
}

function tellFaults(call: Call, { faults, lines }: PolicyJudgement & { ok: false }): Exit {
  const { stderr } = call.terminal
  if (call.has('--json')) printAnswer(call, { valid: false, faults }, () => '')
  else stderr.write(`${lines.map(plain).join('\n')}\n`)
  return 'refused'
}

async function diffFile(call: Call): Promise<Exit> {
  const { text, place } = await readPolicy(call)
  const { value } = await (await connect(call)).ask({ method: 'GET', path: 'policy', answer: policyAnswer })
  const diff = await policyDiff({ inForce: value, text, place })
  const isSame = diff === ''
  printAnswer(call, { same: isSame, revision: value.revision, ...(!isSame && { diff }) }, (paint) =>
    isSame ? `${place} is the policy in force\n` : shownDiff(diff, paint),
  )
  return isSame ? 'done' : 'refused'
}

async function applyByBroker(call: Call): Promise<Exit> {
  const { text, place } = await readPolicy(call)
  const client = await connect(call)
  const path = call.has('--force') ? 'policy?force=true' : 'policy'
  const put = {
    method: 'PUT',
    path,
    yaml: text,
    file: call.argument('FILE'),
    answer: appliedPolicySchema,
  } as const
  if (call.has('--curl')) await client.ask({ ...put, ifMatchOf: 'policy' })
  const before = await client.ask({ method: 'GET', path: 'policy', answer: policyAnswer })
  if (call.has('--dry-run')) return showApplied(call, client, { text, place, inForce: before.value })
  const { etag } = before
  if (etag === undefined) throw createFault('refused', 'the broker does not say which policy is in force')
  const { latest_revision: latest, fault } = before.value
  if (latest !== undefined)
    note(
      call,
      ({ odd }) =>
        `${odd('warning:')} this replaces revision ${plain(latest)}, which the broker does not understand: ${plain(fault ?? '')}`,
    )
  // Whoever has been told what the newer one is like replaces that, and nobody by accident.
  const ifMatch = latest === undefined ? etag : `"${latest}"`
  const applied = await naming(place, () => client.ask({ ...put, ifMatch }))
  tellWarnings(call, place, applied.value.warnings)
  printAnswer(
    call,
    applied.document,
    ({ good }) =>
      `${good('applied')} ${place}: every instance that can read the store has it within 10 seconds\n`,
  )
  note(call, ({ dim }) => dim(revisions(applied.value.revision, latest ?? before.value.revision)))
  return 'done'
}

/** `--dry-run`: the broker judges the document, and what it would change is shown. */
async function showApplied(
  call: Call,
  client: AdminClient,
  { text, place, inForce }: { readonly text: string; readonly place: string; readonly inForce: PolicyAnswer },
): Promise<Exit> {
  const { value } = await naming(place, () =>
    client.ask({
      method: 'POST',
      path: 'policy:validate',
      yaml: text,
      isRead: true,
      answer: validPolicySchema,
    }),
  )
  tellWarnings(call, place, value.warnings)
  const diff = await policyDiff({ inForce, text, place })
  printAnswer(
    call,
    { dry_run: true, same: diff === '', ...(diff !== '' && { diff }) },
    (paint) =>
      `${diff === '' ? `${place} is the policy in force\n` : shownDiff(diff, paint)}dry run, nothing was changed\n`,
  )
  return 'done'
}

function revisions(now: string, before: string): string {
  return `revision ${plain(now)}, before ${plain(before)}`
}

/** The broker knows a document's lines, but not the name that our file has. */
async function naming<T>(place: string, apply: () => Promise<T>): Promise<T> {
  try {
    return await apply()
  } catch (error) {
    if (!isFault(error)) throw error
    const hints = error.code === 'would_lock_out' ? ['If that is meant: --force'] : error.hints
    const named = error.message.replaceAll(/^policy(?=:\d+:\d+)/gm, place)
    throw createFault(error.exit, named, { ...error, hints })
  }
}

async function applyToStore(call: Call): Promise<Exit> {
  const { text, place } = await readPolicy(call)
  if (call.has('--curl'))
    throw createFault('usage', '--store writes into the store itself: there is no request to show')
  if (call.has('--dry-run')) return checkFile(call)
  const { writeFirstPolicy } = await import('../../compose/write-first-policy.ts')
  const first = { text, origin: place, mayReplace: call.has('--force') }
  const written = await writeFirstPolicy(first, call.terminal.env)
  switch (written.outcome) {
    case 'invalid':
      return tellFaults(call, written.judgement)
    case 'there_is_one':
      throw createFault('refused', `the store holds a policy already, revision ${plain(written.revision)}`, {
        hints: [
          'Whoever is an administrator by it replaces it: downscope policy apply FILE, without --store.',
          'If nobody is any more: --force',
        ],
      })
    case 'written': {
      const { revision, replaced, judgement } = written
      tellWarnings(call, place, judgement.warnings)
      printAnswer(
        call,
        { revision, replaced, ...sizesOf(judgement.policy) },
        ({ good }) =>
          `${good('written')} ${place} into the store (${shownSizes(judgement.policy)}): every broker on it has it within 10 seconds\n`,
      )
      if (replaced !== undefined) note(call, ({ dim }) => dim(revisions(revision, replaced)))
      return 'done'
    }
  }
}

async function showVersions(call: Call, client: AdminClient): Promise<Exit> {
  const { value, document } = await client.ask({
    method: 'GET',
    path: 'policy/versions',
    answer: policyVersionsSchema,
  })
  const rows = value.versions.map((one) =>
    [String(one.number), one.applied_at, one.by, one.revision].map(plain),
  )
  printAnswer(call, document, ({ bold }) =>
    rows.length === 0
      ? 'The policy lies in a file or a setting: versions are kept there.\n'
      : table([['VERSION', 'APPLIED', 'BY', 'REVISION'].map(bold), ...rows]),
  )
  return 'done'
}

async function showPolicy(call: Call): Promise<Exit> {
  const client = await connect(call)
  if (call.has('--versions')) return showVersions(call, client)
  const revision = call.text('--revision')
  if (revision !== undefined) {
    const path = `policy/versions/${encodeURIComponent(revision)}`
    const found = await client.ask({ method: 'GET', path, answer: policyVersionSchema })
    printAnswer(call, found.document, () => found.value.document)
    note(call, ({ dim }) =>
      dim(`# version ${found.value.number}, by ${plain(found.value.by)}, ${plain(found.value.applied_at)}`),
    )
    return 'done'
  }
  const { value, document } = await client.ask({ method: 'GET', path: 'policy', answer: policyAnswer })
  printAnswer(call, document, () => (value.document.endsWith('\n') ? value.document : `${value.document}\n`))
  note(call, ({ dim }) =>
    dim(`# revision ${plain(value.revision)}, from ${plain(value.origin)}, loaded ${plain(value.loaded_at)}`),
  )
  if (value.fault !== undefined)
    note(
      call,
      ({ bad }) =>
        `${bad('stale:')} a newer document is broken, and this one stays: ${plain(value.fault ?? '')}`,
    )
  return 'done'
}

async function readPolicy(call: Call): Promise<{ readonly text: string; readonly place: string }> {
  const file = call.argument('FILE')
  return { text: await readInput(file, call.terminal), place: file === '-' ? 'standard input' : file }
}

interface PoliciesToCompare {
  readonly inForce: { readonly document: string; readonly revision: string }
  readonly text: string
  /** What the other one is called: a file, for example. */
  readonly place: string
}

/** The unified diff from the policy in force to another; empty when they are the same. */
async function policyDiff({ inForce, text, place }: PoliciesToCompare): Promise<string> {
  const { document, revision } = inForce
  if (document === text) return ''
  const { createTwoFilesPatch } = await import('diff')
  return createTwoFilesPatch('policy in force', place, document, text, revision, undefined, { context: 3 })
}

/** As people read it on a terminal. */
function shownDiff(diff: string, paint: Paint): string {
  return diff
    .split('\n')
    .slice(1)
    .map((line) => {
      if (line.startsWith('@@')) return paint.dim(line)
      if (/^(?:---|\+\+\+) /.test(line)) return paint.bold(line)
      if (line.startsWith('+')) return paint.good(line)
      return line.startsWith('-') ? paint.bad(line) : line
    })
    .join('\n')
}
