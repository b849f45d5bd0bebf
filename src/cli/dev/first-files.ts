import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { newSealingKey } from '../../compose/sealing-key.ts'
import { createFault } from '../fault.ts'
import { createPerson, issuerEntry, personIn, type Person } from '../person.ts'
import { writeNewFile } from '../write-new-file.ts'

/** What a broker of one folder begins with. */
export interface FirstFiles {
  readonly policyFile: string
  readonly sealingKeys: string
}

/**
 * Makes what is missing of keys and policy; what is there stays, and a policy that is made trusts the keys that are
 * there. The policy comes last: where it is, all is.
 */
export function makeFirstFiles(folder: string): FirstFiles {
  const [policyFile, keysFile] = [join(folder, 'policy.yaml'), join(folder, 'keys.txt')]
  if (!existsSync(keysFile)) writeNewFile(keysFile, `${newSealingKey()}\n`)
  if (!existsSync(policyFile)) {
    const [admin, caller] = [personAt(folder, 'admin', 'ops'), personAt(folder, 'my-service', 'my-service')]
    writeNewFile(policyFile, firstPolicy(issuerEntry(admin, 'ops'), issuerEntry(caller, 'my-service')))
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

function firstPolicy(admin: string, caller: string): string {
  return `# Who may have which token. The broker sees a change of this file within seconds, and keeps the last good one if a
# change has a fault: downscope policy check says where. Every key is explained in docs/policy.md.
version: 1

issuers:            # whose signatures count
${admin}${caller}
admins:
  - callers: [{ issuer: ops, subject: ops }]
    role: admin

rules:              # the first rule that matches caller and credential decides
  - name: my service reads objects
    callers: [{ issuer: my-service, subject: my-service }]
    credential: reports-sa
    scopes: [https://www.googleapis.com/auth/devstorage.read_only]
`
}
