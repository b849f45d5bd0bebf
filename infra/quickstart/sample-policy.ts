import type { JWK } from 'jose'
import { peopleOf } from '../../src/cli/dev/first-files.ts'
import type { SampleCallers } from './sample-callers.ts'

export const devstorageReadOnly = 'https://www.googleapis.com/auth/devstorage.read_only'
export const calendarReadOnly = 'https://www.googleapis.com/auth/calendar.readonly'
export const driveReadOnly = 'https://www.googleapis.com/auth/drive.readonly'

/** The quickstart's policy, for people to read and change. `rules` come last, so that one can be appended. */
export function samplePolicy(
  { workload, billing, admin }: SampleCallers,
  /** The development issuer, if there is one. */
  peopleIssuer?: string,
): string {
  const people = peopleOf(peopleIssuer)
  return `# Who may have which token. The broker sees a change of this file within seconds, and keeps the last good one if
# a change has a fault: the log says where. Every key is explained in docs/policy.md.
version: 1

issuers:                                # whose signatures count
  - name: cluster                       # a platform that signs for its workloads
    issuer: ${workload.issuer}
    keys: { jwks: { keys: [ ${jwk(workload.publicJwk)} ] } }
    lifetime_seconds_max: 3600
    replay: allowed                     # workloads show the same JWT many times
  - name: billing                       # a service that signs for itself; each of its JWTs counts once
    issuer: ${billing.issuer}
    self_issued: true
    keys: { jwks: { keys: [ ${jwk(billing.publicJwk)} ] } }
  - name: login                         # an administrator with a key
    issuer: ${admin.issuer}
    keys: { jwks: { keys: [ ${jwk(admin.publicJwk)} ] } }
    lifetime_seconds_max: 3600
    replay: allowed
${people.issuer}
admins:
  - callers: [{ issuer: login, subject: ${admin.subject} }]
    role: admin
${people.admins}${people.upstream}
rules:                                  # the first rule that matches caller and credential decides
  - name: reports workloads read one bucket
    callers:
      - issuer: cluster
        subject: "system:serviceaccount:reports:*"
        claims: { /kubernetes.io/namespace: reports }
    credential: reports-sa
    scopes: [${devstorageReadOnly}]
    boundary:                           # and no other bucket, whatever the service account may do
      - availableResource: //storage.googleapis.com/projects/_/buckets/acme-reports
        availablePermissions: ["inRole:roles/storage.objectViewer"]

  - name: billing reads the team's calendar
    callers: [{ issuer: billing, subject: billing }]
    credential: team-calendar
    scopes: [${calendarReadOnly}]
`
}

function jwk({ kty, crv, x, y, kid, alg }: JWK): string {
  return `{ kty: ${kty}, crv: ${crv}, kid: ${kid}, alg: ${alg}, x: "${x}", y: "${y}" }`
}
