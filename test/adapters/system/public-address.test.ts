import { expect, test } from 'vitest'
import { isPublicAddress, isPublicHost } from '../../../src/adapters/system/public-address.ts'

test.each(['1.1.1.1', '8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700:4700::1111', '2a00:1450:4001::1'])(
  'T34: %s is an address of the public Internet',
  (address) => {
    expect(isPublicAddress(address)).toBe(true)
  },
)

test.each([
  ['loopback', '127.0.0.1'],
  ['loopback', '127.255.255.254'],
  ['loopback', '::1'],
  ['unspecified', '0.0.0.0'],
  ['this network', '0.1.2.3'],
  ['unspecified', '::'],
  ['private', '10.0.0.1'],
  ['private', '172.16.0.1'],
  ['private', '172.31.255.255'],
  ['private', '192.168.1.1'],
  ['shared, of carriers', '100.64.0.1'],
  ['shared, of carriers', '100.127.255.255'],
  ['link-local, with the metadata server', '169.254.169.254'],
  ['link-local', 'fe80::1'],
  ['link-local with a zone', 'fe80::1%eth0'],
  ['site-local', 'fec0::1'],
  ['unique local', 'fd00::1'],
  ['unique local, the metadata server of AWS', 'fd00:ec2::254'],
  ['IPv4-mapped', '::ffff:127.0.0.1'],
  ['IPv4-mapped', '::ffff:8.8.8.8'],
  ['IPv4-compatible', '::127.0.0.1'],
  ['IPv4-translated', '::ffff:0:127.0.0.1'],
  ['NAT64', '64:ff9b::a00:1'],
  ['local NAT64', '64:ff9b:1::a00:1'],
  ['6to4', '2002:7f00:1::1'],
  ['Teredo', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
  ['documentation', '192.0.2.1'],
  ['documentation', '203.0.113.1'],
  ['documentation', '2001:db8::1'],
  ['benchmarks', '198.18.0.1'],
  ['multicast', '224.0.0.1'],
  ['multicast', 'ff02::1'],
  ['reserved', '240.0.0.1'],
  ['broadcast', '255.255.255.255'],
  ['of no block that is given out', '4000::1'],
  ['no address', 'hooks.acme.example'],
  ['no address', ''],
])('T34: an address that is %s is not: %s', (_, address) => {
  expect(isPublicAddress(address)).toBe(false)
})

test.each([
  ['https://hooks.acme.example/', true],
  ['https://1.1.1.1/', true],
  ['https://[2606:4700:4700::1111]/', true],
  ['https://localhost.example/', true],
  ['https://localhost/', false],
  ['https://localhost./', false],
  ['https://a.LOCALHOST/', false],
  ['https://127.1/', false],
  ['https://0x7f000001/', false],
  ['https://2130706433/', false],
  ['https://[::ffff:7f00:1]/', false],
  ['https://169.254.169.254/', false],
])('T34: the host of %s, as the URL parser reads it', (url, isPublic) => {
  expect(isPublicHost(new URL(url).hostname)).toBe(isPublic)
})
