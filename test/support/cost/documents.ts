import type { Random } from '../random.ts'

/** Makes a text of about that many characters, of a shape that could cost more than it weighs. */
export type MakeDocument = (chars: number, random: Random) => string

/** Until it is that long: the parts that a function gives, one after the other. */
function filled(chars: number, part: (index: number) => string, separator = ''): string {
  const parts: string[] = []
  for (let index = 0, length = 0; length < chars; index += 1) {
    const next = part(index)
    parts.push(next)
    length += next.length + separator.length
  }
  return parts.join(separator)
}

const nested = (open: string, close: string, middle = '1') => {
  const pair = open.length + close.length
  return (chars: number): string => {
    const levels = Math.floor(chars / pair)
    return open.repeat(levels) + middle + close.repeat(levels)
  }
}
const repeated = (text: string) => (chars: number) => text.repeat(Math.ceil(chars / text.length))
const inJson = (member: string, make: MakeDocument) => (chars: number, random: Random) =>
  `{${JSON.stringify(member)}:${JSON.stringify(make(chars, random))}}`

const forms: Readonly<Record<string, MakeDocument>> = {
  'broken escapes': repeated('n%=%&'),
  'broken escapes in one value': (chars) => `options=${'%'.repeat(chars)}`,
  'escapes of half a character': (chars) => `scope=${'%E4%B8'.repeat(chars / 6)}`,
  'whole escapes': (chars) => `audience=${'%41'.repeat(chars / 3)}`,
  'many parameters': (chars) => filled(chars, (index) => `p${index}=v`, '&'),
  'many broken parameters': (chars) => filled(chars, (index) => `%${index}=%${index}`, '&'),
  'nothing but separators': repeated('&'),
  'nothing but equals signs': repeated('='),
  pluses: (chars) => `scope=${'+'.repeat(chars)}`,
  'many scopes': (chars) => `scope=${filled(chars, (index) => `s${index}`, '+')}`,
  'one scope many times': (chars) => `scope=${'a+'.repeat(chars / 2)}`,
}

const json: Readonly<Record<string, MakeDocument>> = {
  'deep arrays': nested('[', ']'),
  'deep objects': nested('{"a":', '}'),
  'deep arrays in a member': (chars) => `{"a":${nested('[', ']')(chars - 6)}}`,
  'deep objects without an end': repeated('{"a":'),
  'a wide object': (chars) => `{${filled(chars, (index) => `"k${index}":1`, ',')}}`,
  'one name many times': (chars) => `{${filled(chars, () => '"k":1', ',')}}`,
  'a wide array': (chars) => `{"keys":[${filled(chars, () => '{}', ',')}]}`,
  'many small texts': (chars) => `{"a":[${filled(chars, () => '""', ',')}]}`,
  'backslashes in pairs': (chars) => `{"a":"${'\\\\'.repeat(chars / 2)}"}`,
  'backslashes before quotes': (chars) => `{"a":"${'\\"'.repeat(chars / 2)}"}`,
  'backslashes without an end': (chars) => `{"a":"${'\\'.repeat(chars)}`,
  'quotes alone': repeated('"'),
  'backslashes and quotes': repeated('"\\\\'),
  'half characters': (chars) => `{"a":"${String.raw`\ud800`.repeat(chars / 6)}"}`,
  'control characters': (chars) => `{"a":"${String.raw`\u0085\u202e\u007f`.repeat(chars / 18)}"}`,
  'a long number': (chars) => `{"exp":${'9'.repeat(chars)}}`,
  'a long fraction': (chars) => `{"exp":0.${'1'.repeat(chars)}}`,
  'many keys': (chars) => `{"keys":[${filled(chars, (index) => ecKey(index), ',')}]}`,
  'many keys of one name': (chars) => `{"keys":[${filled(chars, () => ecKey(1), ',')}]}`,
  'an error with much to say': (chars) =>
    `{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"${'ya29.a '.repeat(chars / 7)}"}}`,
  'an OAuth error with much to say': (chars) =>
    `{"error":"invalid_grant","error_description":"${'a/'.repeat(chars / 2)}"}`,
  'many violations': (chars) =>
    `{"error":{"details":[${filled(chars, () => '{"violations":[{"type":"x"}]}', ',')}]}}`,
  'a boundary of many rules': (chars) =>
    `{"accessBoundary":{"accessBoundaryRules":[${filled(chars, (index) => boundaryRule(index), ',')}]}}`,
  'a boundary with a deep condition': (chars) =>
    `{"accessBoundary":{"accessBoundaryRules":[${boundaryRule(0, nested('(', ')')(chars))}]}}`,
  'a token reply with a long token': (chars) =>
    `{"token_type":"Bearer","expires_in":3599,"access_token":"${'a'.repeat(chars)}"}`,
  'a token reply with many scopes': (chars) =>
    `{"token_type":"Bearer","expires_in":3599,"access_token":"a","scope":"${filled(chars, (index) => `s${index}`, ' ')}"}`,
  'a private key of line breaks': inJson('private_key', repeated('\r\n')),
  'a private key of begin lines': inJson('private_key', repeated('-----BEGIN PRIVATE KEY-----\n')),
  'a private key of base64': inJson(
    'private_key',
    (chars) => `-----BEGIN PRIVATE KEY-----\n${'A'.repeat(chars)}\n`,
  ),
}

