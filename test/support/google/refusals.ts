import { type JsonObject, jsonReply, Refusal, type Reply } from './reply.ts'

/**
 * Google's flat OAuth refusals, word for word (docs/google.md §1.1 to §1.5, §2.1). Entries marked MEM are
 * from general knowledge and were never seen in a captured answer.
 */
export type RefusalName = keyof typeof catalogue

/** The catalogue entry as a reply. `description` replaces the text of entries that carry data. */
export function refusal(name: RefusalName, description?: string): Reply {
  const entry = catalogue[name]
  const { status, ...body } = entry
  return jsonReply(description === undefined ? body : { ...body, error_description: description }, status)
}

export function refuse(name: RefusalName, description?: string): never {
  throw new Refusal(refusal(name, description))
}

/** `invalid_scope` naming the scopes Google does not know. */
export function refuseUnknownScopes(invalid: readonly string[]): never {
  return refuse('unknown_scopes', `Some requested scopes were invalid. {invalid=[${invalid.join(', ')}]}`)
}

function entry(status: number, error: string, description?: string, more: JsonObject = {}) {
  const text = description === undefined ? {} : { error_description: description }
  return { status, error, ...text, ...more }
}

const rapt = { error_uri: 'https://support.google.com/a/answer/9368756' }

const catalogue = {
  // A refresh token
  grant_revoked: entry(400, 'invalid_grant', 'Token has been expired or revoked.'),
  grant_unknown: entry(400, 'invalid_grant', 'Bad Request'),
  user_deleted: entry(400, 'invalid_grant', 'Account has been deleted'),
  invalid_rapt: entry(400, 'invalid_grant', 'reauth related error (invalid_rapt)', {
    error_subtype: 'invalid_rapt',
    ...rapt,
  }),
  rapt_required: entry(400, 'invalid_grant', 'reauth related error (rapt_required)', {
    error_subtype: 'rapt_required',
    ...rapt,
  }),
  // A service account's assertion
  jwt_malformed: entry(400, 'invalid_grant', 'Bad Request'),
  jwt_signature: entry(400, 'invalid_grant', 'Invalid JWT Signature.'),
  jwt_timeframe: entry(
    400,
    'invalid_grant',
    'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
  ),
  jwt_audience: entry(400, 'invalid_grant', 'Invalid JWT: Failed audience check.'),
  jwt_no_verifier: entry(400, 'invalid_grant', 'Invalid JWT: No valid verifier found for issuer'),
  not_an_email: entry(400, 'invalid_grant', 'Not a valid email'),
  user_unknown: entry(400, 'invalid_grant', 'Invalid email or User ID'),
  account_unknown: entry(400, 'invalid_grant', 'Invalid grant: account not found'),
  account_disabled: entry(400, 'invalid_grant', 'Robot is disabled.'),
  account_deleted: entry(400, 'invalid_grant', 'The account has been deleted'),
  impersonation_sub: entry(400, 'invalid_request', 'Invalid impersonation "sub" field'),
  impersonation_prn: entry(400, 'invalid_request', 'Invalid impersonation prn email address'),
  delegation_missing: entry(
    401,
    'unauthorized_client',
    'Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.',
  ),
  delegation_partial: entry(401, 'access_denied', 'Requested client not authorized.'),
  account_restricted: entry(400, 'access_denied', 'Account restricted'),
  // Scopes
  scope_not_granted: entry(400, 'invalid_scope', 'Bad Request'),
  unknown_scopes: entry(400, 'invalid_scope', 'Some requested scopes were invalid.', {
    error_uri: 'http://code.google.com/apis/accounts/docs/OAuth2.html',
  }),
  scope_audience: entry(400, 'invalid_scope', 'scope is not a valid audience string.'),
  source_narrow: entry(400, 'invalid_scope', 'The subject token lacks a required scope.'), // MEM
  scope_missing: entry(
    400,
    'invalid_scope',
    'Invalid OAuth scope or ID token audience provided.', // MEM
  ),
  // The client
  client_unknown: entry(401, 'invalid_client', 'The OAuth client was not found.'),
  client_secret_wrong: entry(401, 'invalid_client', 'Unauthorized'),
  client_mismatch: entry(401, 'unauthorized_client', 'Unauthorized'), // MEM
  client_deleted: entry(401, 'deleted_client', 'The OAuth client was deleted.'),
  client_disabled: entry(401, 'disabled_client', 'The OAuth client was disabled.'),
  org_internal: entry(400, 'org_internal'),
  admin_policy_enforced: entry(400, 'admin_policy_enforced'),
  // The request
  invalid_request: entry(400, 'invalid_request', 'Bad Request'),
  unsupported_grant_type: entry(400, 'unsupported_grant_type'),
  token_dead: entry(400, 'invalid_token', 'Token expired or revoked'),
  token_not_revocable: entry(400, 'invalid_request', 'Token is not revocable.'), // MEM
  tokeninfo_bad: entry(400, 'invalid_token', 'Invalid Value'),
  // The security token service
  audience_malformed: entry(
    400,
    'invalid_request',
    'Invalid value for "audience". This value should be the full resource name of the Identity Provider. See https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token for the list of possible formats.',
  ),
  pool_unknown: entry(
    400,
    'invalid_target',
    'The target service indicated by the "audience" parameters is invalid. This might either be because the pool or provider is disabled or deleted or because it doesn\'t exist.',
  ),
  attribute_condition: entry(
    400,
    'unauthorized_client',
    'The given credential is rejected by the attribute condition.',
  ),
  subject_token_bad: entry(400, 'invalid_grant', 'The subject token is invalid.'),
  // Google's own trouble
  internal_failure: entry(500, 'internal_failure'),
  server_error: entry(500, 'server_error', 'Backend Error'),
  temporarily_unavailable: entry(503, 'temporarily_unavailable', 'Backend Error'),
} as const
