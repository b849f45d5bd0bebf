import type { ArgumentSpec, Call } from './command.ts'

export const nameArgument: ArgumentSpec = {
  name: 'NAME',
  summary: "the credential's name",
  offer: 'credential',
}
export const versionArgument: ArgumentSpec = {
  name: 'VERSION',
  summary: 'its id, as versions list tells it',
}

/** The credential in `NAME`, below `/v1/admin/`; `rest` is what of it, or an act on it: `:disable`. */
export function credentialPath(call: Call, rest = ''): string {
  return `credentials/${encodeURIComponent(call.argument('NAME'))}${rest}`
}

export function versionPath(call: Call, act: string): string {
  return credentialPath(call, `/versions/${encodeURIComponent(call.argument('VERSION'))}${act}`)
}
