import { describe, expect, it } from 'vitest'
import { BrokerError, type BrokerErrorCode } from '../../src/domain/broker-error.ts'
import { seconds } from '../../src/domain/time.ts'
import { answers } from '../../src/http/answers.ts'
import { createFakeHttpLayer, failing, post, tokenForm } from '../support/http-layer.ts'

/** docs/errors.md, row by row, with the bytes. */
const table: Readonly<Record<BrokerErrorCode, readonly [number, string]>> = {
  request_malformed: [400, '{"error":"invalid_request","error_description":"the request is malformed"}'],
  request_too_large: [
    413,
    '{"error":"invalid_request","error_description":"the request body is larger than 64 KiB"}',
  ],
  grant_type_unsupported: [
    400,
    '{"error":"unsupported_grant_type","error_description":"the grant type is not supported"}',
  ],
  token_type_unsupported: [
    400,
    '{"error":"unsupported_token_type","error_description":"a token of this type cannot be revoked"}',
  ],
  client_assertion_rejected: [
    401,
    '{"error":"invalid_client","error_description":"the client assertion is not accepted"}',
  ],
  subject_token_rejected: [
    400,
    '{"error":"invalid_request","error_description":"the subject token is not accepted"}',
  ],
  target_unavailable: [
    400,
    '{"error":"invalid_target","error_description":"the audience is not available to this caller"}',
  ],
  scope_refused: [
    400,
    '{"error":"invalid_scope","error_description":"the scope is malformed or more than this caller may have"}',
  ],
  caller_throttled: [
    429,
    '{"error":"temporarily_unavailable","error_description":"too many requests, try again later"}',
  ],
  service_stopped: [503, unavailable()],
  issuer_unavailable: [503, unavailable()],
  upstream_unavailable: [503, unavailable()],
  store_unavailable: [503, unavailable()],
  key_ring_unavailable: [503, unavailable()],
  policy_unavailable: [503, unavailable()],
  lease_busy: [503, unavailable()],
  audit_unavailable: [503, unavailable()],
  upstream_nonsense: [
    502,
    '{"error":"server_error","error_description":"the upstream gave an answer that cannot be used"}',
  ],
  admin_unauthenticated: [
    401,
    '{"error":"invalid_client","error_description":"a bearer token of an admin is needed"}',
  ],
  admin_forbidden: [403, '{"error":"unauthorized_client","error_description":"this caller may not do that"}'],
  not_found: [404, '{"error":"invalid_request","error_description":"there is nothing here"}'],
  already_exists: [409, '{"error":"invalid_request","error_description":"it exists already"}'],
  would_lock_out: [409, '{"error":"invalid_request","error_description":"this would lock you out"}'],
  state_conflict: [409, '{"error":"invalid_request","error_description":"its state does not allow that"}'],
  changed_meanwhile: [
    412,
    '{"error":"invalid_request","error_description":"it was changed meanwhile: read it again"}',
  ],
  document_invalid: [422, '{"error":"invalid_request","error_description":"the document is not valid"}'],
  not_supported: [409, '{"error":"invalid_request","error_description":"this is not supported here"}'],
}

function unavailable(): string {
  return '{"error":"temporarily_unavailable","error_description":"the token service cannot serve this now, try again later"}'
}

/** RFC 9110 §15 and RFC 6585. */
const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
}

const codes = Object.keys(answers).filter((code): code is BrokerErrorCode => code in table)

describe('P10: every planned failure has its answer', () => {
  it('all codes of the answers are in this table and the other way round', () => {
    expect(Object.keys(answers).toSorted()).toEqual(Object.keys(table).toSorted())
    expect(codes).toHaveLength(27)
  })

  it.each(codes)('P10: %s is answered with its status and bytes at the token endpoint', async (code) => {
    const error = new BrokerError(code, { reason: 'planted-reason', cause: new Error('planted-cause') })
    const { app, lines } = createFakeHttpLayer({ exchange: failing(error) })
    const answer = await post(app, tokenForm())
    const [status, bytes] = table[code]
    const ending = `; request id ${answer.headers.get('x-request-id')}"}`
    expect([answer.status, await answer.text()]).toEqual([status, bytes.replace(/"\}$/, ending)])
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('retry-after')).toBe(status === 429 || status === 503 ? '1' : null)
    expect(JSON.stringify(lines)).not.toContain('planted-cause')
  })

  it.each(codes)('%s is answered as RFC 9457 at the admin API, with its code', async (code) => {
    const error = new BrokerError(code, { reason: 'planted-reason' })
    const { app } = createFakeHttpLayer({ administer: () => Promise.reject(error) })
    const answer = await app.request('/v1/admin/credentials')
    const [status] = table[code]
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(await answer.json()).toEqual({
      type: 'about:blank',
      title: titles[status],
      status,
      code,
      detail: answers[code].description,
      request_id: answer.headers.get('x-request-id'),
    })
  })

  it('every fixed description is within RFC 6749’s character set', () => {
    for (const { description } of Object.values(answers))
      expect(description).toMatch(/^[\x20-\x21\x23-\x5B\x5D-\x7E]+$/)
  })

  it('P12: no detail replaces the fixed text where it could tell of policy or of what we stand on', async () => {
    const telling: BrokerErrorCode[] = []
    for (const code of codes) {
      const error = new BrokerError(code, { reason: 'r', publicDetail: 'planted-detail' })
      const answer = await post(createFakeHttpLayer({ exchange: failing(error) }).app, tokenForm())
      if ((await answer.text()).includes('planted-detail')) telling.push(code)
    }
    expect(telling.toSorted()).toEqual([
      'admin_unauthenticated',
      'already_exists',
      'changed_meanwhile',
      'client_assertion_rejected',
      'document_invalid',
      'grant_type_unsupported',
      'not_found',
      'not_supported',
      'request_malformed',
      'request_too_large',
      'scope_refused',
      'state_conflict',
      'subject_token_rejected',
      'would_lock_out',
    ])
  })
})

describe('headers of a refusal', () => {
  it.each([
    [undefined, '1'],
    [0, '1'],
    [-3, '1'],
    [0.2, '1'],
    [2.1, '3'],
    [30, '30'],
    [Number.NaN, '1'],
    [Number.POSITIVE_INFINITY, '1'],
  ])('a wait of %s becomes Retry-After: %s', async (wait, header) => {
    const retryAfter = wait === undefined ? {} : { retryAfter: seconds(wait) }
    const error = new BrokerError('caller_throttled', { reason: 'r', ...retryAfter })
    const answer = await post(createFakeHttpLayer({ exchange: failing(error) }).app, tokenForm())
    expect(answer.headers.get('retry-after')).toBe(header)
  })

  it.each([
    [{}, null],
    [{ authorization: 'Basic eDp5' }, 'Basic realm="downscope"'],
    [{ authorization: 'bearer abc' }, 'Bearer'],
    [{ authorization: 'Negotiate abc' }, null],
  ])('a rejected assertion with the headers %j is challenged with %s', async (headers, challenge) => {
    const error = new BrokerError('client_assertion_rejected', { reason: 'r' })
    const answer = await post(createFakeHttpLayer({ exchange: failing(error) }).app, tokenForm(), {
      ...headers,
    })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toBe(challenge)
  })

  it('a refused subject token is never a challenge, whatever Authorization came with it', async () => {
    const error = new BrokerError('subject_token_rejected', { reason: 'r' })
    const { app } = createFakeHttpLayer({ exchange: failing(error) })
    const answer = await post(app, tokenForm(), { authorization: 'Basic eDp5' })
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([400, null])
  })
})
