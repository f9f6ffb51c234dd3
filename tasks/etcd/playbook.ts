// Running ansible-playbook: its progress line by line, its outcome host by host, its failures told apart (play-failure.ts).
import { join } from 'node:path'
import { requireAnsible } from '../core/ansible.ts'
import type { Cluster } from '../core/cluster.ts'
import { projectFolder } from '../core/environment.ts'
import { type OperationError, UsageError } from '../core/errors.ts'
import { ownAnsible } from '../core/own-ansible.ts'
import { run } from '../core/run.ts'
import { template } from '../core/schema.ts'
import { work } from '../core/shell.ts'
import { type FailedLine, playFailure } from './play-failure.ts'

/** What a play did on one host, from Ansible's recap. */
export interface Recap {
  host: string
  changed: number
  failed: number
  unreachable: number
}

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
  /** The cluster's hosts that it runs on; default all of them. A person's own inventory may name others. */
  limit?: string[]
  /** Variables of the role for this run only. */
  variables?: Record<string, unknown>
  /** Called with the name of each task as it starts. */
  onTask?: (name: string) => void
  /** With it nothing is changed: called for each host with what would be, as a diff. */
  onDiff?: (host: string, diff: string) => void
  /** With it the play goes on without hosts that cannot be reached, as long as one can: called with them, and why. */
  onUnreachable?: (hosts: string[], why: OperationError) => void
  /** Called with what a debug task says of a host. */
  onMessage?: (host: string, message: string) => void
}

/**
 * Runs a playbook on the cluster's hosts.
 * @returns the recap, a row for each host
 * @throws OperationError naming the host and what Ansible said of it
 */
export async function runPlaybook(
  cluster: Cluster,
  { playbook = 'etcd', limit, variables, onTask, onDiff, onMessage, onUnreachable }: PlaybookOptions,
): Promise<Recap[]> {
  refuseTemplates(variables ?? {})
  const ansible = join(projectFolder, 'templates/ansible')
  const failures: FailedLine[] = []
  let task = ''
  let host = ''
  const collect = onDiff && diffCollector(onDiff)
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
      ...(onDiff ? ['--check', '--diff'] : []),
      join(ansible, `playbooks/${playbook}.yml`),
    ],
    {
      ...(!onDiff && { state: cluster.paths.state }),
      env: {
        ...configured,
        ANSIBLE_CONFIG: join(ansible, 'ansible.cfg'),
        ...ours,
        ANSIBLE_NOCOLOR: '1',
        ANSIBLE_FORCE_COLOR: '0',
        PYTHONUNBUFFERED: '1',
        LC_ALL: 'C.UTF-8',
      },
      onLine: (line) => {
        const begun = /^(?:TASK|RUNNING HANDLER) \[(?:etcd : )?(.+?)\] \*/.exec(line)?.[1]
        if (begun) onTask?.(begun)
        task = begun ?? task
        collect?.(line)
        host = /^ok: \[([^\]\s]+)/.exec(line)?.[1] ?? host
        const message = /^ {4}"msg": (".*")$/.exec(line)?.[1]
        if (message) onMessage?.(host, JSON.parse(message) as string)
        if (/^(fatal|failed): \[/.test(line)) failures.push({ task, line })
      },
    },
  )
  const recap = parseRecap(stdout)
  if (exitCode === 0) return recap
  const failure = playFailure(failures, stderr || stdout, run().log)
  const silent = recap.filter(({ unreachable }) => unreachable > 0).map((row) => row.host)
  if (!onUnreachable || exitCode !== unreachableOnly || silent.length === recap.length) throw failure
  onUnreachable(silent, failure)
  return recap.filter((row) => !silent.includes(row.host))
}

/** How ansible-playbook ends where hosts could not be reached, and nothing else failed (RUN_UNREACHABLE_HOSTS). */
const unreachableOnly = 4

/** Of paths given on the command line or found on PATH nobody has asked before. JSON itself has no {{ outside of texts. @throws UsageError */
export function refuseTemplates(variables: object): void {
  const [name, value] = Object.entries(variables).find(([, one]) => template.test(JSON.stringify(one))) ?? []
  if (name)
    throw new UsageError(
      `${name} must not contain {{, {% or {#, which Ansible would evaluate, not ${JSON.stringify(value)}.`,
    )
}

/** What a person's own ANSIBLE_* variables must not change: the lines that are read here, and the order of the role's tasks. */
const ours = {
  ANSIBLE_STDOUT_CALLBACK: 'default',
  ANSIBLE_STRATEGY: 'linear',
  ANSIBLE_DISPLAY_SKIPPED_HOSTS: 'true',
  ANSIBLE_CHECK_MODE_MARKERS: 'false',
}

/** Ansible prints a host's differences right before the line that says how the host fared. */
function diffCollector(onDiff: (host: string, diff: string) => void): (line: string) => void {
  let lines: string[] = []
  return (line) => {
    const [, outcome, host] = /^(ok|changed|skipping|fatal|failed): \[([^\]\s]+)/.exec(line) ?? []
    if (host && (lines.length > 0 || outcome === 'changed')) onDiff(host, lines.join('\n').trim())
    lines =
      host || /^(TASK|PLAY)/.test(line) ? [] : lines.length > 0 || line.startsWith('--- before') ? [...lines, line] : []
  }
}

/** The rows of Ansible's PLAY RECAP. */
function parseRecap(output: string): Recap[] {
  const rows = output
    .slice(output.lastIndexOf('PLAY RECAP'))
    .matchAll(/^(\S+)\s*: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)/gm)
  return [...rows].map(([, host = '', changed, unreachable, failed]) => ({
    host,
    changed: Number(changed),
    unreachable: Number(unreachable),
    failed: Number(failed),
  }))
}
