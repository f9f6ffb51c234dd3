// The provider when nobody names one: on this machine unless Vagrant works, and what was chosen stays chosen.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Config } from '../../../tasks/core/schema.ts'
import { temporaryFolder } from '../../support/folder.ts'

// Home and PATH are this test's own: what this machine has installed must not matter.
const home = temporaryFolder()
const programs = temporaryFolder()
process.env.HA_ETCD_HOME = home
delete process.env.VAGRANT_DEFAULT_PROVIDER
process.env.VAGRANT_HOME = join(home, 'vagrant')
const { resolveCluster } = await import('../../../tasks/core/cluster.ts')
const { hasPlugin } = await import('../../../tasks/core/provider-choice.ts')
const { clusterPaths, recordCluster } = await import('../../../tasks/core/record.ts')

const test = suite('provider-choice')
const path = process.env.PATH
test.before.each(() => {
  process.env.PATH = programs
})
test.after.each(() => {
  process.env.PATH = path
  delete process.env.VAGRANT_DEFAULT_PROVIDER
})

const resolve = (asked: Config = {}) => resolveCluster({ asked, configFile: undefined })
const program = (name: string, body = ''): void =>
  writeFileSync(join(programs, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 })

test('without Vagrant the hosts are on this machine, and it says why', async () => {
  const { provider, providerReason, vagrant } = await resolve()
  assert.equal(
    { provider, providerReason, vagrant },
    { provider: 'local', providerReason: 'on this machine since Vagrant is not installed', vagrant: undefined },
  )
})

test('Vagrant with a hypervisor is taken; a loopback network says otherwise', async () => {
  program('vagrant')
  program('prlctl')
  const cluster = await resolve({ vagrant: { provider: 'parallels', memory: 2048 } })
  assert.equal([cluster.provider, cluster.providerReason], ['vagrant', 'Vagrant and parallels are here'])
  assert.equal(cluster.vagrant, { provider: 'parallels', memory: 2048, cpus: 1 })
  assert.is(cluster.hosts[0]?.address, '192.168.56.101')
  assert.is((await resolve({ subnet: '127.3.2.0/24' })).provider, 'local')
})

test('Vagrant without the hypervisor that is asked for is not enough', async () => {
  const { provider, providerReason } = await resolve({ vagrant: { provider: 'virtualbox' } })
  assert.equal([provider, providerReason], ['local', 'on this machine since Vagrant has no hypervisor here'])
})

test('a hypervisor whose plugin Vagrant lacks is passed over, but named where Vagrant is asked for', async () => {
  assert.is((await resolve()).provider, 'local')
  assert.is((await resolve({ provider: 'vagrant' })).vagrant?.provider, 'parallels')
  mkdirSync(join(home, 'vagrant'))
  writeFileSync(join(home, 'vagrant/plugins.json'), '{"version":"1","installed":{"vagrant-parallels":{}}}')
  assert.is((await resolve()).vagrant?.provider, 'parallels')
})

test("a plugin is found in Vagrant's lists, Debian's too, else Vagrant is asked", async () => {
  const folder = temporaryFolder()
  assert.equal([await hasPlugin('virtualbox', []), await hasPlugin('libvirt', [folder])], [true, false])
  mkdirSync(join(folder, 'plugins.d'))
  writeFileSync(join(folder, 'plugins.d/vagrant-libvirt.json'), '{"vagrant-libvirt":{}}')
  assert.is(await hasPlugin('libvirt', [folder]), true)
  program('vagrant', "echo 'vagrant-libvirt (0.11.2, system)'")
  assert.is(await hasPlugin('libvirt', []), true)
})

test('what the person told Vagrant itself holds', async () => {
  process.env.VAGRANT_DEFAULT_PROVIDER = 'parallels'
  assert.is((await resolve()).vagrant?.provider, 'parallels')
})

test('a recorded cluster keeps its provider, hypervisor and network; the next one gets another network', async () => {
  const made = await resolve({
    cluster: 'made',
    provider: 'vagrant',
    vagrant: { provider: 'parallels', boxVersion: '1' },
  })
  recordCluster(made)
  const again = await resolve({ cluster: 'made' })
  assert.equal([again.provider, again.vagrant, again.subnet], ['vagrant', made.vagrant, '192.168.56.0/24'])
  assert.is((await resolve({ cluster: 'other', provider: 'vagrant' })).subnet, '192.168.57.0/24')
  const failure = await resolve({ cluster: 'made', vagrant: { provider: 'docker' } }).catch((error: Error) => error)
  assert.match((failure as Error).message, 'was made with vagrant.provider parallels; it cannot become docker')
})

test("a cluster whose record is lost is still Vagrant's where its folder is", async () => {
  mkdirSync(clusterPaths('lost').vagrant, { recursive: true })
  const cluster = await resolve({ cluster: 'lost' })
  assert.is(cluster.provider, 'vagrant')
  assert.throws(() => recordCluster(cluster), /There are hosts of cluster lost in .*, but its record .* is missing/)
  assert.is(dirname(cluster.paths.vagrant), cluster.paths.state)
})

test.run()
