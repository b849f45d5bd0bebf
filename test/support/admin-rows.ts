import { collection, enrolment } from './call-admin.ts'

/** A request to one route, and what comes of it in the fake hall. */
export interface AdminRow {
  readonly line: string
  readonly needed: 'viewer' | 'operator' | 'admin'
  readonly status: number
  readonly action: string
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

/** Every route, with the least role that may use it and what it answers then. */
export const adminRows: readonly AdminRow[] = [
  { line: `GET ${collection}`, needed: 'viewer', status: 200, action: 'credential.list' },
  { line: `GET ${collection}/reports-sa`, needed: 'viewer', status: 200, action: 'credential.read' },
  { line: `POST ${collection}`, needed: 'admin', status: 201, action: 'credential.enrol', body: enrolment },
  {
    line: `POST ${collection}/reports-sa:disable`,
    needed: 'operator',
    status: 200,
    action: 'credential.disable',
  },
  {
    line: `POST ${collection}/reports-sa:enable`,
    needed: 'operator',
    status: 200,
    action: 'credential.enable',
  },
  {
    line: `POST ${collection}/reports-sa:revoke`,
    needed: 'operator',
    status: 200,
    action: 'credential.revoke',
  },
  {
    line: `POST ${collection}/reports-sa:destroy`,
    needed: 'admin',
    status: 204,
    action: 'credential.destroy',
  },
  { line: `DELETE ${collection}/reports-sa`, needed: 'admin', status: 204, action: 'credential.destroy' },
  { line: `GET ${collection}/reports-sa/versions`, needed: 'viewer', status: 200, action: 'version.list' },
  {
    line: `POST ${collection}/reports-sa/versions`,
    needed: 'admin',
    status: 201,
    action: 'version.bring',
    body: { secret: enrolment.secret, withdraw_former: false },
  },
  {
    line: `POST ${collection}/reports-sa/versions/1:disable`,
    needed: 'operator',
    status: 200,
    action: 'version.disable',
  },
  {
    line: `POST ${collection}/reports-sa/versions/1:destroy`,
    needed: 'admin',
    status: 200,
    action: 'version.destroy',
  },
  {
    line: `POST ${collection}/reports-sa:rotate`,
    needed: 'operator',
    status: 200,
    action: 'credential.rotate',
  },
  {
    line: `POST ${collection}/reports-sa:abort`,
    needed: 'operator',
    status: 200,
    action: 'credential.abort',
  },
  {
    line: `PATCH ${collection}/reports-sa`,
    needed: 'admin',
    status: 200,
    action: 'credential.change',
    body: { rotate_after_days: 90 },
  },
  { line: 'POST /v1/admin/maintenance:run', needed: 'operator', status: 200, action: 'maintenance.run' },
  { line: 'GET /v1/admin/policy', needed: 'viewer', status: 200, action: 'policy.read' },
  {
    line: 'PUT /v1/admin/policy',
    needed: 'admin',
    status: 200,
    action: 'policy.apply',
    body: 'version: 1\nrules: []',
    headers: { 'if-match': '"r1"' },
  },
  {
    line: 'POST /v1/admin/policy:validate',
    needed: 'viewer',
    status: 200,
    action: 'policy.validate',
    body: 'version: 1',
  },
  {
    line: 'POST /v1/admin/policy:explain',
    needed: 'viewer',
    status: 200,
    action: 'policy.explain',
    body: { request_id: 'r1' },
  },
  {
    line: 'POST /v1/admin/policy:suggest',
    needed: 'viewer',
    status: 200,
    action: 'policy.suggest',
    body: {},
  },
  { line: 'POST /v1/admin/keys:rewrap', needed: 'admin', status: 200, action: 'keys.rewrap' },
  { line: 'GET /v1/admin/service', needed: 'viewer', status: 200, action: 'service.read' },
  { line: 'POST /v1/admin/service:stop', needed: 'operator', status: 200, action: 'service.stop' },
  { line: 'POST /v1/admin/service:resume', needed: 'admin', status: 200, action: 'service.resume' },
  { line: 'GET /v1/admin/callers', needed: 'viewer', status: 200, action: 'caller.list' },
  {
    line: 'POST /v1/admin/callers:revoke',
    needed: 'operator',
    status: 200,
    action: 'caller.revoke',
    body: { issuer: 'billing', subject: 'billing' },
  },
  {
    line: 'POST /v1/admin/callers:restore',
    needed: 'admin',
    status: 204,
    action: 'caller.restore',
    body: { issuer: 'billing', subject: 'billing' },
  },
]
