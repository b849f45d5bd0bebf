import type { AdministerPolicy } from '../lifecycle/administer-policy.ts'
import type { Hono } from 'hono'

import { show, type Act } from './act.ts'
import { policyDocument } from './admin-documents.ts'
import { jsonAnswer } from './json-answer.ts'
import { entityTag, parseIfMatch, parsePolicyText } from './parse-admin-request.ts'
import { readBody } from './read-body.ts'

export interface PolicyRoutesDeps {
  readonly act: Act
  readonly policy: AdministerPolicy
  readonly at: (path: string) => string[]
}

/** `/v1/admin/policy`: viewers read and validate, admins replace the revision they have seen. */
export function addPolicyRoutes(app: Hono, { act, policy, at }: PolicyRoutesDeps): void {
  app.on('GET', at('/v1/admin/policy'), (context) =>
    act(context, {
      action: 'policy.read',
      needed: 'viewer',
      perform: () => policy.read(),
      render: (reading, requestId) => revisionAnswer(policyDocument(reading), reading.revision, requestId),
    }),
  )

  app.on('PUT', at('/v1/admin/policy'), async (context) => {
    const { headers } = context.req.raw
    const message = { contentType: headers.get('content-type'), body: await readBody(context.req.raw) }
    return act(context, {
      action: 'policy.apply',
      needed: 'admin',
      perform: async (caller) => {
        const ifMatch = parseIfMatch(headers.get('if-match'))
        return policy.apply({ text: parsePolicyText(message), ifMatch, caller })
      },
      render: ({ revision }, requestId) => revisionAnswer({ revision }, revision, requestId),
    })
  })

  app.on('POST', at('/v1/admin/policy:validate'), async (context) => {
    const { raw } = context.req
    const message = { contentType: raw.headers.get('content-type'), body: await readBody(raw) }
    return act(context, {
      action: 'policy.validate',
      needed: 'viewer',
      perform: async () => policy.validate(parsePolicyText(message)),
      render: show(() => ({ valid: true })),
    })
  })
}

function revisionAnswer(document: object, revision: string, requestId: string): Response {
  return jsonAnswer({
    status: 200,
    text: JSON.stringify(document),
    requestId,
    headers: { ETag: entityTag(revision) },
  })
}
