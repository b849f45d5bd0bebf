import * as z from 'zod/mini'
import { claimsOf, isMembers, type Members } from '../../domain/json.ts'
import { connect } from '../admin-client.ts'
import { brokerUrl, urlOptions, contextOf, readContexts, writeContexts, type Context } from '../broker-url.ts'
import { jsonOption, type Call, type Command } from '../command.ts'
import { createFault, isFault } from '../fault.ts'
import { readTextFile } from '../files.ts'
import { note, plain, printAnswer, table } from '../output.ts'
import { dryRunOption, showNothingDone } from '../request-shown.ts'
import { send } from '../send.ts'
import {
  endRefreshToken,
  openBrowser,
  signInByBrowser,
  signInByDevice,
  type SignInPlace,
} from '../sign-in.ts'

export const loginCommands: readonly Command[] = [
  {
    name: 'login',
    summary: 'sign in at a broker, in a browser',
    details:
      'The broker says where people sign in. Tokens are kept in the configuration folder of the user, readable by the ' +
      'user alone, and are shown to that broker and no other. Sign in only at brokers that you trust.',
    options: [
      { name: '--device', summary: 'where there is no browser: type a code on another device' },
      { name: '--context', value: 'NAME', summary: "what to call it; by default the broker's host" },
      {
        name: '--client-secret-file',
        value: 'FILE',
        summary: 'the secret of the client, where the issuer asks for it of desktop clients too (Google)',
        offer: 'file',
      },
      dryRunOption,
      jsonOption,
      ...urlOptions,
    ],
    examples: ['downscope login --url https://tokens.acme.example', 'downscope login --device'],
    run: login,
  },
  {
    name: 'logout',
    summary: 'end the sign-in at a broker',
    options: [dryRunOption, jsonOption, ...urlOptions],
    examples: ['downscope logout'],
    run: logout,
  },
  {
    name: 'whoami',
    summary: 'show who you are at a broker, and what you may do there',
    options: [jsonOption, ...urlOptions],
    examples: ['downscope whoami', 'downscope whoami --json'],
    run: whoami,
  },
  {
    name: 'context list',
    summary: 'list the brokers that you signed in at',
    options: [jsonOption],
    examples: ['downscope context list'],
    run: listContexts,
  },
  {
    name: 'context use',
    summary: 'choose the broker that commands ask where nothing else is said',
    details: 'Options come first, then the environment, then this.',
    arguments: [{ name: 'NAME', summary: 'the name of the context' }],
    options: [dryRunOption, jsonOption],
    examples: ['downscope context use production'],
    run: useContext,
  },
]

async function login(call: Call): Promise<'done'> {
  const { env, stderr } = call.terminal
  const url = brokerUrl(call)
  const place = await placeOf(call, url)
  const name = call.text('--context') ?? contextOf(env, url)?.name ?? new URL(url).host
  if (call.has('--dry-run'))
    return showNothingDone(
      call,
      { context: name, url, issuer: place.issuer },
      `you would sign in at ${plain(place.issuer)}, and tokens would be kept as context ${plain(name)}`,
    )
  const tokens = call.has('--device')
    ? await signInByDevice(place, ({ url: page, code }) =>
        note(call, ({ bold }) => `Open ${bold(plain(page))} on any device and type ${bold(plain(code))}`),
      )
    : await signInByBrowser(place, (link) => {
        stderr.write(`Sign in here:\n\n  ${link}\n\n`)
        if (stderr.isTTY === true) openBrowser(link)
      })
  const { contexts } = readContexts(env)
  const context: Context = {
    url,
    issuer: place.issuer,
    client_id: place.clientId,
    client_secret: place.clientSecret,
    id_token: tokens.idToken,
    refresh_token: tokens.refreshToken,
  }
  writeContexts(env, { current: name, contexts: { ...contexts, [name]: context } })
  const who = personOf(context)
  printAnswer(
    call,
    { context: name, url, ...who },
    ({ good }) => `${good('signed in')} at ${url} as ${shownOf(who)}\n`,
  )
  return 'done'
}

async function placeOf(call: Call, url: string): Promise<SignInPlace> {
  const { status, document } = await send(`${url}/v1/sign-in`)
  const members: Members = isMembers(document) ? document : {}
  const { issuer, client_id: client, device_client_id: device } = members
  if (status !== 200 || typeof issuer !== 'string' || typeof client !== 'string')
    throw createFault('refused', `nobody signs in at ${url}`, {
      hints: ['Whoever runs it sets DOWNSCOPE_SIGN_IN_ISSUER: docs/sign-in.md.'],
    })
  const secretFile = call.text('--client-secret-file')
  const clientSecret = secretFile === undefined ? undefined : (await readTextFile(secretFile)).trim()
  if (!call.has('--device')) return { issuer, clientId: client, clientSecret }
  if (typeof device === 'string') return { issuer, clientId: device, clientSecret }
  throw createFault('refused', 'this broker takes no sign-in by device code', {
    hints: ['Whoever runs it sets DOWNSCOPE_SIGN_IN_DEVICE_CLIENT_ID; without --device a browser is used.'],
  })
}

