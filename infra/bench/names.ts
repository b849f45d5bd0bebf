// In a file without imports: one of the servers that read it runs in workerd.

/** The broker's name in every JWT; nobody connects to it. */
export const brokerIssuer = 'https://tokens.bench.example'
export const tokenPath = '/v1/token'
export const credentialName = 'reports-sa'
export const scope = 'https://www.googleapis.com/auth/devstorage.read_only'
