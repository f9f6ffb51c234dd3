// Clusters whose local members supervisord ran, before they had keepers: their members are taken over once.
import { copyFileSync, existsSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Cluster, Host } from '../core/cluster.ts'
import { projectFolder } from '../core/environment.ts'
import { readFileIfThere, writeFileAtomic } from '../core/files.ts'
import { commandOf, endProcess } from '../core/processes.ts'
import { endStrays, keeperFolder, startKeeper } from './keeper.ts'

const configFile = (cluster: Cluster): string => join(cluster.paths.state, 'supervisord.conf')

/**
 * Ends supervisord with its members, and starts them under keepers: no keeper can take another's children over while
 * their output goes through a pipe. They restart at once; their data stays. Returns the hosts.
 */
export async function takeOverFromSupervisor(cluster: Cluster): Promise<Host[]> {
  if (!existsSync(configFile(cluster))) return []
  const hosts = cluster.hosts.filter((host) => existsSync(oldConfig(cluster, host)))
  for (const host of hosts) {
    const config = keeperConfig(readFileIfThere(oldConfig(cluster, host)) ?? '')
    writeFileAtomic(join(keeperFolder(cluster, host), 'member.conf'), config, 0o644)
    const program = join(projectFolder, 'templates/ansible/roles/etcd/module_utils/etcd_keeper.py')
    copyFileSync(program, join(keeperFolder(cluster, host), 'keeper.py'))
  }
  await endSupervisor(cluster)
  await Promise.all(hosts.map((host) => startKeeper(cluster, host)))
  for (const host of hosts) rmSync(dirname(oldConfig(cluster, host)), { recursive: true })
  for (const name of readdirSync(cluster.paths.state).filter((entry) => entry.startsWith('supervisord.')))
    rmSync(join(cluster.paths.state, name))
  return hosts
}

/** Ends supervisord and what it ran. Returns whether it ran. */
export async function endSupervisor(cluster: Cluster): Promise<boolean> {
  const pid = Number(readFileIfThere(join(cluster.paths.state, 'supervisord.pid')))
  const runs = pid > 0 && (await commandOf(pid)).includes(configFile(cluster))
  if (runs) await endProcess(pid)
  await endStrays(cluster)
  return runs
}

const oldConfig = (cluster: Cluster, { name }: Host): string =>
  join(cluster.paths.hosts, name, `etc/supervisor/${name}.conf`)

/** A keeper's configuration with the variables that a program of supervisord's had, in their order. */
export function keeperConfig(supervised: string): string {
  const value = (text = ''): string => text.replaceAll('%%', '%')
  const program = /^command=.*"([^"]+)"$/m.exec(supervised)?.[1]
  const log = /^stdout_logfile=(.*)$/m.exec(supervised)?.[1]
  const variables = [...supervised.matchAll(/^ {4}(ETCD_\w+)="(.*)",?$/gm)].map(
    ([, name, text]) => `${name}=${value(text)}`,
  )
  return [
    '# Read by keeper.py whenever it starts etcd. Everything after the first "=" of a line is the value.',
    `program=${value(program)}`,
    `log=${value(value(log))}`,
    ...variables,
    '',
  ].join('\n')
}
