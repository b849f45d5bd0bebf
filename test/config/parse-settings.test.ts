import type { Reading } from '../../src/domain/result.ts'
import { describe, expect, test } from 'vitest'
import {
  parseHostAndPort,
  parseKeyRing,
  parseStore,
  parseBaseUrl,
  parseEndpoint,
  parseIssuer,
} from '../../src/config/parse-url.ts'
import { parseInteger } from '../../src/config/setting.ts'

describe('the issuer', () => {
  test.each([
    'https://tokens.acme.example',
    'https://tokens.acme.example:8443',
    'https://acme.example/downscope',
    'http://127.0.0.1:8080',
    'http://127.255.0.9',
    'http://[::1]:8080',
    'http://localhost:8080',
  ])('is kept exactly as written: %s', (text) => {
    expect(valueOf(parseIssuer(text))).toBe(text)
  })

  test.each([
    ['must be an absolute URL', 'tokens.acme.example'],
    ['must be an absolute URL', '/tokens'],
    ['must be https', 'http://tokens.acme.example'],
    ['must be https', 'http://127.0.0.1.nip.example'],
    ['must be https', 'http://localhost.acme.example'],
    ['must be https', 'http://0.0.0.0:8080'],
    ['must be https', 'http://[::]:8080'],
    ['must be https', 'ftp://127.0.0.1'],
    ['must be https', 'javascript:alert(1)'],
    ['must not hold a user', 'https://user@acme.example'],
    ['must not have a query', 'https://acme.example/a?b=c'],
    ['must not have a query', 'https://acme.example?'],
    ['must not have a query', 'https://acme.example#'],
    ['must not end in "/"', 'https://acme.example/'],
    ['must not end in "/"', 'https://acme.example/downscope/'],
    ['must be in normal form', 'https://ACME.example'],
    ['must be in normal form', 'HTTPS://acme.example'],
    ['must be in normal form', 'https://acme.example:443'],
    ['must be in normal form', 'https://acme.example/a/../b'],
    ['must be in normal form', 'https://bücher.example'],
    ['must be in normal form', 'http://127.1'],
    ['must be in normal form', 'https:acme.example'],
    ['must be in normal form', 'https://acme.exam\tple'],
  ])('%s: %s', (fault, text) => {
    expect(faultsOf(parseIssuer(text))).toContain(fault)
  })
})

describe("Google's addresses", () => {
  test('P29: they are https, and plain http only on loopback', () => {
    expect(valueOf(parseEndpoint('https://oauth2.googleapis.com/token'))).toBe(
      'https://oauth2.googleapis.com/token',
    )
    expect(valueOf(parseEndpoint('http://127.0.0.1:9/token'))).toBe('http://127.0.0.1:9/token')
    expect(faultsOf(parseEndpoint('http://oauth2.googleapis.com/token'))).toContain('must be https')
    expect(faultsOf(parseBaseUrl('http://169.254.169.254'))).toContain('must be https')
  })

  test('a base has no slash at its end, an endpoint is left as it is', () => {
    expect(valueOf(parseBaseUrl('https://iam.googleapis.com/'))).toBe('https://iam.googleapis.com')
    expect(valueOf(parseBaseUrl('http://127.0.0.1:9/iam//'))).toBe('http://127.0.0.1:9/iam')
    expect(valueOf(parseEndpoint('http://127.0.0.1:9/token/'))).toBe('http://127.0.0.1:9/token/')
  })
})

describe('the store', () => {
  test.each([
    ['memory:', { kind: 'memory' }],
    ['sqlite:store.db', { kind: 'sqlite', path: 'store.db' }],
    ['sqlite:/var/lib/a:b.db', { kind: 'sqlite', path: '/var/lib/a:b.db' }],
    ['firestore://acme', { kind: 'firestore', driver: 'native', project: 'acme', database: '(default)' }],
    ['firestore://acme/', { kind: 'firestore', driver: 'native', project: 'acme', database: '(default)' }],
    [
      'firestore://acme/(default)',
      { kind: 'firestore', driver: 'native', project: 'acme', database: '(default)' },
    ],
    [
      'firestore://acme.com:x/d-1',
      { kind: 'firestore', driver: 'native', project: 'acme.com:x', database: 'd-1' },
    ],
    ['firestore+rest://acme/d', { kind: 'firestore', driver: 'rest', project: 'acme', database: 'd' }],
  ])('is read: %s', (text, place) => {
    expect(valueOf(parseStore(text))).toEqual(place)
  })

  test.each([
    'sqlite:',
    'sqlite::memory:',
    'sqlite://store.db',
    'memory:x',
    'memory',
    'firestore:acme',
    'firestore://',
    'firestore:///d',
    'firestore://acme/d/e',
    'firestore://acme/d?x',
    'firestore://../d',
    'firestore://acme/..',
    'firestore+grpc://acme/d',
    'postgres://acme',
    'store.db',
  ])('is refused: %s', (text) => {
    expect(faultsOf(parseStore(text))).not.toBe('')
  })
})

test.each([
  'local',
  'local:k1:a2V5',
  'gcp-kms://projects/p/locations/l/keyRings/r',
  'gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1',
  'gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k?x',
  'gcp-kms:projects/p/locations/l/keyRings/r/cryptoKeys/k',
  'local:,',
  'local:,local:k1:a2V5',
])('a key ring of another form is refused: %s', (text) => {
  expect(faultsOf(parseKeyRing(text))).toContain('must be local: or gcp-kms://')
})

test.each(['local:,local:', 'local:, gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k,local:'])(
  'a key ring is named once: %s',
  (text) => {
    expect(faultsOf(parseKeyRing(text))).toContain('twice')
  },
)

test.each(['127.0.0.1:8085', 'firestore:8080', '[::1]:8080'])('the emulator is host and port: %s', (text) => {
  expect(valueOf(parseHostAndPort(text))).toBe(text)
})

test.each(['http://127.0.0.1:8085', '127.0.0.1', ':8080', 'a:0', 'a:65536', 'a:b', 'a:1/x'])(
  'the emulator is nothing but host and port: %s',
  (text) => {
    expect(faultsOf(parseHostAndPort(text))).toContain('must be HOST:PORT')
  },
)

test.each(['', '-1', '1.0', '0x10', '1e2', '11', ' 1', '１', '9'.repeat(20)])(
  'no whole number of 1 to 10: %j',
  (text) => {
    expect(faultsOf(parseInteger(1, 10)(text))).toBe('must be a whole number from 1 to 10')
    expect(valueOf(parseInteger(1, 10)('10'))).toBe(10)
  },
)

function valueOf<T>(reading: Reading<T>): T | undefined {
  return reading.ok ? reading.value : undefined
}

function faultsOf(reading: Reading<unknown>): string {
  return reading.ok ? '' : reading.faults.join('\n')
}
