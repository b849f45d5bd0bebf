/** The example of the guide with one of everything in it; the inline key is well-formed and nobody's. */
export const samplePolicy = `version: 1
issuers:
  - name: prod-cluster            # workload tokens signed by a platform
    issuer: https://container.googleapis.com/v1/projects/acme/locations/eu/clusters/prod
    keys: { discovery: true }
    audiences: [https://tokens.acme.example]
    algorithms: [RS256]
    lifetime_seconds_max: 3600
    replay: allowed
  - name: billing                 # a service that signs its own assertions
    issuer: billing
    self_issued: true
    keys:
      jwks:
        keys:
          - kty: EC
            crv: P-256
            kid: one
            x: ${'A'.repeat(43)}
            y: ${'A'.repeat(43)}
  - name: ops
    issuer: https://ops.acme.example
    keys: { jwks_uri: https://ops.acme.example/jwks }
rules:
  - name: billing reads report objects
    callers:
      - issuer: prod-cluster
        subject: system:serviceaccount:billing:*
        claims: { /kubernetes.io/namespace: billing }
    credential: reports-sa
    scopes: [https://www.googleapis.com/auth/devstorage.read_only]
    excess_scopes: refuse
    lifetime_seconds_max: 3600
    token_types: [access_token]
    subjects: []
    boundary: []
admins:
  - callers: [{ issuer: ops, subject: "*" }]
    role: admin
`
