// Running ansible-playbook: its progress, its outcome host by host, its failures told apart (play-failure.ts).
import { join } from 'node:path'
import { requireAnsible } from '../core/ansible.ts'
import type { Cluster } from '../core/cluster.ts'
import { projectFolder } from '../core/environment.ts'
import { type OperationError, UsageError } from '../core/errors.ts'
import { ownAnsible } from '../core/own-ansible.ts'
import { run } from '../core/run.ts'
import { template } from '../core/schema.ts'
import { type Environment, work } from '../core/shell.ts'
import type { Change, PlayEvent, PlayFailure } from './play-events.ts'
import { isUntouched, onlyUnreached, playFailure } from './play-failure.ts'

const ansible = join(projectFolder, 'templates/ansible')

export interface PlaybookOptions {
  /** Which of templates/ansible/playbooks; default etcd. */
  playbook?:
    | 'etcd'
    | 'doctor'
    | 'remove'
    | 'inspect'
    | 'set-aside'
    | 'copy-data'
    | 'stage-snapshot'
    | 'take-snapshot'
    | 'fetch-certificates'
    | 'hand-over'
    | 'adopt'
  /** The cluster's hosts that it runs on; default all of them. A person's own inventory may name others. */
  limit?: string[]
  /** Variables of the role for this run only. */
  variables?: Record<string, unknown>
  /** Called with the name of each task as it starts. */
  onTask?: (name: string) => void
  /** With it nothing is changed: called for each task and host with what would be. */
  onChange?: (change: Change) => void
  /** With it the play goes on without hosts that cannot be reached, as long as one can: called with them, and why. */
  onUnreachable?: (hosts: string[], why: OperationError) => void
  /** Called with what a debug task says of a host, a text or data. */
  onSaid?: (host: string, said: unknown) => void
}

/**
 * Runs a playbook on the cluster's hosts.
 * @returns how many tasks changed something, by host
 * @throws OperationError naming the host and what Ansible said of it
 */
export async function runPlaybook(
  cluster: Cluster,
  { playbook = 'etcd', limit, variables, onTask, onChange, onSaid, onUnreachable }: PlaybookOptions,
): Promise<Record<string, number>> {
  refuseTemplates(variables ?? {})
  const failures: PlayFailure[] = []
  let changed: Record<string, number> | undefined
  const hear = (told: PlayEvent): void => {
    if (told.event === 'task') onTask?.(told.name)
    else if (told.event === 'changed') onChange?.(told)
    else if (told.event === 'said') onSaid?.(told.host, told.said)
    else if (told.event === 'ended') changed = told.changed
    else failures.push(told)
  }
  // A person's own inventory comes first: where both speak of a variable, ours is heard.
  const inventories = [cluster.own?.inventory, cluster.paths.inventory].flatMap((file) =>
    file ? ['--inventory', file] : [],
  )
  const configured = cluster.own?.inventory ? await ownAnsible() : {}
  const { stdout, stderr, exitCode } = await work(
    await requireAnsible('ansible-playbook'),
    [
      ...inventories,
      '--forks',
      String(Math.max(4, cluster.hosts.length)),
      '--limit',
      (limit ?? cluster.hosts.map(({ name }) => name)).join(','),
      ...(variables ? ['--extra-vars', JSON.stringify(variables)] : []),
      ...(onChange ? ['--check', '--diff'] : []),
      join(ansible, `playbooks/${playbook}.yml`),
    ],
    {
      ...(!onChange && { state: cluster.paths.state }),
      env: {
        ...configured,
        ANSIBLE_CONFIG: join(ansible, 'ansible.cfg'),
        ...ours,
        ANSIBLE_NOCOLOR: '1',
        ANSIBLE_FORCE_COLOR: '0',
        // With it Python reads each module, 190 kB on standard input, byte by byte: 0.1 s of a core for each host.
        PYTHONUNBUFFERED: undefined,
        // With it the Ansible that doctor fetches is compiled again for each play: 2 s of a core.
        PYTHONDONTWRITEBYTECODE: undefined,
        LC_ALL: 'C.UTF-8',
      },
      onEvent: (line) => hear(JSON.parse(line) as PlayEvent),
    },
  )
  if (exitCode === 0 && changed) return changed
  const failure = playFailure(cluster, failures, stderr || stdout, run().log)
  failure.more.untouched = isUntouched(failures, changed)
  const silent = onlyUnreached(failures, changed)
  if (!onUnreachable || silent.length === 0) throw failure
  onUnreachable(silent, failure)
  return Object.fromEntries(Object.entries(changed ?? {}).filter(([host]) => !silent.includes(host)))
}

/** What a playbook has each host say, by its name. @throws OperationError as runPlaybook */
export async function saidByHosts<T>(cluster: Cluster, options: PlaybookOptions): Promise<Map<string, T>> {
  const said = new Map<string, T>()
  await runPlaybook(cluster, { ...options, onSaid: (host, words) => void said.set(host, words as T) })
  return said
}

/** @throws UsageError: nobody has asked before of paths given on the command line. JSON has {{ only inside of texts. */
export function refuseTemplates(variables: object): void {
  const [name, value] = Object.entries(variables).find(([, one]) => template.test(JSON.stringify(one))) ?? []
  if (name)
    throw new UsageError(
      `${name} must not contain {{, {% or {#, which Ansible would evaluate, not ${JSON.stringify(value)}.`,
    )
}

/**
 * Of a person's own ANSIBLE_* variables, those that decide which role and modules are found, which tasks run and how,
 * and what is printed. Filters, lookups and collections stay theirs: their inventory may need them.
 */
const notTheirs = [
  ...['ROLES_PATH', 'LIBRARY', 'MODULE_UTILS', 'ACTION_PLUGINS', 'STRATEGY_PLUGINS', 'PLAYBOOK_DIR'],
  ...['RUN_TAGS', 'SKIP_TAGS', 'GATHERING', 'ANY_ERRORS_FATAL', 'ERROR_ON_UNDEFINED_VARS', 'HASH_BEHAVIOUR'],
  ...['JINJA2_NATIVE', 'TASK_TIMEOUT', 'NO_LOG', 'ENABLE_TASK_DEBUGGER', 'DISPLAY_ARGS_TO_STDOUT', 'KEEP_REMOTE_FILES'],
].map((name) => `ANSIBLE_${name}`)

/** They say how hosts are reached; what the role depends on, what is told to us and the log are ours. */
const ours: Environment = {
  ...Object.fromEntries(notTheirs.map((name) => [name, undefined])),
  ANSIBLE_CALLBACK_PLUGINS: join(ansible, 'callback_plugins'),
  ANSIBLE_CALLBACKS_ENABLED: 'etcd_events',
  ANSIBLE_STDOUT_CALLBACK: 'default',
  ANSIBLE_STRATEGY: 'linear',
}
