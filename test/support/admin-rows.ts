import type { NeededRole } from '../../src/domain/policy.ts'
import { collection, enrolment } from './call-admin.ts'

/** A request to one route, and its answer by the fake HTTP layer. */
export interface AdminRow {
  readonly line: string
  readonly needed: NeededRole
  readonly status: number
  readonly action: string
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

const reports = `${collection}/reports-sa`
const admin = '/v1/admin'
const caller = { issuer: 'billing', subject: 'billing' }

const credentialRows: readonly AdminRow[] = [
  row('viewer', `GET ${collection}`, 'credential.list'),
  row('viewer', `GET ${reports}`, 'credential.read'),
  row('admin', `POST ${collection}`, 'credential.enrol', { status: 201, body: enrolment }),
  row('operator', `POST ${reports}:disable`, 'credential.disable'),
  row('operator', `POST ${reports}:enable`, 'credential.enable'),
  row('operator', `POST ${reports}:revoke`, 'credential.revoke'),
  row('admin', `POST ${reports}:destroy`, 'credential.destroy', { status: 204 }),
  row('admin', `DELETE ${reports}`, 'credential.destroy', { status: 204 }),
]

const connections = `${admin}/connections`
const connectionRows: readonly AdminRow[] = [
  row('admin', `POST ${connections}`, 'connection.start', {
    status: 201,
    body: { name: 'team', upstream: 'google', client: 'google-client', scopes: ['read'] },
  }),
  row('admin', `GET ${connections}/1`, 'connection.read'),
  row('admin', `POST ${connections}/1:finalize`, 'connection.finalize', { body: { nonce: 'n' } }),
]

const policyRows: readonly AdminRow[] = [
  row('viewer', `GET ${admin}/policy`, 'policy.read'),
  row('admin', `PUT ${admin}/policy`, 'policy.apply', {
    body: 'version: 1\nrules: []',
    headers: { 'if-match': '"r1"' },
  }),
  row('viewer', `POST ${admin}/policy:validate`, 'policy.validate', { body: 'version: 1' }),
]

const adviceRows: readonly AdminRow[] = [
  row('auditor', `POST ${admin}/policy:explain`, 'policy.explain', { body: { request_id: 'r1' } }),
  row('viewer', `POST ${admin}/policy:suggest`, 'policy.suggest', { body: {} }),
]

const rewrapRows: readonly AdminRow[] = [row('admin', `POST ${admin}/keys:rewrap`, 'keys.rewrap')]

const storeRows: readonly AdminRow[] = [
  row('admin', `GET ${admin}/store`, 'store.export'),
  row('admin', `POST ${admin}/store`, 'store.import', {
    body: '{}',
    headers: { 'content-type': 'application/jsonl' },
  }),
]

const rotationRows: readonly AdminRow[] = [
  row('viewer', `GET ${reports}/versions`, 'version.list'),
  row('admin', `POST ${reports}/versions`, 'version.bring', {
    status: 201,
    body: { secret: enrolment.secret, withdraw_former: false },
  }),
  row('operator', `POST ${reports}/versions/1:disable`, 'version.disable'),
  row('admin', `POST ${reports}/versions/1:destroy`, 'version.destroy'),
  row('operator', `POST ${reports}:rotate`, 'credential.rotate'),
  row('operator', `POST ${reports}:abort`, 'credential.abort'),
  row('admin', `PATCH ${reports}`, 'credential.change', { body: { rotate_after_days: 90 } }),
  row('operator', `POST ${admin}/maintenance:run`, 'maintenance.run'),
]

const serviceRows: readonly AdminRow[] = [
  row('any', `GET ${admin}/whoami`, 'admin.whoami'),
  row('viewer', `GET ${admin}/service`, 'service.read'),
  row('operator', `POST ${admin}/service:stop`, 'service.stop'),
  row('admin', `POST ${admin}/service:resume`, 'service.resume'),
  row('viewer', `GET ${admin}/callers`, 'caller.list'),
  row('operator', `POST ${admin}/callers:revoke`, 'caller.revoke', { body: caller }),
  row('admin', `POST ${admin}/callers:restore`, 'caller.restore', { status: 204, body: caller }),
]

/** Every route, with the least role that may use it and what it answers then, in the order of `http/admin-routes.ts`. */
export const adminRows: readonly AdminRow[] = [
  ...credentialRows,
  ...connectionRows,
  ...policyRows,
  ...adviceRows,
  ...rewrapRows,
  ...storeRows,
  ...rotationRows,
  ...serviceRows,
  row('auditor', `GET ${admin}/audit`, 'audit.read'),
  row('any', `GET ${admin}/events`, 'event.list'),
  row('admin', `POST ${admin}/events:test`, 'event.test'),
  row('viewer', `GET ${admin}/summary`, 'summary.read'),
  row('viewer', `GET ${admin}/policy/versions`, 'policy.read'),
  row('viewer', `GET ${admin}/policy/versions/r1`, 'policy.read'),
]

function row(
  needed: AdminRow['needed'],
  line: string,
  action: string,
  { status = 200, ...sent }: Partial<Pick<AdminRow, 'status' | 'body' | 'headers'>> = {},
): AdminRow {
  return { needed, line, action, status, ...sent }
}
