import { isMembers, type Members } from '../domain/json.ts'
import type { AdminRequest } from './admin-client.ts'
import { clientSettings } from './broker-url.ts'
import type { Call, OptionSpec } from './command.ts'
import { createFault } from './fault.ts'
import { json, commandLine, shellWord, printAnswer } from './output.ts'

// What a command would send, shown in place of sending it: `--curl` and `--dry-run`.

export const curlOption: OptionSpec = {
  name: '--curl',
  summary: 'print the request as a curl command instead of sending it; without a JWT or a secret',
  group: 'Instead of doing it:',
}
export const dryRunOption: OptionSpec = {
  name: '--dry-run',
  summary: 'check and show what would be sent, and change nothing, here or at an upstream',
  group: 'Instead of doing it:',
}

/** Whether nothing is done, and so nobody has to be asked whether it is meant. */
export function isOnlyShown(call: Call): boolean {
  return call.has('--curl') || call.has('--dry-run')
}

/** What a command would have changed on this machine, or in a store that it opens itself. */
export function showNothingDone(call: Call, document: object, words: string): 'done' {
  printAnswer(call, { dry_run: true, ...document }, () => `dry run, nothing was changed: ${words}\n`)
  return 'done'
}

/** Ends a command that has shown what it would send; `main` takes it for success. */
export function shownInstead(): Error {
  return Object.assign(new Error('shown instead of done'), { name: 'ShownInstead' })
}

export function isShownInstead(error: unknown): boolean {
  return error instanceof Error && error.name === 'ShownInstead'
}

type Shown = Pick<
  AdminRequest<unknown>,
  'method' | 'path' | 'body' | 'yaml' | 'ifMatch' | 'ifMatchOf' | 'file'
>

/**
 * The request as curl sends it. The JWT is `downscope jwt`'s, a secret or a policy stays in its file, and every name is
 * one word of the shell (T25).
 */
export function adminCurl(call: Call, url: string, request: Shown): string {
  const { method, path, body, yaml, ifMatch, ifMatchOf, file } = request
  const input = body === undefined ? undefined : bodyInput(body, file)
  const data = yaml === undefined ? input?.data : `@${file ?? '-'}`
  const type = yaml === undefined ? 'application/json' : 'application/yaml'
  const at = (of: string) => shellWord(`${url}/v1/admin/${of}`)
  const bearer = `-H "Authorization: Bearer $(${jwtCommand(call)})"`
  const lines = [
    `curl -sS -X ${method} ${at(path)}`,
    bearer,
    ...(ifMatchOf === undefined
      ? []
      : [
          `-H "If-Match: $(curl -sS -o /dev/null -D - ${at(ifMatchOf)} ${bearer} | sed -n 's/^etag: *\\([^[:space:]]*\\).*/\\1/Ip')"`,
        ]),
    ...(data === undefined ? [] : [`-H ${shellWord(`Content-Type: ${type}`)}`]),
    ...(ifMatch === undefined ? [] : [`-H ${shellWord(`If-Match: ${ifMatch}`)}`]),
    ...(data === undefined ? [] : [`--data-binary ${shellWord(data)}`]),
  ]
  return `${settingLines(call, url)}${input?.before ?? ''}${lines.join(' \\\n  ')}\n`
}

/** A body, or where a secret stands in it a pipe that reads its file. */
function bodyInput(
  body: object,
  file: string | undefined,
): { readonly data: string; readonly before?: string } {
  const { secret, ...rest }: Members = isMembers(body) ? body : {}
  const members = JSON.stringify(rest)
  refuseControls(rest)
  if (secret === undefined || file === undefined) return { data: JSON.stringify(body) }
  const before = `${members.slice(0, -1)}${members === '{}' ? '' : ','}"secret":`
  const source = file === '-' ? 'cat' : commandLine(['cat', '--', file])
  return {
    data: '@-',
    before: `{ printf %s ${shellWord(before)}; ${source}; printf %s '}'; } |\n`,
  }
}

/** JSON hides them from the shell, but not from whoever reads what it means. */
function refuseControls(value: unknown): void {
  if (typeof value === 'string') shellWord(value)
  else if (typeof value === 'object' && value !== null)
    for (const one of Object.values(value)) refuseControls(one)
}

function jwtCommand(call: Call): string {
  const issuer = call.text('--broker-issuer')
  return commandLine(['downscope', 'jwt', ...(issuer === undefined ? [] : ['--broker-issuer', issuer])])
}

/** What options said, and `downscope jwt` reads in the environment. */
function settingLines(call: Call, url: string): string {
  const { env } = call.terminal
  const { url: urlSetting, adminKey, adminTokenFile } = clientSettings
  const [key, token] = [call.text('--admin-key'), call.text('--admin-token-file')]
  if (token === '-')
    throw createFault('usage', 'a JWT on standard input cannot be shown in a command line: name a file')
  const wanted: readonly (readonly [string, string | undefined])[] = [
    [urlSetting.name, url === env[urlSetting.name]?.trim() ? undefined : url],
    [adminKey.name, key],
    [adminTokenFile.name, token],
  ]
  const others = [
    ...(key === undefined ? [] : [adminTokenFile.name]),
    ...(token === undefined ? [] : [adminKey.name]),
  ]
  return [
    ...others.filter((name) => (env[name] ?? '') !== '').map((name) => `unset ${name}\n`),
    ...wanted.flatMap(([name, value]) =>
      value === undefined ? [] : [`export ${name}=${shellWord(value)}\n`],
    ),
  ].join('')
}

/** What would be sent, with what stays in its file named and not shown. */
export function showDryRun(call: Call, url: string, request: Shown): void {
  const { method, path, body, file } = request
  const shown =
    isMembers(body) && 'secret' in body ? { ...body, secret: `(what is in ${file ?? 'the file'})` } : body
  const { stdout } = call.terminal
  const target = `${url}/v1/admin/${path}`
  if (call.has('--json')) stdout.write(json({ dry_run: true, request: { method, url: target, body: shown } }))
  else
    stdout.write(
      `dry run, nothing was changed: would send ${method} ${target}\n${shown === undefined ? '' : json(shown)}`,
    )
}