function ecKey(index: number): string {
  const coordinate = 'A'.repeat(43)
  return `{"kty":"EC","crv":"P-256","kid":"k${index}","x":"${coordinate}","y":"${coordinate}"}`
}

function boundaryRule(index: number, expression = 'true'): string {
  const availableResource = `//storage.googleapis.com/projects/_/buckets/bucket-${index}`
  const availablePermissions = ['inRole:roles/storage.objectViewer']
  return JSON.stringify({
    availableResource,
    availablePermissions,
    availabilityCondition: { expression },
  })
}

const policyHead = `version: 1
issuers:
  - {name: i, issuer: 'https://i.example', keys: {discovery: true}, algorithms: [RS256], lifetime_seconds_max: 3600}
`
const rule = (index: number, more = ''): string =>
  `  - {name: r${index}, callers: [{issuer: i, subject: s${index}}], credential: c${index}, scopes: [a]${more}}\n`

const policies: Readonly<Record<string, MakeDocument>> = {
  'an honest policy': (chars) => `${policyHead}rules:\n${filled(chars, (index) => rule(index))}`,
  'rules for one caller': (chars) =>
    `${policyHead}rules:\n${filled(chars, (index) => `  - {name: r${index}, callers: [{issuer: i, subject: s}], credential: c, scopes: [a]}\n`)}`,
  'rules with stars': (chars) =>
    `${policyHead}rules:\n${filled(chars, (index) => `  - {name: r${index}, callers: [{issuer: i, subject: '*a*${index}*'}], credential: c, scopes: [a]}\n`)}`,
  'one rule of many callers': (chars) =>
    `${policyHead}rules:\n  - name: r\n    credential: c\n    scopes: [a]\n    callers:\n${filled(chars, (index) => `      - {issuer: i, subject: s${index}}\n`)}`,
  'one rule of many scopes': (chars) =>
    `${policyHead}rules:\n  - name: r\n    credential: c\n    callers: [{issuer: i, subject: s}]\n    scopes: [${filled(chars, (index) => `devstorage.read_onl${index}`, ', ')}]\n`,
  'rules of an unknown issuer': (chars) =>
    `${policyHead}rules:\n${filled(chars, (index) => rule(index).replace('issuer: i', `issuer: unknown-${index}`))}`,
  'unknown keys': (chars) => `${policyHead}${filled(chars, (index) => `rulse${index}: 1\n`)}`,
  'unknown keys in rules': (chars) =>
    `${policyHead}rules:\n${filled(chars, (index) => rule(index, `, scoeps${index}: [a]`))}`,
  'many issuers': (chars) =>
    `version: 1\nissuers:\n${filled(chars, (index) => `  - {name: i${index}, issuer: 'https://i${index}.example', keys: {discovery: true}}\n`)}rules: []\n`,
  'one name many times': (chars) => `${policyHead}rules:\n${filled(chars, () => rule(1))}`,
  'one alias many times': (chars) => `a: &a [1, 2]\nb: [${filled(chars, () => '*a', ', ')}]\n`,
  'aliases of aliases': (chars) =>
    `${filled(Math.min(chars, 400), (index) => (index === 0 ? 'a0: &a0 [x]\n' : `a${index}: &a${index} [${`*a${index - 1},`.repeat(9)}]\n`))}rules: *a1\n`,
  'one rule by alias many times': (chars) =>
    `${policyHead}rules:\n  - &r {name: r, callers: [{issuer: i, subject: s}], credential: c, scopes: [a]}\n${filled(chars, () => '  - *r\n')}`,
  'callers by alias': (chars) =>
    `${policyHead}rules:\n  - {name: r, credential: c, scopes: [a], callers: &c [${filled(Math.min(chars / 4, 1_500), (index) => `{issuer: i, subject: s${index}}`, ', ')}]}\n${filled(chars / 2, (index) => `  - {name: r${index}, callers: *c, credential: c, scopes: [a]}\n`)}`,
  'callers with stars by alias': (chars) =>
    `${policyHead}rules:\n  - {name: r, credential: c, scopes: [a], callers: &c [${filled(Math.min(chars / 4, 1_500), (index) => `{issuer: i, subject: 'a*${index}'}`, ', ')}]}\n${filled(chars / 2, (index) => `  - {name: r${index}, callers: *c, credential: c, scopes: [a]}\n`)}`,
  'scopes by alias': (chars) =>
    `${policyHead}rules:\n  - {name: r, credential: c, callers: [{issuer: i, subject: s}], scopes: &s [${filled(Math.min(chars / 4, 1_500), (index) => `devstorage.read_onl${index}`, ', ')}]}\n${filled(chars / 2, (index) => `  - {name: r${index}, callers: [{issuer: i, subject: s}], credential: c, scopes: *s}\n`)}`,
  'misspelt scopes of the longest that are compared': (chars) =>
    `${policyHead}rules:\n  - name: r\n    credential: c\n    callers: [{issuer: i, subject: s}]\n    scopes: [${filled(chars, (index) => `cloud-platfrm.${'x'.repeat(40)}${index}`, ', ')}]\n`,
  'misspelt credentials': (chars) =>
    `${policyHead}rules:\n${filled(chars, (index) => `  - {name: r${index}, callers: [{issuer: i, subject: s${index}}], credential: crednetial-${index}, scopes: [a]}\n`)}`,
  'merge keys': (chars) => `a: &a {x: 1}\n${filled(chars, (index) => `b${index}: {<<: *a}\n`)}`,
  'deep flow': nested('[', ']'),
  'deep flow without an end': repeated('['),
  'deep blocks': (chars) => filled(chars, (index) => `${' '.repeat(index)}a:\n`),
  'block lists in one line': repeated('- '),
  'question marks': repeated('? '),
  'many documents': repeated('---\n'),
  tags: repeated('!!str '),
  anchors: (chars) => filled(chars, (index) => `&a${index} `),
  comments: repeated('# \n'),
  'quotes without an end': (chars) => `a: "${'x\n'.repeat(chars / 2)}`,
  'escapes in quotes': (chars) => `a: "${String.raw`\x41`.repeat(chars / 4)}"\n`,
  'a long plain text': (chars) => `a: ${'x '.repeat(chars / 2)}\n`,
  'a folded text': (chars) => `a: >\n${'  x\n\n'.repeat(chars / 5)}`,
  'a long key': (chars) => `${'k'.repeat(chars)}: 1\n`,
  'colons alone': repeated(': '),
  tabs: repeated('\t'),
}

