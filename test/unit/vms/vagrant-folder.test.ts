// What Vagrant gets to read: rendered once, right for each provider, and valid in Vagrant's own eyes where that can be
// asked.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Cluster, hostNamed } from '../../../tasks/core/cluster.ts'
import { findProgram } from '../../../tasks/core/programs.ts'
import type { VagrantSettings } from '../../../tasks/core/provider-choice.ts'
import { vagrant } from '../../../tasks/vms/vagrant.ts'
import { boxOf, renderFolder } from '../../../tasks/vms/vagrant-folder.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { snapshotOf } from '../../support/verbs.ts'

const vagrantCluster = (vagrant: Partial<VagrantSettings>): Cluster =>
  testCluster({
    provider: 'vagrant',
    subnet: '192.168.56.0/24',
    vagrant: { provider: 'docker', memory: 1024, cpus: 1, ...vagrant },
  })

const rendered = (cluster: Cluster): Record<string, unknown> => {
  renderFolder(cluster)
  return JSON.parse(readFileSync(join(cluster.paths.vagrant, 'settings.json'), 'utf8'))
}

test('a second rendering touches no file', () => {
  const cluster = vagrantCluster({ provider: 'virtualbox' })
  assert.is(renderFolder(cluster), true)
  const before = snapshotOf(cluster.paths.vagrant)
  assert.is(renderFolder(cluster), false)
  assert.equal(snapshotOf(cluster.paths.vagrant), before)
})

test('the settings say who the hosts are, and how large', () => {
  const { hosts, memory, cpus, provider } = rendered(vagrantCluster({ memory: 2048, cpus: 2 }))
  assert.equal({ memory, cpus, provider }, { memory: 2048, cpus: 2, provider: 'docker' })
  assert.equal((hosts as { name: string; address: string }[])[2], { name: 'master03', address: '127.77.0.103' })
})

test('without a box of its own, only VirtualBox gets Ignition; Flatcar is for it and Parallels', () => {
  for (const [provider, flatcar] of Object.entries({
    docker: false,
    libvirt: false,
    virtualbox: true,
    parallels: true,
  })) {
    const cluster = vagrantCluster({ provider: provider as VagrantSettings['provider'] })
    assert.is(rendered(cluster).flatcar, flatcar)
    assert.is(existsSync(join(cluster.paths.vagrant, 'config.ign')), provider === 'virtualbox')
  }
})

test("Docker's image is named by what is in it, or is the one that was asked for", () => {
  assert.match(String(rendered(vagrantCluster({})).image), /^ha-etcd-host:[0-9a-f]{12}$/)
  assert.is(
    rendered(vagrantCluster({ box: 'registry.example/host', boxVersion: '7' })).image,
    'registry.example/host:7',
  )
})

test('a box is the one asked for; a version of Flatcar is found at its own address', () => {
  assert.is(boxOf({ provider: 'libvirt', memory: 1, cpus: 1 }).box, 'debian/bookworm64')
  assert.match(
    boxOf({ provider: 'virtualbox', memory: 1, cpus: 1 }).boxUrl ?? '',
    /\/\/stable\..*\/current\/flatcar_production_vagrant\.json$/,
  )
  assert.match(
    boxOf({ provider: 'parallels', box: 'flatcar-beta', boxVersion: '4081.2.0', memory: 1, cpus: 1 }).boxUrl ?? '',
    /\/\/beta\..*\/4081\.2\.0\//,
  )
  assert.equal(boxOf({ provider: 'virtualbox', box: 'my/box', boxVersion: '1', memory: 1, cpus: 1 }), {
    box: 'my/box',
    boxVersion: '1',
  })
})

test("whether hosts are Flatcar goes by the box, whichever the provider; Docker's image is none", () => {
  const flatcar = (provider: VagrantSettings['provider'], box: string): [unknown, boolean, boolean] => {
    const cluster = vagrantCluster({ provider, box })
    const settings = rendered(cluster)
    return [
      settings.flatcar,
      existsSync(join(cluster.paths.vagrant, 'config.ign')),
      vagrant.connection(cluster, hostNamed(cluster, 'master01')).etcd_flatcar === true,
    ]
  }
  assert.equal(flatcar('virtualbox', 'debian/bookworm64'), [false, false, false])
  assert.equal(flatcar('virtualbox', 'flatcar-mine'), [true, true, true])
  assert.equal(flatcar('parallels', 'bento/debian-12'), [false, false, false])
  assert.equal(flatcar('libvirt', 'flatcar-mine'), [true, false, true])
  assert.equal(flatcar('docker', 'flatcar-mine'), [false, false, false])
})

