/** What `downscope`, the command line, reads from the environment. The broker knows these names and ignores them. */
export const clientSettingNames: readonly string[] = [
  'DOWNSCOPE_URL',
  'DOWNSCOPE_ADMIN_KEY',
  'DOWNSCOPE_ADMIN_TOKEN_FILE',
  'DOWNSCOPE_ADMIN_ISSUER',
  'DOWNSCOPE_ADMIN_SUBJECT',
  'DOWNSCOPE_ID_TOKEN',
]
