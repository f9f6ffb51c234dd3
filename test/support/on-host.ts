// A shell on the hosts of a test, whether they are folders of this machine or reached over ssh.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { loseHosts, signalMember } from './load.ts'
import type { Home } from './verbs.ts'

const exec = promisify(execFile)

/** Where a local host has its files. */
export const rootOf = (home: Home, host: string): string => join(home.path, '.cluster/etcd-cluster-1/hosts', host)

/** Runs a shell script on a host and returns what it printed; its files lie below $ROOT. @throws when it fails */
export async function onHost(home: Home, host: string, script: string): Promise<string> {
  if (home.machines) return home.machines.on(host, `ROOT=; ${script}`)
  const { stdout } = await exec('sh', ['-ec', script], { env: { ...process.env, ROOT: rootOf(home, host) } })
  return stdout.trim()
}

/** Sends a signal to a host's etcd. */
export async function signalEtcd(home: Home, host: string, signal: NodeJS.Signals): Promise<void> {
  if (home.machines) await onHost(home, host, `systemctl kill --signal ${signal} etcd-member`)
  else signalMember(home, host, signal)
}

/** A host is as it was before it was ever a member's. */
export async function lose(home: Home, host: string): Promise<void> {
  if (!home.machines) return loseHosts(home, [host])
  await onHost(
    home,
    host,
    'systemctl kill --signal SIGKILL etcd-member || true; systemctl stop etcd-member || true; ' +
      'rm -rf /var/lib/etcd /etc/ssl/etcd /etc/systemd/system/etcd-member.service*; systemctl daemon-reload',
  )
}