const texts: Readonly<Record<string, MakeDocument>> = {
  'brackets of CEL': nested('(', ')', 'true'),
  'brackets of CEL without an end': repeated('('),
  'quotes of CEL': repeated("'a'=='a'&&"),
  'backslashes of CEL': (chars) => `'${'\\\\'.repeat(chars / 2)}'`,
  'pieces of JWTs': repeated('eyJ'),
  'pieces of tokens': repeated('ya29.'),
  'pieces of refresh tokens': repeated('1//0'),
  'a JWT of dots': (chars) => `eyJ${'a'.repeat(16)}${'.'.repeat(chars)}`,
  'base64url alone': repeated('A'),
  'dots alone': repeated('.'),
  'slashes alone': repeated('/'),
  'stars and letters': repeated('*a'),
  'spaces alone': repeated(' '),
  'line breaks alone': repeated('\n'),
  'bidirectional marks': repeated('\u202e\u0085'),
  'letters outside of ASCII': repeated('ключ'),
  'keys with commas': (chars) => filled(chars, (index) => `k${index}:AAAA`, ','),
  'a JWS of that size': (chars) => jws(`{"iss":"a","x":"${'a'.repeat(chars / 2)}"}`),
  'a JWS with a deep payload': (chars) => jws(nested('{"a":', '}')(chars / 2)),
  'a JWS with a wide payload': (chars) => jws(`{${filled(chars / 2, (index) => `"k${index}":1`, ',')}}`),
}

function jws(payload: string): string {
  const part = (text: string): string => Buffer.from(text).toString('base64url')
  return `${part('{"alg":"ES256","kid":"k"}')}.${part(payload)}.${'A'.repeat(86)}`
}

const byGroup: Readonly<Record<string, Readonly<Record<string, MakeDocument>>>> = {
  form: forms,
  JSON: json,
  policy: policies,
  text: texts,
}

/** Every shape by its name; every parser is given every one, whether it is meant for it or not. */
export const documents: readonly { readonly name: string; readonly make: MakeDocument }[] = Object.entries(
  byGroup,
).flatMap(([group, shapes]) =>
  Object.entries(shapes).map(([name, make]) => ({ name: `${group}: ${name}`, make })),
)

/** A text that somebody could make of two others: pieces of them cut out, doubled and swapped. */
export function splice(one: string, other: string, chars: number, random: Random): string {
  let text = one
  for (let step = 0; step < 4; step += 1) {
    const [at, from] = [random.below(text.length + 1), random.below(other.length + 1)]
    const piece = other.slice(from, from + random.below(200)).repeat(1 + random.below(20))
    text = text.slice(0, at) + piece + text.slice(at + random.below(50))
  }
  return text.slice(0, chars)
}
