// A home's members, one after the other: who they are, and that everything which names them is in step.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { clientsView } from './load.ts'
import { done, type Home } from './verbs.ts'

export interface Member {
  id: string
  name: string
  isLeader: boolean
  isLearner: boolean
}

/** master01 and so on. */
export const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `master0${index + 1}`)

/** The members as verify finds them. @throws when it finds anything wrong */
export const members = async (home: Home): Promise<Member[]> =>
  (await done(home.verb('verify', '--json'))).members as Member[]

/**
 * The record, the inventory, every host's initial cluster, and the members as verify finds them: all the same. Returns
 * the members' ids by name.
 */
export async function requireInStep(home: Home, expected: string[]): Promise<Record<string, string>> {
  const state = join(home.path, '.cluster/etcd-cluster-1')
  const live = await members(home)
  assert.equal(live.map(({ name }) => name).sort(), expected)
  assert.not.ok(live.some(({ isLearner }) => isLearner))
  assert.equal(
    clientsView(home).hosts.map(({ name }) => name),
    expected,
  )
  const inventory = parse(readFileSync(join(state, 'inventory.yml'), 'utf8'))
  assert.equal(Object.keys(inventory.all.children['role=master'].hosts), expected)
  for (const folder of [join(state, 'hosts'), join(home.path, 'certs/etcd-cluster-1')])
    assert.equal(
      readdirSync(folder)
        .filter((name) => name.startsWith('master'))
        .sort(),
      expected,
    )
  for (const host of expected) {
    const config = readFileSync(join(state, 'hosts', host, `etc/keeper/member.conf`), 'utf8')
    const [, initial = ''] = /ETCD_INITIAL_CLUSTER=(.+)/.exec(config) ?? []
    assert.equal(
      initial.split(',').map((entry) => entry.split('=')[0]),
      expected,
      host,
    )
  }
  return Object.fromEntries(live.map(({ name, id }) => [name, id]))
}
