import { existsSync, readFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { newSealingKey } from '../../compose/keys.ts'
import { createFault } from '../fault.ts'
import { createPerson, issuerEntry, personIn, type Person } from '../terminal.ts'
import { writeNewFile } from '../files.ts'

/** What a broker of one folder begins with. */
export interface FirstFiles {
  readonly policyFile: string
  readonly sealingKeys: string
}

/**
 * Makes what is missing of keys and policy; what is there stays, and a policy that is made trusts the keys that are
 * there. The policy comes last: where it is, all is.
 */
export function makeFirstFiles(folder: string, developmentIssuer?: string): FirstFiles {
  const [policyFile, keysFile] = [join(folder, 'policy.yaml'), join(folder, 'keys.txt')]
  if (!existsSync(keysFile)) writeNewFile(keysFile, `${newSealingKey()}\n`)
  if (!existsSync(policyFile)) {
    const [admin, caller] = [personAt(folder, 'admin', 'ops'), personAt(folder, 'my-service', 'my-service')]
    const parts = { admin: issuerEntry(admin, 'ops'), caller: issuerEntry(caller, 'my-service') }
    writeNewFile(policyFile, firstPolicy({ ...parts, people: peopleOf(developmentIssuer) }))
  }
  return { policyFile, sealingKeys: readFileSync(keysFile, 'utf8').trim() }
}

function personAt(folder: string, file: string, issuer: string): Person {
  const path = join(folder, `${file}.jwk.json`)
  if (existsSync(path)) {
    const person = personIn(readFileSync(path, 'utf8'))
    if (person?.issuer === issuer) return person
    throw createFault('usage', `${path} holds no key of ${issuer}`, {
      hints: ['Delete it, and the next start makes one.'],
    })
  }
  const person = createPerson(issuer)
  writeNewFile(path, `${JSON.stringify(person.privateJwk)}\n`)
  return person
}

interface PolicyParts {
  readonly admin: string
  readonly caller: string
  readonly people: PeopleParts
}

/** Lines of a policy, empty where there is no development issuer. */
export interface PeopleParts {
  readonly issuer: string
  readonly admins: string
  readonly upstream: string
  readonly rule: string
}

/** What the policy says of the development issuer: its people by their groups, and what can be connected there. */
export function peopleOf(issuer: string | undefined): PeopleParts {
  if (issuer === undefined) return { issuer: '', admins: '', upstream: '', rule: '' }
  const roles = { admins: 'admin', operators: 'operator', auditors: 'auditor', viewers: 'viewer' }
  const admins = Object.entries(roles).map(
    ([group, role]) => `  - callers: [{ issuer: people, subject: "*", claims: { groups: ${group} } }]
    role: ${role}
`,
  )
  return {
    issuer: `  - name: people        # the development issuer: it lets anybody in, and no broker elsewhere trusts it
    issuer: ${issuer}
    keys: { discovery: true }
`,
    admins: admins.join(''),
    upstream: `
upstreams:          # where people consent: downscope connect notes --upstream dev --client dev-client --scopes notes.read
  - name: dev
    issuer: ${issuer}
    discovery: true
    client_auth: client_secret_basic
`,
    rule: `  - name: my service reads notes
    callers: [{ issuer: my-service, subject: my-service }]
    credential: notes
    scopes: [notes.read]
`,
  }
}

function firstPolicy({ admin, caller, people }: PolicyParts): string {
  return `# Who may have which token. The broker sees a change of this file within seconds, and keeps the last good one if a
# change has a fault. What is changed in the console comes into this file. Every key is explained in docs/policy.md.
version: 1

issuers:            # whose signatures count
${admin}${caller}${people.issuer}
admins:
  - callers: [{ issuer: ops, subject: ops }]
    role: admin
${people.admins}${people.upstream}
rules:              # the first rule that matches caller and credential decides
  - name: my service reads objects
    callers: [{ issuer: my-service, subject: my-service }]
    credential: reports-sa
    scopes: [https://www.googleapis.com/auth/devstorage.read_only]
${people.rule}`
}

/**
 * Makes a folder ours, for its owner alone, until the function it returns is called. Throws while another process that
 * lives has it; `elsewhere` is the command that takes another one.
 */
export function takeFolder(folder: string, elsewhere: string): () => void {
  const pidFile = join(folder, 'pid')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const pid = readPid(pidFile)
  if (pid !== undefined && pid !== process.pid && isAlive(pid))
    throw new Error(
      `another one (process ${pid}) is using ${folder}. End it with Ctrl-C, or use another folder: ${elsewhere}`,
    )
  writeFileSync(pidFile, String(process.pid), { mode: 0o600 })
  return () => rmSync(pidFile, { force: true })
}

function readPid(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'))
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Somebody else's process: that number was given anew.
    return error instanceof Error && 'code' in error && error.code !== 'ESRCH' && error.code !== 'EPERM'
  }
}
