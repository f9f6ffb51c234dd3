// Running ansible-playbook: its progress line by line, its outcome host by host, its failures told apart (failure.ts).
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { projectFolder } from '../core/environment.ts'
import { requireProgram } from '../core/programs.ts'
import { run } from '../core/run.ts'
import { work } from '../core/shell.ts'
import { type FailedLine, playFailure } from './failure.ts'

/** What a play did on one host, from Ansible's recap. */
export interface Recap {
  host: string
  changed: number
  failed: number
  unreachable: number
}

/**
 * Runs the role on the cluster's hosts.
 * @param onTask called with the name of each task as it starts
 * @returns the recap, a row for each host
 * @throws OperationError naming the host and what Ansible said of it
 */
export async function runPlaybook(cluster: Cluster, onTask: (name: string) => void): Promise<Recap[]> {
  const ansible = join(projectFolder, 'templates/ansible')
  const failures: FailedLine[] = []
  let task = ''
  const { stdout, stderr, exitCode } = await work(
    requireProgram('ansible-playbook'),
    ['--inventory', cluster.paths.inventory, '--forks', String(Math.max(4, cluster.hosts.length)), join(ansible, 'playbooks/etcd.yml')],
    {
      state: cluster.paths.state,
      env: { ANSIBLE_CONFIG: join(ansible, 'ansible.cfg'), ...ours, ANSIBLE_NOCOLOR: '1', ANSIBLE_FORCE_COLOR: '0', PYTHONUNBUFFERED: '1', LC_ALL: 'C.UTF-8' },
      onLine: (line) => {
        const begun = /^(?:TASK|RUNNING HANDLER) \[(?:etcd : )?(.+?)\] \*/.exec(line)?.[1]
        if (begun) onTask(begun)
        task = begun ?? task
        if (/^(fatal|failed): \[/.test(line)) failures.push({ task, line })
      },
    },
  )
  const recap = parseRecap(stdout)
  if (exitCode !== 0) throw playFailure(failures, stderr || stdout, run.log)
  return recap
}

/** What a person's own ANSIBLE_* variables must not change: the lines that are read here, and the order of the role's tasks. */
const ours = { ANSIBLE_STDOUT_CALLBACK: 'default', ANSIBLE_STRATEGY: 'linear', ANSIBLE_DISPLAY_SKIPPED_HOSTS: 'true', ANSIBLE_CHECK_MODE_MARKERS: 'false' }

/** The rows of Ansible's PLAY RECAP. */
function parseRecap(output: string): Recap[] {
  const rows = output.slice(output.lastIndexOf('PLAY RECAP')).matchAll(/^(\S+)\s*: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)/gm)
  return [...rows].map(([, host = '', changed, unreachable, failed]) => ({ host, changed: Number(changed), unreachable: Number(unreachable), failed: Number(failed) }))
}
