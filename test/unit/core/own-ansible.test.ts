// A person's own ansible.cfg: what it says of their hosts is heard by plays and by ssh, and only where the inventory is
// theirs.
import { writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ownAnsible } from '../../../tasks/core/own-ansible.ts'
import { hostsInInventory } from '../../../tasks/core/own-hosts.ts'
import { runPlaybook } from '../../../tasks/etcd/playbook.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

const folder = temporaryFolder()
const inventory = join(folder, 'hosts.ini')
const config = join(folder, 'ansible.cfg')
writeFileSync(inventory, '[etcd]\na1 ansible_host=10.0.0.1\n')
writeFileSync(
  config,
  `[defaults]\nforks = 7\nvault_password_file = vault\nvault_identity_list = dev@${folder}/vault, ` +
    `prod@${folder}/vault\nremote_user = me\nprivate_key_file = key\nbecome_password_file = sudo\n`,
)
for (const name of ['vault', 'sudo', 'key']) writeFileSync(join(folder, name), 'words\n')

const { ANSIBLE_CONFIG, ANSIBLE_ROLES_PATH, ANSIBLE_BECOME_METHOD, PATH } = process.env
const environment = { ANSIBLE_CONFIG, ANSIBLE_ROLES_PATH, ANSIBLE_BECOME_METHOD, PATH }
test.before.each(() => void (process.env.ANSIBLE_CONFIG = config))
test.after.each(() => {
  for (const [name, value] of Object.entries(environment))
    value === undefined ? delete process.env[name] : (process.env[name] = value)
})

test(
  "what belongs to the hosts is taken, what is the play's own is not; paths are " + 'meant from where the file lies',
  async () => {
    assert.equal(await ownAnsible(), {
      ANSIBLE_VAULT_PASSWORD_FILE: join(folder, 'vault'),
      ANSIBLE_VAULT_IDENTITY_LIST: `dev@${folder}/vault,prod@${folder}/vault`,
      ANSIBLE_REMOTE_USER: 'me',
      ANSIBLE_PRIVATE_KEY_FILE: join(folder, 'key'),
      ANSIBLE_BECOME_PASSWORD_FILE: join(folder, 'sudo'),
    })
  },
)

test('ssh goes as that user, with that key, unless the inventory names others', async () => {
  const [only] = await hostsInInventory(inventory)
  assert.equal([only?.ssh?.user, only?.ssh?.identityFile], ['me', join(folder, 'key')])
  writeFileSync(inventory, '[etcd]\na1 ansible_host=10.0.0.1 ansible_user=other\n')
  assert.is((await hostsInInventory(inventory))[0]?.ssh?.user, 'other')
})

/** What ansible-playbook is given: a stand-in says it as the name of a task, in an event of the callback plugin's. */
async function heard(said: string, own: { hosts: undefined; inventory: string | undefined }): Promise<string> {
  const version = '[ "$1" = --version ] && echo 2.19.0 && exit'
  const ended = `echo '{"event": "ended", "changed": {}}' >&3`
  const script = `#!/bin/sh\n${version}\nprintf '{"event": "task", "name": "%s"}\\n' "${said}" >&3\n${ended}\n`
  writeFileSync(join(folder, 'ansible-playbook'), script, { mode: 0o755 })
  process.env.PATH = `${folder}${delimiter}${PATH}`
  let task = ''
  const onTask = (name: string): void => void (task = name)
  await runPlaybook(testCluster({ provider: 'ssh', own }), { onTask, onChange: () => {} })
  return task
}

test("a play with the person's own inventory hears it, beside our ansible.cfg; any other play does not", async () => {
  const said = '$ANSIBLE_VAULT_PASSWORD_FILE $ANSIBLE_REMOTE_USER $(basename $(dirname $ANSIBLE_CONFIG))'
  assert.is(await heard(said, { hosts: undefined, inventory }), `${join(folder, 'vault')} me ansible`)
  assert.is(await heard(said, { hosts: undefined, inventory: undefined }), '  ansible')
})

test("a person's variables say how hosts are reached, not where the role is found or what a play does", async () => {
  const theirs = ['ROLES_PATH', 'LIBRARY', 'ACTION_PLUGINS', 'MODULE_UTILS', 'GATHERING', 'RUN_TAGS', 'HASH_BEHAVIOUR']
  for (const name of [...theirs, 'CALLBACK_PLUGINS', 'STRATEGY']) process.env[`ANSIBLE_${name}`] = '/theirs'
  process.env.ANSIBLE_BECOME_METHOD = 'doas'
  const said = `$ANSIBLE_BECOME_METHOD unheard:${theirs.map((name) => `$ANSIBLE_${name}`).join('')}`
  const ours = '$(basename $ANSIBLE_CALLBACK_PLUGINS) $ANSIBLE_STRATEGY'
  try {
    const told = await heard(`${said} ${ours}`, { hosts: undefined, inventory: undefined })
    assert.is(told, 'doas unheard: callback_plugins linear')
  } finally {
    for (const name of [...theirs, 'CALLBACK_PLUGINS', 'STRATEGY']) delete process.env[`ANSIBLE_${name}`]
  }
})

test.run()
