/** What the command line reads from the environment. */
export const clientSettings = {
  url: {
    name: 'DOWNSCOPE_URL',
    defaultsTo: '`http://127.0.0.1:8080`',
    means: 'URL of the broker; `--url` takes precedence.',
  },
  adminKey: {
    name: 'DOWNSCOPE_ADMIN_KEY',
    defaultsTo: '',
    means:
      "A file with the administrator's private key, JWK or PEM, that signs a JWT for each request; `--admin-key` takes precedence.",
  },
  adminTokenFile: {
    name: 'DOWNSCOPE_ADMIN_TOKEN_FILE',
    defaultsTo: '',
    means:
      'A file with a JWT of the administrator, instead of a key; `-` is standard input; `--admin-token-file` takes precedence.',
  },
  adminIssuer: {
    name: 'DOWNSCOPE_ADMIN_ISSUER',
    defaultsTo: "the key file's member `iss`, else `ops`",
    means: 'The issuer that the key signs as.',
  },
  adminSubject: {
    name: 'DOWNSCOPE_ADMIN_SUBJECT',
    defaultsTo: "the key file's member `sub`, else the issuer",
    means: 'The subject that the key signs as.',
  },
  idToken: {
    name: 'DOWNSCOPE_ID_TOKEN',
    defaultsTo: '',
    means: 'The ID token of a GitLab job, for `--platform gitlab`.',
  },
} as const
