// What a play tells a program: the callback plugin under a real ansible-playbook, and the role's own refusal.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { requireAnsible } from '../../../tasks/core/ansible.ts'
import { projectFolder } from '../../../tasks/core/environment.ts'
import type { PlayEvent } from '../../../tasks/etcd/play-events.ts'
import { temporaryFolder } from '../../support/folder.ts'

const ansible = join(projectFolder, 'templates/ansible')
const program = await requireAnsible('ansible-playbook')
const folder = temporaryFolder()
const file = join(folder, 'file')

/**
 * Runs the plays, each on hosts that are this machine, with --diff.
 * @returns the events, and what Ansible printed for people
 */
function run(plays: Record<string, object[]>, more: NodeJS.ProcessEnv = {}): { events: PlayEvent[]; printed: string } {
  const role = join(ansible, 'roles/etcd')
  const vars = { ansible_python_interpreter: '{{ ansible_playbook_python }}' }
  const all = Object.entries(plays).map(([hosts, tasks]) => ({ hosts, gather_facts: false, vars, tasks }))
  writeFileSync(join(folder, 'plays.yml'), JSON.stringify(all))
  const { output } = spawnSync(
    program,
    ['--diff', '--inventory', `${Object.keys(plays).join()},`, '--connection', 'local', join(folder, 'plays.yml')],
    {
      env: {
        ...process.env,
        LC_ALL: 'C.UTF-8', // newer ansible-core starts with no other kind
        ANSIBLE_CONFIG: join(ansible, 'ansible.cfg'),
        ANSIBLE_ROLES_PATH: join(ansible, 'roles'),
        ANSIBLE_LIBRARY: join(role, 'library'),
        ANSIBLE_MODULE_UTILS: join(role, 'module_utils'),
        ANSIBLE_ACTION_PLUGINS: join(role, 'action_plugins'),
        ANSIBLE_CALLBACK_PLUGINS: join(ansible, 'callback_plugins'),
        ANSIBLE_CALLBACKS_ENABLED: 'etcd_events',
        ...more,
      },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    },
  )
  const lines = (output[3] ?? '').split('\n').filter(Boolean)
  return { events: lines.map((line) => JSON.parse(line) as PlayEvent), printed: `${output[1]}${output[2]}` }
}
const of = <Kind extends PlayEvent['event']>(events: PlayEvent[], kind: Kind): Extract<PlayEvent, { event: Kind }>[] =>
  events.filter((one): one is Extract<PlayEvent, { event: Kind }> => one.event === kind)

const failedOn = (name: string) => of(events, 'failed').filter(({ host }) => host === name)

const wanted = {
  data_directory: folder,
  service: { manager: 'keeper', name: '', keeper: folder },
  user: '',
  ca: '',
  ca_path: '/none',
  config_path: '/none',
}
const nobody = { ansible_connection: 'ssh', ansible_host: '127.0.0.1', ansible_port: 1 }

/** One start of Ansible for all. A play in which no host is left ends it: m0 is left in those where all others fail. */
const { events, printed } = run({
  'm1,m2': [
    {
      name: 'Write {{ "it" }}',
      'ansible.builtin.copy': { dest: file, content: 'a\n' },
      when: 'inventory_hostname == "m1"',
    },
    { name: 'Say it', 'ansible.builtin.debug': { msg: { rows: [1, 'é', true] } } },
    { name: 'Try', 'ansible.builtin.command': 'false', ignore_errors: true, changed_when: false },
    {
      name: 'Run each',
      'ansible.builtin.shell': 'echo {{ item }}; test {{ item }} != b',
      loop: ['a', 'b'],
      when: 'inventory_hostname == "m2"',
    },
  ],
  'm3,m0': [{ name: 'Take it', etcd_data: { action: 'take', token: 't', wanted }, when: 'inventory_hostname == "m3"' }],
  'm4,m5,m0': [
    { 'ansible.builtin.ping': {}, when: 'inventory_hostname == "m4"', loop: [1, 2], vars: nobody },
    { 'ansible.builtin.command': 'false', when: 'inventory_hostname == "m5"' },
  ],
  'm6,m0': [{ 'ansible.builtin.command': 'false', no_log: true, when: 'inventory_hostname == "m6"' }],
  m7: [
    {
      name: 'Refuse',
      'ansible.builtin.include_role': { name: 'etcd', tasks_from: 'prepare.yml' },
      vars: { etcd_members: ['m7'] },
    },
  ],
})

test('tasks, changes with their difference, what a host is said to have, failures and the recap', () => {
  assert.equal(
    of(events, 'task')
      .slice(0, 4)
      .map(({ name, act }) => [name, act]),
    [
      ['Write it', 'copy'],
      ['Say it', 'debug'],
      ['Try', 'command'],
      ['Run each', 'shell'],
    ],
  )
  const [changed, ...others] = of(events, 'changed')
  assert.equal([changed?.host, changed?.act, changed?.name, others], ['m1', 'copy', 'Write it', []])
  assert.match(changed?.diff ?? '', /^--- before\n\+\+\+ after: .*\n@@ -0,0 \+1 @@\n\+a$/)
  assert.equal(
    of(events, 'said')
      .map(({ host, said }) => [host, said])
      .toSorted(),
    ['m1', 'm2'].map((host) => [host, { rows: [1, 'é', true] }]),
  )
  assert.equal(
    failedOn('m2').map(({ told }) => [told.msg?.includes('non-zero return code'), told.stdout]),
    [[true, 'b']],
  )
  const [ended] = of(events, 'ended')
  assert.equal([ended?.changed.m1, ended?.changed.m2], [1, 0])
  assert.match(printed, /TASK \[Write it\] \*+\n/)
  assert.match(printed, 'PLAY RECAP')
})

test('what the role refuses comes with its code; a task is known by its module, whatever it is called', () => {
  const refused = of(events, 'refused')
  assert.equal(
    refused.map(({ findings }) => findings.map(({ code }) => code)),
    [['inventory']],
  )
  assert.match(refused[0]?.findings[0]?.detail ?? '', 'm7 has no private_ipv4')
  assert.is(of(events, 'task').at(-1)?.act, 'etcd_refuse')
})

test("a module's refusal has a code, its host, and the task by its module and what that is told", () => {
  assert.is(of(events, 'task').find(({ name }) => name === 'Take it')?.act, 'etcd_data.take')
  const [failed] = failedOn('m3')
  assert.equal([failed?.finding?.code, failed?.finding?.remedy], ['not-staged', 'Stage it first.'])
  assert.match(failed?.told.msg ?? '', 'No snapshot was staged here. Stage it first.')
})

test('of two hosts one cannot be reached, in a loop, and one fails: each is told in its own words', () => {
  const unreached = of(events, 'unreachable')
  assert.equal([unreached.map(({ host }) => host), failedOn('m5').length], [['m4'], 1])
  assert.match(unreached[0]?.told.msg ?? '', /127\.0\.0\.1|ssh/)
  assert.equal(failedOn('m4'), [])
})

test('where Ansible is to log nothing, a failure still has words', () =>
  assert.ok(failedOn('m6')[0]?.told.msg, JSON.stringify(events)))

test('whoever does not ask for events gets none: by hand the role prints what Ansible prints', () => {
  const { events, printed } = run({ m1: [{ 'ansible.builtin.ping': {} }] }, { ANSIBLE_CALLBACKS_ENABLED: undefined })
  assert.equal(events, [])
  assert.match(printed, 'PLAY RECAP')
})

test.run()
