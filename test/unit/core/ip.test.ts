// Addresses as text: their one form, their place in URLs, and which no member can have; the role has the same rules.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ansiblePython } from '../../../tasks/core/ansible.ts'
import { projectFolder } from '../../../tasks/core/environment.ts'
import { addressIn, canonical, prefixOf, whyNoHosts, withPort } from '../../../tasks/core/ip.ts'

const filters = join(projectFolder, 'templates/ansible/roles/etcd/filter_plugins')
const program = `
import json, sys
sys.path.insert(0, ${JSON.stringify(filters)})
sys.dont_write_bytecode = True
from etcd_addresses import etcd_address, etcd_url
from etcd_mistakes import why_no_hosts
print(json.dumps([[etcd_address(["", one]), etcd_url(etcd_address([one]), 2379), why_no_hosts(one)]
                  for one in json.load(sys.stdin)]))`
const python = await ansiblePython()
/** What the role makes of addresses: the form, the URL, and why it can be no host's. */
const ofRole = (all: string[]): [string, string, string | null][] =>
  JSON.parse(execFileSync(python, ['-c', program], { input: JSON.stringify(all), encoding: 'utf8' }))

/** RFC 5952: a written form, and the one form. */
const forms: [string, string][] = [
  ['FD00::11', 'fd00::11'],
  ['fd00:0:0:0:0:0:0:11', 'fd00::11'],
  ['fd00:0000:0000:0001:0000:0000:0000:0011', 'fd00:0:0:1::11'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:db8::1:0:0:1', '2001:db8::1:0:0:1'],
  ['::1', '::1'],
  ['10.0.0.1', '10.0.0.1'],
]

test('an address has one form, here and in the role', () => {
  assert.equal(
    forms.map(([written]) => canonical(written)),
    forms.map(([, form]) => form),
  )
  assert.equal(
    ofRole(forms.map(([written]) => written)).map(([form]) => form),
    forms.map(([, form]) => form),
  )
  assert.is(canonical('server.example'), 'server.example')
})

test('in a URL an IPv6 address stands in brackets, and comes out of it without', () => {
  assert.is(withPort('fd00::11', 2379), '[fd00::11]:2379')
  assert.is(withPort('10.0.0.1', 2379), '10.0.0.1:2379')
  for (const [, form] of forms)
    assert.equal(addressIn(`https://${withPort(form, 2380)}`), { address: form, port: 2380 })
  assert.equal(
    ofRole(forms.map(([, form]) => form)).map(([, url]) => url),
    forms.map(([, form]) => `https://${withPort(form, 2379)}`),
  )
})

const nobodys: [string, RegExp][] = [
  ['fe80::1', /^which is link-local: on each interface it is another host/],
  ['FE80::1%eth0', /^which is link-local/],
  ['febf::1', /^which is link-local/],
  ['fd00::1%eth0', /^which has a zone \(%eth0\): give the address without it$/],
  ['ff02::1', /^which is multicast/],
  ['::', /^which no host can have$/],
  ['0:0:0:0:0:0:0:0', /^which no host can have$/],
  ['::10.0.0.1', /^which no host can have$/],
  ['::ffff:10.0.0.1', /: give it as 10\.0\.0\.1$/],
  ['::FFFF:c0a8:0101', /: give it as 192\.168\.1\.1$/],
  ['0.0.0.0', /^which no host can have$/],
  ['224.0.0.1', /^which no host can have$/],
  ['255.255.255.255', /^which no host can have$/],
]
const somebodys = [
  'fd00::11',
  '2001:db8::1',
  '::1',
  '127.0.0.1',
  '10.0.0.1',
  'fec0::1',
  'ff:1::1',
  'fe8::1',
  '64:ff9b::1',
]

test('what no host can have is known, with the reason, here and in the role', () => {
  const [role, own] = [ofRole(nobodys.map(([address]) => address)), ofRole(somebodys)]
  for (const [index, [address, why]] of nobodys.entries()) {
    assert.match(whyNoHosts(address) ?? '', why, address)
    assert.ok(role[index]?.[2], address)
  }
  for (const [index, address] of somebodys.entries()) {
    assert.is(whyNoHosts(address), undefined, address)
    assert.is(own[index]?.[2], null, address)
  }
  assert.match(ofRole(['::ffff:10.0.0.1'])[0]?.[2] ?? '', 'give it as 10.0.0.1')
  assert.is(ofRole(['10.0.0.300'])[0]?.[2], 'is no IP address')
})

test("a network's own part: a /24 or a /64, and no other", () => {
  assert.is(prefixOf('127.10.20.0/24'), '127.10.20.')
  assert.is(prefixOf('FD00:10:20:0::/64'), 'fd00:10:20::')
  assert.is(prefixOf('fd00:1:2:3::/64'), 'fd00:1:2:3::')
  assert.is(prefixOf('fd00:0:0:3::/64'), 'fd00:0:0:3::')
  for (const wrong of [
    '127.10.20.1/24',
    '127.10.20.0/16',
    'fd00::/48',
    'fd00:1:2:3:4::/64',
    'fd00::1/64',
    'fd00::',
    'x',
  ])
    assert.is(prefixOf(wrong), undefined, wrong)
})

test.run()
