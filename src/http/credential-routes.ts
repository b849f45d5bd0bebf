import type { Context, Hono } from 'hono'

import { show, type Act } from './act.ts'
import { credentialDocument, credentialPageDocument } from './admin-documents.ts'
import type { AdministerCredentials, Enrolment } from '../lifecycle/administer-credentials.ts'
import { emptyAnswer, jsonAnswer } from './json-answer.ts'
import { storedNamePattern, parseEnrolment, parsePage } from './parse-admin-request.ts'
import { readBody } from './read-body.ts'

export interface CredentialRoutesDeps {
  readonly act: Act
  readonly credentials: AdministerCredentials
  /** Every path that a path below the issuer is reached at. */
  readonly at: (path: string) => string[]
  /** The public URL of a path. */
  readonly locate: (path: string) => string
}

const collection = '/v1/admin/credentials'

/** `/v1/admin/credentials` and what is below it: viewers read, operators switch, admins enrol and destroy. */
export function addCredentialRoutes(app: Hono, deps: CredentialRoutesDeps): void {
  const { act, credentials, at } = deps
  const one = at(`${collection}/:name{${storedNamePattern}}`)

  app.on('GET', at(collection), (context) =>
    act(context, {
      action: 'credential.list',
      needed: 'viewer',
      perform: async () => {
        const page = parsePage(context.req.url)
        return credentialPageDocument(await credentials.list(page), page.limit)
      },
      render: show((page) => page),
    }),
  )
  app.on('POST', at(collection), (context) => enrol(context, deps))
  app.on('GET', one, (context) => {
    const credential = context.req.param('name') ?? ''
    return act(context, {
      action: 'credential.read',
      needed: 'viewer',
      credential,
      perform: () => credentials.read(credential),
      render: show(credentialDocument),
    })
  })
  app.on('DELETE', one, (context) => destroy(context, deps, context.req.param('name') ?? ''))
  addCommandRoutes(app, deps)
}

/** `POST credentials/NAME:verb`: the verb is part of the last segment, so each has a pattern of its own. */
function addCommandRoutes(app: Hono, deps: CredentialRoutesDeps): void {
  const { act, credentials, at } = deps
  const command = (verb: string) => at(`${collection}/:command{${storedNamePattern}:${verb}}`)
  const target = (context: Context, verb: string) =>
    (context.req.param('command') ?? '').slice(0, -(verb.length + 1))

  for (const verb of ['disable', 'enable'] as const)
    app.on('POST', command(verb), (context) => {
      const credential = target(context, verb)
      return act(context, {
        action: `credential.${verb}`,
        needed: 'operator',
        credential,
        perform: () => credentials[verb](credential),
        render: show(credentialDocument),
      })
    })
  app.on('POST', command('destroy'), (context) => destroy(context, deps, target(context, 'destroy')))
}

async function enrol(
  context: Context,
  { act, credentials, locate }: CredentialRoutesDeps,
): Promise<Response> {
  const { raw } = context.req
  const message = { contentType: raw.headers.get('content-type'), body: await readBody(raw) }
  const enrolment = attempt(() => parseEnrolment(message))
  return act(context, {
    action: 'credential.enrol',
    needed: 'admin',
    ...(enrolment.ok ? { credential: enrolment.value.name } : {}),
    perform: async () => {
      if (!enrolment.ok) throw enrolment.error
      return credentials.enrol(enrolment.value)
    },
    render: (credential, requestId) =>
      jsonAnswer({
        status: 201,
        text: JSON.stringify(credentialDocument(credential)),
        requestId,
        headers: { Location: locate(`${collection}/${credential.name}`) },
      }),
  })
}

function destroy(context: Context, deps: CredentialRoutesDeps, credential: string): Promise<Response> {
  return deps.act(context, {
    action: 'credential.destroy',
    needed: 'admin',
    credential,
    perform: () => deps.credentials.destroy(credential),
    render: (_, requestId) => emptyAnswer({ status: 204, requestId }),
  })
}

type Attempt =
  | { readonly ok: true; readonly value: Enrolment }
  | { readonly ok: false; readonly error: unknown }

/** Parses now, for the name in the audit record, and lets the fault be thrown where refusals are judged. */
function attempt(parse: () => Enrolment): Attempt {
  try {
    return { ok: true, value: parse() }
  } catch (error) {
    return { ok: false, error }
  }
}
