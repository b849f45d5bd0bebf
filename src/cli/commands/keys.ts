import { isSealingKeyName, newSealingKey } from '../../compose/keys.ts'
import { epochSeconds, type EpochSeconds } from '../../domain/time.ts'
import { jsonOption, type Call, type Command } from '../command.ts'
import { type Exit, createFault } from '../fault.ts'
import { createPerson, issuerEntry, type Person } from '../terminal.ts'
import { json, note, printAnswer } from '../output.ts'
import { readTextFile, refuseExisting, writeNewFile } from '../files.ts'
import { dryRunOption, showNothingDone } from '../request-shown.ts'

export const keyCommands: readonly Command[] = [
  {
    name: 'keys generate',
    summary: 'generate a key for sealing, for signing, for an administrator or for a caller',
    details:
      'sealing: a line for DOWNSCOPE_KEYS. signing: a set for DOWNSCOPE_SIGNING_KEYS. admin and caller: a private ' +
      'key in FILE, and its public half for the policy. A file is never overwritten, and its owner alone may read it.',
    arguments: [
      { name: 'KIND', summary: 'what it is for', offer: ['sealing', 'signing', 'admin', 'caller'] },
      {
        name: 'FILE',
        summary: 'where the key goes; sealing and signing keys go to standard output without it',
        isOptional: true,
        offer: 'file',
      },
    ],
    options: [
      { name: '--kid', value: 'NAME', summary: 'what a sealing key is called; by default by the time' },
      { name: '--alg', value: 'ALG', summary: 'of a signing key', offer: ['ES256', 'RS256'] },
      {
        name: '--add-to',
        value: 'FILE',
        summary: 'a set of signing keys: the new one is published with them, and signs later',
        offer: 'file',
      },
      {
        name: '--signs-in',
        value: 'HOURS',
        summary: 'when a key that is added begins to sign; by default in 24 hours',
      },
      {
        name: '--issuer',
        value: 'NAME',
        summary: 'as whom an admin or caller signs; by default ops, or the subject',
      },
      { name: '--subject', value: 'NAME', summary: 'by default the issuer' },
      dryRunOption,
      jsonOption,
    ],
    examples: [
      'downscope keys generate sealing > downscope-keys.txt',
      'downscope keys generate admin admin.jwk.json',
      'downscope keys generate caller billing.jwk.json --issuer billing',
      'downscope keys generate signing signing-keys.json',
      'downscope keys generate signing both.json --add-to signing-keys.json',
    ],
    run: generate,
  },
]

async function generate(call: Call): Promise<Exit> {
  switch (call.argument('KIND')) {
    case 'sealing':
      return printKey(call, `${sealingKey(call.text('--kid'))}\n`)
    case 'signing':
      return printKey(call, await signingKeys(call))
    case 'admin':
      return writePerson(call, call.text('--issuer') ?? 'ops', 'admins')
    case 'caller': {
      const issuer = call.text('--issuer')
      if (issuer === undefined)
        throw createFault('usage', 'issuer required: pass --issuer, for example --issuer billing')
      return writePerson(call, issuer, 'rules')
    }
    default:
      throw createFault('usage', 'KIND is sealing, signing, admin or caller')
  }
}

function sealingKey(kid: string | undefined): string {
  if (kid === undefined || isSealingKeyName(kid)) return newSealingKey(kid)
  throw createFault('usage', '--kid is 1 to 32 letters, digits, "_", "." and "-", a letter or a digit first')
}

async function signingKeys(call: Call): Promise<string> {
  const before = call.text('--add-to')
  const { extendSigningKeys } = await import('../../compose/keys.ts')
  const reading = await extendSigningKeys(
    before === undefined ? undefined : await readTextFile(before),
    call.text('--alg') === 'RS256' ? 'RS256' : 'ES256',
    signsFrom(call.text('--signs-in') ?? '24'),
  )
  if (reading.ok) return reading.value
  throw createFault('usage', `${before ?? 'the set'} ${reading.faults.join('; ')}`)
}

function signsFrom(hours: string): EpochSeconds {
  if (!/^\d{1,4}$/.test(hours)) throw createFault('usage', '--signs-in is a whole number of hours')
  return epochSeconds(Math.floor(Date.now() / 1000) + Number(hours) * 3600)
}

function printKey(call: Call, text: string): Exit {
  const file = call.text('FILE')
  if (call.has('--dry-run')) return wouldWrite(call, file, 'a new key would be printed on standard output')
  if (file === undefined) {
    const isSet = text.startsWith('{')
    call.terminal.stdout.write(call.has('--json') && !isSet ? json({ keys: text.trim() }) : text)
    return 'done'
  }
  writeNewFile(file, text)
  printAnswer(call, { file }, ({ good }) => `${good('written')} ${file}: keep it where you keep secrets\n`)
  return 'done'
}

function writePerson(call: Call, issuer: string, part: 'admins' | 'rules'): Exit {
  const file = call.text('FILE')
  if (file === undefined) throw createFault('usage', 'file required: name the FILE for the private key')
  if (call.has('--dry-run')) return wouldWrite(call, file, '')
  const person = createPerson(issuer, call.text('--subject'))
  writeNewFile(file, `${JSON.stringify(person.privateJwk)}\n`)
  const { subject, publicJwk: jwk } = person
  printAnswer(call, { file, issuer, subject, jwk }, () => policyPart(person, part))
  note(
    call,
    ({ good, dim }) =>
      `${good('written')} ${file} ${dim('(the private key). The lines above go into the policy.')}`,
  )
  return 'done'
}

function wouldWrite(call: Call, file: string | undefined, otherwise: string): Exit {
  if (file === undefined) return showNothingDone(call, {}, otherwise)
  refuseExisting(file)
  return showNothingDone(call, { file }, `a new key would be written to ${file}`)
}

/** What makes the policy know the key, to paste. */
function policyPart(person: Person, part: 'admins' | 'rules'): string {
  const { issuer, subject } = person
  const name = /^[a-z0-9][a-z0-9._-]{0,62}$/.test(issuer) ? issuer : 'people'
  const entry = `issuers:\n${issuerEntry(person, name)}`
  if (part === 'rules') return entry
  return `${entry}admins:
  - callers: [{ issuer: ${name}, subject: ${JSON.stringify(subject)} }]
    role: admin
`
}