test('a host stays the Flatcar or Debian that it was made as when another box is named later', () => {
  const made = (connection: Record<string, string | boolean>, box: string): unknown => {
    const cluster = vagrantCluster({ provider: 'virtualbox', box })
    return vagrant.connection(cluster, { ...hostNamed(cluster, 'master01'), connection }).etcd_flatcar
  }
  assert.is(made({ etcd_flatcar: true }, 'debian/bookworm64'), true)
  assert.is(made({ ansible_connection: 'ssh' }, 'flatcar-stable'), undefined)
})

test("Flatcar's boxes for Parallels have a list of their own until 4722, and so have stable and lts today", () => {
  const list = (provider: VagrantSettings['provider'], box: string, boxVersion?: string): string =>
    boxOf({ provider, box, boxVersion, memory: 1, cpus: 1 }).boxUrl?.split('/').slice(4).join('/') ?? ''
  assert.is(list('parallels', 'flatcar-stable'), 'current/flatcar_production_vagrant_parallels.json')
  assert.is(list('parallels', 'flatcar-lts'), 'current/flatcar_production_vagrant_parallels.json')
  assert.is(list('parallels', 'flatcar-alpha'), 'current/flatcar_production_vagrant.json')
  assert.is(list('parallels', 'flatcar-beta', '4694.1.0'), '4694.1.0/flatcar_production_vagrant_parallels.json')
  assert.is(list('parallels', 'flatcar-stable', '4722.2.0'), '4722.2.0/flatcar_production_vagrant.json')
  assert.is(list('virtualbox', 'flatcar-stable', '4593.2.5'), '4593.2.5/flatcar_production_vagrant.json')
})

test('only VirtualBox and Parallels find a box by its channel', () =>
  assert.equal(boxOf({ provider: 'libvirt', box: 'flatcar-beta', memory: 1, cpus: 1 }), { box: 'flatcar-beta' }))

/** A folder with a program that stands in for VirtualBox's, so that Vagrant takes it for installed. */
function pretended(): string {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'VBoxManage'), "#!/bin/sh\necho '7.0.10r158379'\n", { mode: 0o755 })
  return folder
}

/**
 * A Vagrant home whose Vagrantfile stands in for a provider's plugin: it takes every setting, so that the block for it
 * is run.
 */
function standIn(provider: string): string {
  const folder = temporaryFolder()
  const plugin = [
    'class StandIn < Vagrant.plugin("2")',
    '  name "stand-in"',
    `  provider(:${provider}) { Class.new(Vagrant.plugin("2", :provider)) { def state; ` +
      'Vagrant::MachineState.new(:not_created, "", ""); end } }',
    `  config(:${provider}, :provider) { Class.new(Vagrant.plugin("2", :config)) { attr_accessor ` +
      ':memory, :cpus, :driver, :default_prefix, :check_guest_tools } }',
    'end',
  ]
  writeFileSync(join(folder, 'Vagrantfile'), `${plugin.join('\n')}\n`)
  return folder
}

const withVagrant = findProgram('vagrant') ? test : test.skip

// With Docker test/e2e/vagrant.test.ts has hosts come up.
for (const [provider, variables] of Object.entries({
  virtualbox: () => ({ PATH: `${pretended()}${delimiter}${process.env.PATH}`, VAGRANT_HOME: temporaryFolder() }),
  libvirt: () => ({ VAGRANT_HOME: standIn('libvirt') }),
  parallels: () => ({ VAGRANT_HOME: standIn('parallels') }),
}))
  withVagrant(`Vagrant finds the Vagrantfile valid for ${provider}; what is not installed has a stand-in`, () => {
    const cluster = vagrantCluster({ provider: provider as VagrantSettings['provider'] })
    renderFolder(cluster)
    const said = execFileSync('vagrant', ['validate'], {
      cwd: cluster.paths.vagrant,
      env: { ...process.env, ...variables(), VAGRANT_CHECKPOINT_DISABLE: '1' },
      encoding: 'utf8',
      stdio: 'pipe',
    })
    assert.match(said, 'Vagrantfile validated successfully')
  })

test.run()