async function logout(call: Call): Promise<'done'> {
  const { env } = call.terminal
  const { name, context } = requireContext(call)
  const { id_token: idToken, refresh_token: refreshToken, ...rest } = context
  if (idToken === undefined) throw createFault('refused', `you are not signed in at ${context.url}`)
  if (call.has('--dry-run'))
    return showNothingDone(
      call,
      { context: name },
      `the tokens for ${context.url} would be deleted${refreshToken === undefined ? '' : `, and the refresh token revoked at ${plain(context.issuer)}`}`,
    )
  const isEnded = refreshToken === undefined || (await endRefreshToken(placeIn(context), refreshToken))
  const { current, contexts } = readContexts(env)
  writeContexts(env, { current, contexts: { ...contexts, [name]: rest } })
  printAnswer(call, { context: name, signed_out: true }, () => `signed out at ${context.url}\n`)
  if (!isEnded)
    note(call, ({ dim }) => dim('The issuer did not take the refresh token back; it is deleted here.'))
  return 'done'
}

async function whoami(call: Call): Promise<'done'> {
  const client = await connect(call)
  const known = await client
    .ask({ method: 'GET', path: 'whoami', answer: z.looseObject({}) })
    .catch((error: unknown) => {
      if (isFault(error) && error.code === 'admin_forbidden') return undefined
      throw error
    })
  const own = contextOf(call.terminal.env, client.url)?.context
  const who = { ...(own === undefined ? {} : personOf(own)), ...known?.value }
  const document = { url: client.url, ...who, role: known?.value['role'] ?? null }
  printAnswer(call, document, ({ bold }) => {
    const rows = Object.entries(document).map(([name, value]) => [
      `  ${name}`,
      plain(typeof value === 'string' ? value : 'no role'),
    ])
    return `${bold(client.identity.shown)}\n${table(rows)}`
  })
  return 'done'
}

async function listContexts(call: Call): Promise<'done'> {
  const { current, contexts } = readContexts(call.terminal.env)
  const shown = Object.entries(contexts).map(([name, context]) => ({
    name,
    url: context.url,
    is_current: name === current,
    signed_in: context.id_token !== undefined,
    ...personOf(context),
  }))
  printAnswer(call, { contexts: shown }, ({ bold }) => {
    if (shown.length === 0) return 'There are no contexts yet: downscope login --url URL\n'
    const rows = shown.map((one) => [
      one.is_current ? '*' : '',
      plain(one.name),
      plain(one.url),
      one.signed_in ? shownOf(one) : 'signed out',
    ])
    return table([['', 'NAME', 'BROKER', 'YOU'].map(bold), ...rows])
  })
  return Promise.resolve('done')
}

async function useContext(call: Call): Promise<'done'> {
  const { env } = call.terminal
  const name = call.argument('NAME')
  const { contexts } = readContexts(env)
  const context = contexts[name]
  if (context === undefined)
    throw createFault('usage', `there is no context ${plain(name)}`, {
      hints: [`There are: ${Object.keys(contexts).map(plain).join(', ') || 'none'}.`],
    })
  if (call.has('--dry-run'))
    return showNothingDone(call, { current: name }, `commands would ask ${context.url}`)
  writeContexts(env, { current: name, contexts })
  printAnswer(call, { current: name, url: context.url }, () => `commands ask ${context.url} now\n`)
  return Promise.resolve('done')
}

function requireContext(call: Call): { readonly name: string; readonly context: Context } {
  const url = brokerUrl(call)
  const found = contextOf(call.terminal.env, url)
  if (found !== undefined) return found
  throw createFault('refused', `you are not signed in at ${url}`)
}

function placeIn({ issuer, client_id: clientId, client_secret: clientSecret }: Context): SignInPlace {
  return { issuer, clientId, clientSecret }
}

interface Who {
  readonly issuer?: string
  readonly subject?: string
  readonly email?: string
}

/** What the ID token says, for people: the broker decides by its signature. */
function personOf({ id_token: token }: Context): Who {
  const { iss, sub, email } = (token === undefined ? undefined : claimsOf(token)) ?? {}
  return {
    ...(typeof iss === 'string' && { issuer: iss }),
    ...(typeof sub === 'string' && { subject: sub }),
    ...(typeof email === 'string' && { email }),
  }
}

function shownOf({ email, subject }: Who): string {
  return plain(email ?? subject ?? 'somebody')
}
