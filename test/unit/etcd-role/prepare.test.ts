// What the role refuses before it looks at any host, also where it is used by itself: what etcd_mistakes finds (see
// doctor.test.ts) in what the inventory says, beside what the role derives and never lets be set.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { requireAnsible } from '../../../tasks/core/ansible.ts'
import { projectFolder } from '../../../tasks/core/environment.ts'
import { temporaryFolder } from '../../support/folder.ts'

const test = suite('prepare')
const program = await requireAnsible('ansible-playbook')

/** What Ansible prints where the role prepares these hosts. */
function prepare(hosts: Record<string, object>, environment: Record<string, unknown>): string {
  const folder = temporaryFolder()
  const [playbook, inventory] = [join(folder, 'play.yml'), join(folder, 'hosts.yml')]
  const tasks = [{ 'ansible.builtin.include_role': { name: 'etcd', tasks_from: 'prepare.yml' } }]
  const vars = { etcd_members: Object.keys(hosts), etcd_environment: environment }
  writeFileSync(playbook, JSON.stringify([{ hosts: 'all', gather_facts: false, vars, tasks }]))
  writeFileSync(inventory, JSON.stringify({ all: { hosts } }))
  const env = {
    ...process.env,
    ANSIBLE_CONFIG: join(projectFolder, 'templates/ansible/ansible.cfg'),
    ANSIBLE_ROLES_PATH: join(projectFolder, 'templates/ansible/roles'),
  }
  return spawnSync(program, ['-i', inventory, '-c', 'local', playbook], { env, encoding: 'utf8' }).stdout
}

const metrics = { ETCD_LISTEN_METRICS_URLS: 'http://127.0.0.1:2381' }

test('addresses of either family, values on one line, and metrics URLs where no port is named, are taken', () => {
  const hosts = { m1: { private_ipv4: '127.0.0.1' }, m2: { private_ipv6: 'FD00::11' } }
  assert.match(prepare(hosts, { ETCD_A: 'info', ETCD_B: 5, ETCD_C: true, ...metrics }), /m1 .*failed=0/)
})

test('all that is wrong is refused at once, each by its name', () => {
  const said = prepare(
    { m1: { private_ipv4: '127.0.0.1', etcd_metrics_port: 2381 }, m2: { private_ipv6: 'fe80::11' }, m3: {} },
    {
      ...metrics,
      ETCD_A: 'a\nExecStartPre=/bin/x', // a line more in the configuration
      ETCD_B: 'b',
      ETCD_C: 'c\rd',
      ETCD_LISTEN_CLIENT_HTTP_URLS: 'http://127.0.0.1:2378',
    },
  )
  assert.match(said, "m2's address in the inventory, fe80::11, is link-local")
  assert.match(said, 'm3 has no private_ipv4 or private_ipv6')
  assert.match(said, 'etcd_environment: ETCD_A, ETCD_C must be on one line, without control characters.')
  assert.match(said, 'etcd_environment: ETCD_LISTEN_METRICS_URLS is derived and cannot be set.')
  assert.match(said, 'etcd_environment: ETCD_LISTEN_CLIENT_HTTP_URLS cannot be set: with http every key is open to')
  assert.match(said, /m1 .*failed=1/)
})

test.run()
