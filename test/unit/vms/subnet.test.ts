// The network for Vagrant's hosts: what takes it already is named, and one that is free is offered.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Networks, subnetClash } from '../../../tasks/vms/subnet.ts'

const here: Networks = {
  routes: [
    { network: '192.0.2.0/24', device: 'eth0', gateway: false },
    { network: '172.17.0.0/16', device: 'docker0', gateway: false },
    { network: '192.168.57.0/24', device: 'br-aaaaaaaaaaaa', gateway: false },
    { network: '10.0.0.0/8', device: 'tun0', gateway: true },
    { network: '192.168.58.0/24', device: 'vboxnet0', gateway: false },
    { network: '192.168.59.0/24', device: 'virbr1', gateway: false },
  ],
  docker: [
    { network: '172.17.0.0/16', name: 'bridge', device: 'docker0' },
    { network: '192.168.57.0/24', name: 'blue-123456', device: 'br-aaaaaaaaaaaa' },
  ],
  libvirt: [{ name: 'red-123456', device: 'virbr1' }],
  virtualbox: [],
}
const clash = (
  subnet: string,
  provider: Parameters<typeof subnetClash>[1],
  own = 'green-123456',
  more: Partial<Networks> = {},
) => subnetClash(subnet, provider, { ...here, ...more }, own)

test('a free network is free', () => assert.is(clash('192.168.60.0/24', 'docker'), undefined))

test("the original's network lies in Docker's default, and a free one is named", () => {
  const finding = clash('172.17.5.0/24', 'docker')
  assert.is(finding?.detail, "172.17.5.0/24 overlaps 172.17.0.0/16, which is Docker's network bridge (its default).")
  assert.match(finding?.remedy ?? '', '192.168.56.0/24 is free')
  assert.is(clash('172.18.5.0/24', 'docker'), undefined)
})

test("a cluster's own network, left by a run that was killed, is no clash; another's is", () => {
  assert.is(clash('192.168.57.0/24', 'docker', 'blue-123456'), undefined)
  assert.match(clash('192.168.57.0/24', 'docker')?.detail ?? '', "Docker's network blue-123456")
  assert.is(clash('192.168.59.0/24', 'libvirt', 'red-123456'), undefined)
  assert.match(clash('192.168.59.0/24', 'libvirt')?.detail ?? '', 'over virbr1')
})

test('VirtualBox allows its own range only, unless its configuration says otherwise', () => {
  assert.match(clash('172.18.5.0/24', 'virtualbox')?.detail ?? '', 'allows addresses in 192.168.56.0/21 only')
  assert.match(clash('172.18.5.0/24', 'virtualbox')?.remedy ?? '', '"* 172.18.5.0/24" to /etc/vbox/networks.conf')
  assert.is(clash('172.18.5.0/24', 'virtualbox', '', { virtualbox: ['172.18.0.0/16'] }), undefined)
  assert.is(clash('192.168.63.0/24', 'virtualbox'), undefined)
  assert.match(clash('192.168.64.0/24', 'virtualbox')?.detail ?? '', 'is outside')
})

test("VirtualBox's own device is no clash for VirtualBox, but for others", () => {
  assert.is(clash('192.168.58.0/24', 'virtualbox'), undefined)
  assert.match(clash('192.168.58.0/24', 'libvirt')?.detail ?? '', 'a route to 192.168.58.0/24 over vboxnet0')
})

test('a route of the same network stops; a wide one through a gateway is a warning', () => {
  assert.is(clash('192.0.2.0/24', 'docker')?.warning, undefined)
  assert.match(clash('192.0.2.0/24', 'docker')?.detail ?? '', 'over eth0')
  assert.is(clash('10.9.8.0/24', 'docker')?.warning, true)
})

test.run()
