// What the role refuses before it looks at any host, also where it is used by itself.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { requireAnsible } from '../../../tasks/core/ansible.ts'
import { projectFolder } from '../../../tasks/core/environment.ts'
import { temporaryFolder } from '../../support/folder.ts'

const test = suite('prepare')

/** What the role says of this etcd_environment. */
const program = await requireAnsible('ansible-playbook')

function prepare(environment: Record<string, unknown>, more: object = { private_ipv4: '127.0.0.1' }): string {
  const folder = temporaryFolder()
  const play = {
    hosts: 'm1',
    gather_facts: false,
    tasks: [{ 'ansible.builtin.include_role': { name: 'etcd', tasks_from: 'prepare.yml' } }],
  }
  writeFileSync(join(folder, 'play.yml'), JSON.stringify([play]))
  const variables = { ...more, etcd_members: ['m1'], etcd_environment: environment }
  const env = {
    ...process.env,
    ANSIBLE_CONFIG: join(projectFolder, 'templates/ansible/ansible.cfg'),
    ANSIBLE_ROLES_PATH: join(projectFolder, 'templates/ansible/roles'),
  }
  return spawnSync(program, ['-i', 'm1,', '-c', 'local', '-e', JSON.stringify(variables), join(folder, 'play.yml')], {
    env,
    encoding: 'utf8',
  }).stdout
}

test('values on one line are taken', () =>
  assert.match(prepare({ ETCD_A: 'info', ETCD_B: 5, ETCD_C: true }), 'failed=0'))

test('a host has private_ipv4 or private_ipv6; of the latter none that is link-local', () => {
  assert.match(prepare({}, { private_ipv6: 'FD00::11' }), 'failed=0')
  assert.match(prepare({}, { private_ipv6: 'fe80::11' }), "m1's address in the inventory, fe80::11, is link-local")
  assert.match(prepare({}, {}), 'm1 has no private_ipv4 or private_ipv6')
})

test('values that would add lines to the configuration are refused by name', () => {
  const said = prepare({ ETCD_A: 'a\nExecStartPre=/bin/x', ETCD_B: 'b', ETCD_C: 'c\rd' })
  assert.match(said, 'etcd_environment: ETCD_A, ETCD_C must be on one line, without control characters.')
})

test('who names a metrics port sets no other metrics URLs beside it', () => {
  const urls = { ETCD_LISTEN_METRICS_URLS: 'http://127.0.0.1:2381' }
  assert.match(prepare(urls), 'failed=0')
  const said = prepare(urls, { private_ipv4: '127.0.0.1', etcd_metrics_port: 2381 })
  assert.match(said, 'etcd_environment: ETCD_LISTEN_METRICS_URLS is derived and cannot be set.')
})

test('what would open the data is refused with the reason', () => {
  const said = prepare({ ETCD_LISTEN_CLIENT_HTTP_URLS: 'http://127.0.0.1:2378' })
  assert.match(said, 'etcd_environment: ETCD_LISTEN_CLIENT_HTTP_URLS cannot be set: with http every key is open to')
  assert.match(said, 'failed=1')
})

test.run()
