// The ladder of etcd's minor versions for real, up and down: idle, with writes, under load, killed at each step and gone on with.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Home, killedAt, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'

const rungs = ['3.4.23', '3.5.33', '3.6.14', '3.7.1'].map(etcdOf)
const [, v35, v36, v37] = rungs.map((rung) => rung?.version ?? '') as [string, string, string, string]
const forReal = rungs.every((rung) => rung !== undefined) ? test : test.skip

/** Has the configuration name the programs of a version. */
const name = (home: Home, version: string): void =>
  writeFileSync(join(home.path, 'cluster.yaml'), `etcd: { binaries: ${etcdOf(version)?.folder} }\n`)

/** A verb that must succeed, with the programs of a version. */
async function must(home: Home, version: string, verb: string, ...words: string[]): Promise<string> {
  name(home, version)
  const { exitCode, stdout, stderr } = await home.verb(verb, ...words)
  assert.is(exitCode, 0, `${verb} ${words.join(' ')}: ${stderr}`)
  return stdout
}

const step = (home: Home, verb: 'upgrade' | 'downgrade', to: string): Promise<string> =>
  must(home, to, verb, '--etcd-version', to, '--json')

async function versions(home: Home): Promise<string[]> {
  const { members } = JSON.parse(await must(home, recorded(home).version, 'status', '--json'))
  return [...new Set(members.map(({ version }: { version: string }) => version))] as string[]
}

const recorded = (home: Home): { version: string; upgradingTo?: string } =>
  JSON.parse(readFileSync(join(home.path, '.cluster/etcd-cluster-1/cluster.json'), 'utf8')).etcd

const settings = (home: Home): string => {
  const hosts = join(home.path, '.cluster/etcd-cluster-1/hosts')
  return readdirSync(hosts)
    .map((host) => readFileSync(join(hosts, host, `etc/supervisor/${host}.conf`), 'utf8'))
    .join('\n')
}

const quiet = testHome()

forReal('a quiet cluster goes from 3.5 to 3.7, though no member has a raft snapshot; killed at each step', async () => {
  await must(quiet, v35, 'up', '--yes')
  await step(quiet, 'upgrade', v36)
  const plan = await must(quiet, v37, 'upgrade', '--etcd-version', v37, '--plan')
  assert.match(plan, 'restart master01, master02, master03, one at a time, so that each takes a snapshot')
  for (const words of [
    'Restart etcd on',
    'Wait until each of them has it',
    'Run the Ansible role etcd: ',
    'Ask all 3 members',
  ])
    await killedAt(quiet, words, 'upgrade', '--etcd-version', v37)
  assert.equal(recorded(quiet), { version: v36, upgradingTo: v37 })
  await step(quiet, 'upgrade', v37)
  assert.equal([await versions(quiet), recorded(quiet)], [[v37], { version: v37 }])
  assert.not.match(settings(quiet), 'SNAPSHOT_COUNT')
})

test.after(() => quiet.downAll())

test.run()
