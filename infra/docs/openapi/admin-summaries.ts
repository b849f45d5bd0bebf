import type { adminRoutes } from '../../../src/http/admin-routes.ts'

/**
 * What each route of the admin API does: one sentence for people, without a full stop. Beside the code it would be part
 * of every Worker.
 */
export const adminSummaries: Readonly<Record<keyof typeof adminRoutes, string>> = {
  listCredentials: 'The credentials, in the order of their names',
  enrolCredential: "Enrols a credential; `secret` is one of Google's own credential files as it is",
  readCredential: 'One credential, without its secret',
  deleteCredential: 'Destroys a credential and its secret',
  disableCredential:
    'Takes a credential out of service; no instance that can read the store serves its tokens 10 s later',
  enableCredential: 'Puts a disabled credential back into service',
  revokeCredential:
    'Revokes a credential for good: here first, then upstream; again, to finish what failed there',
  destroyCredential: 'The same as DELETE',
  startConnection: 'Asks for consent: gives a link for whoever is to consent, and a nonce to finish with',
  readConnection: 'What became of a request for consent',
  finalizeConnection: 'Enrols what was consented to; only whoever asked can, with the nonce',
  readPolicy: 'The policy in force',
  applyPolicy:
    'Replaces the policy that `If-Match` names; one that would lock out whoever applies it needs `force=true`',
  validatePolicy: 'Judges a policy without applying it',
  explainPolicy: 'Why a caller would get, or not get, what it asks for; or why a request was refused',
  suggestPolicy: 'What the policy could lose and still have served every request of the last days',
  rewrapKeys: 'Seals the next `limit` records anew under the first key of the ring',
  listVersions: 'The versions of a credential, oldest first, without their secrets',
  bringVersion: 'Brings a new secret as the next version, which is proved and then replaces the active one',
  disableVersion:
    'Takes a version out of service; no instance that can read the store serves its tokens 10 s later',
  destroyVersion: 'Drops the secret of a disabled version',
  rotateCredential: 'Begins to replace a service-account key, or shows the rotation that is under way',
  abortRotation: 'Takes back a rotation whose new version is not active yet',
  changeCredential: 'Changes when a credential is rotated, and how access boundaries are put on its tokens',
  runMaintenance: 'Rotates, removes, probes and sweeps what is due; for a scheduler',
  whoami: 'Who asks, and the highest role that policy gives them',
  readService: 'How this instance fares: version, clock, store, key ring, policy, switches, settings',
  stopService:
    'The kill switch: no instance that can read the store serves a token 10 s later; the admin API goes on',
  resumeService: 'Lets tokens be served again',
  listBlockedCallers: 'The callers that are blocked',
  revokeCaller:
    'Blocks a caller: within 10 s no instance that can read the store gives it a token or lets it use the admin API',
  readAudit: 'The audit records in the store, newest first, as far as they match every filter',
  restoreCaller: 'Lets a blocked caller in again, as far as policy does',
}
