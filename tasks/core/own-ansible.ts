// What a person's own ansible.cfg says of their own inventory's hosts. Plays run with ours, which would hide it.
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { requireAnsible } from './ansible.ts'
import { UsageError } from './errors.ts'
import { run } from './run.ts'
import { ask } from './shell.ts'

/** What belongs to an inventory rather than to a play, and the variable by which Ansible hears it. */
const variables: Record<string, string> = {
  DEFAULT_VAULT_PASSWORD_FILE: 'ANSIBLE_VAULT_PASSWORD_FILE',
  DEFAULT_VAULT_IDENTITY_LIST: 'ANSIBLE_VAULT_IDENTITY_LIST',
  DEFAULT_REMOTE_USER: 'ANSIBLE_REMOTE_USER',
  DEFAULT_PRIVATE_KEY_FILE: 'ANSIBLE_PRIVATE_KEY_FILE',
  BECOME_PASSWORD_FILE: 'ANSIBLE_BECOME_PASSWORD_FILE',
}

/** What Ansible's tools say where they cannot decrypt. */
export const vaultWords = /vault secrets/

export const vaultHint =
  'Name the file with its password: ANSIBLE_VAULT_PASSWORD_FILE=FILE, or vault_password_file in your ' +
  'ansible.cfg; then run the same command again.'

/** As variables for a play. Asked once a run, and only where there is a file: it takes 0.5 s. @throws UsageError */
export async function ownAnsible(): Promise<Record<string, string>> {
  // Where Ansible looks, in its order (ansible-config(1)).
  const files = [run().env.ANSIBLE_CONFIG, 'ansible.cfg', join(homedir(), '.ansible.cfg'), '/etc/ansible/ansible.cfg']
  return files.some((file) => file && existsSync(file)) ? run().once('ansible-config', changedSettings) : {}
}

async function changedSettings(): Promise<Record<string, string>> {
  const program = await requireAnsible('ansible-config')
  const options = { env: { ANSIBLE_NOCOLOR: '1' }, timeout: 30_000 }
  const { stdout, stderr, exitCode } = await ask(program, ['dump', '--only-changed', '--format', 'json'], options)
  if (exitCode !== 0)
    throw new UsageError("Ansible's own configuration (ansible.cfg) cannot be read.", { output: stderr })
  const changed = JSON.parse(stdout) as { name?: string; value?: unknown }[]
  return Object.fromEntries(
    changed.flatMap(({ name = '', value }) =>
      variables[name] && value ? [[variables[name], [value].flat().join(',')]] : [],
    ),
  )
}
