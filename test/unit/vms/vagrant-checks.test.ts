// What doctor says of Vagrant's hosts before anything is made: the box, the hypervisor's version, the addresses.
import { mkdirSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { VagrantSettings } from '../../../tasks/core/provider-choice.ts'
import { boxFinding, takenAddress, virtualboxFinding } from '../../../tasks/vms/vagrant-checks.ts'
import { testCluster } from '../../support/cluster.ts'

const settings = (provider: VagrantSettings['provider'], box?: string): VagrantSettings => ({
  provider,
  box,
  memory: 1024,
  cpus: 1,
})

test("on arm64 Flatcar's own boxes are refused, and Debian's named; a box of one's own is not", () => {
  for (const box of [undefined, 'flatcar-beta']) {
    const finding = boxFinding(settings('parallels', box), 'arm64')
    assert.is(finding?.detail, `The box ${box ?? 'flatcar-stable'} is for amd64 only: Flatcar has none for arm64.`)
    assert.match(finding?.remedy ?? '', 'bento/debian-12')
  }
  assert.is(boxFinding(settings('virtualbox', 'bento/debian-12'), 'arm64'), undefined)
  assert.is(boxFinding(settings('virtualbox', 'flatcar-mine'), 'arm64'), undefined)
  assert.is(boxFinding(settings('libvirt'), 'arm64'), undefined)
  assert.is(boxFinding(settings('virtualbox'), 'x64'), undefined)
})

test('a VirtualBox that this Vagrant does not know yet is refused, and the Vagrant that does is named', () => {
  const needs = (virtualbox: string, vagrant: string): string | undefined =>
    /needs Vagrant (\S+)/.exec(virtualboxFinding(virtualbox, vagrant)?.detail ?? '')?.[1]
  assert.equal(
    [needs('6.1.50', '2.2.5'), needs('7.0.10', '2.2.19'), needs('7.0.10', '2.3.4')],
    [undefined, '2.3.2', undefined],
  )
  assert.equal(
    [needs('7.1.2', '2.3.4'), needs('7.1.2', '2.4.2'), needs('7.2.0', '2.4.8'), needs('7.2.0', '2.4.9')],
    ['2.4.2', undefined, '2.4.9', undefined],
  )
  assert.is(virtualboxFinding(undefined, '2.3.4'), undefined)
  assert.is(virtualboxFinding('7.2.0', undefined), undefined)
})

test("another's machine at a host's address is refused, unless this cluster's folder knows of machines", async () => {
  const server = createServer((socket) => socket.end('SSH-2.0-test\r\n'))
  await new Promise<void>((ready) => server.listen(0, '127.77.0.102', ready))
  const { port } = server.address() as AddressInfo
  const cluster = testCluster({ provider: 'vagrant', vagrant: settings('virtualbox') })
  assert.match((await takenAddress(cluster, port))?.detail ?? '', 'answers at 127.77.0.102 already')
  assert.is(await takenAddress({ ...cluster, vagrant: settings('docker') }, port), undefined)
  mkdirSync(join(cluster.paths.vagrant, '.vagrant/machines'), { recursive: true })
  assert.is(await takenAddress(cluster, port), undefined)
  server.close()
})

test.run()
