// supervisord, which older releases ran local members with: got from PyPI, and a cluster put back under it.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Cluster } from '../../tasks/core/cluster.ts'
import { fetchedFolders, fetchTool } from '../../tasks/core/programs.ts'
import { keeperFolder, killHost } from '../../tasks/vms/keeper.ts'
import { temporaryFolder } from './folder.ts'
import { clientsView } from './load.ts'
import type { Home } from './verbs.ts'
import { until } from './wait.ts'

const version = '4.3.0'

/** The folder with supervisor's Python package; undefined, with a word to standard output, where it cannot be had. */
export async function supervisorPackage(): Promise<string | undefined> {
  const before = fetchedFolders('tests-supervisor').find((folder) => folder.endsWith(`-${version}`))
  if (before) return before
  return fetchTool('tests-supervisor', async (part) => {
    const words = ['-m', 'pip', 'install', '--quiet', '--target', join(part, 'site'), `supervisor==${version}`]
    const { status, stderr } = spawnSync('python3', words, { encoding: 'utf8' })
    if (status !== 0) throw new Error(stderr.trim().split('\n').at(-1))
    return { from: join(part, 'site'), version }
  }).catch((error: Error) => {
    console.log(`supervisor cannot be had here, so moving a cluster from it is not tested: ${error.message}`)
    return undefined
  })
}

const startIfThere = [
  'if ls -d "$ETCD_DATA_DIR"/member/wal/*.wal "$ETCD_DATA_DIR"/first-start 2>/dev/null | grep -q .; then exec "$0"; fi',
  'echo "Not started: $ETCD_DATA_DIR holds no data. Run up, or the role: it says what to do."',
  'exit 1',
].join('; ')

/** Of the last release that had it: what the role rendered for a member, from what its keeper was told. */
function programOf(name: string, keeper: string): string {
  const value = (text = ''): string => text.replaceAll('%', '%%')
  const [program, log] = ['program', 'log'].map((key) => new RegExp(`^${key}=(.*)$`, 'm').exec(keeper)?.[1])
  const variables = [...keeper.matchAll(/^(ETCD_\w+)=(.*)$/gm)].map(([, key, text]) => `    ${key}="${value(text)}"`)
  return `[program:${name}]
command=/bin/sh -c '${startIfThere}' "${value(program)}"
environment=
${variables.join(',\n')}
autostart=true
autorestart=true
startsecs=2
startretries=1000000
stopsignal=TERM
stopwaitsecs=30
redirect_stderr=true
stdout_logfile=${value(value(log))}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
`
}

const supervisordConf = (
  socket: string,
  state: string,
  name: string,
): string => `; supervisord of the local hosts of ${name}: it is to their members what systemd is on a machine.
[unix_http_server]
file=${socket}
chmod=0600

[supervisord]
logfile=${state}/logs/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile=${state}/supervisord.pid
childlogdir=${state}/logs
identifier=${name}
umask=077

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://${socket}

[include]
files=hosts/*/etc/supervisor/*.conf
`

/**
 * Ends the keepers and the members of a home's cluster, and leaves it as a release with supervisord did: its files, its
 * record, and supervisord with the members.
 */
export async function putUnderSupervisord(home: Home, site: string, name = 'etcd-cluster-1'): Promise<void> {
  const state = join(home.path, '.cluster', name)
  const cluster = { ...clientsView(home, name), paths: { hosts: join(state, 'hosts') } } as Cluster
  const record = JSON.parse(readFileSync(join(state, 'cluster.json'), 'utf8'))
  const socket = join(temporaryFolder(), 's.sock')
  for (const host of cluster.hosts) {
    const keeper = readFileSync(join(keeperFolder(cluster, host), 'member.conf'), 'utf8')
    await killHost(cluster, host)
    rmSync(keeperFolder(cluster, host), { recursive: true })
    const folder = join(cluster.paths.hosts, host.name, 'etc/supervisor')
    mkdirSync(folder)
    writeFileSync(join(folder, `${host.name}.conf`), programOf(host.name, keeper))
    const member = record.members.find((one: { name: string }) => one.name === host.name)
    const { etcd_keeper_directory: _, ...rest } = member.connection
    const theirs = { etcd_supervisor_socket: socket, etcd_supervisor_directory: folder }
    member.connection = { ...rest, etcd_service_manager: 'supervisor', ...theirs }
  }
  writeFileSync(join(state, 'cluster.json'), JSON.stringify(record, null, 2))
  const conf = join(state, 'supervisord.conf')
  writeFileSync(conf, supervisordConf(socket, state, name))
  const main = 'from supervisor.supervisord import main; main()'
  const env = { PATH: process.env.PATH, PYTHONPATH: site, LANG: 'C.UTF-8' }
  const { status, stderr } = spawnSync('python3', ['-c', main, '-c', conf], { env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`supervisord did not start: ${stderr}`)
  const noted = join(state, 'supervisord.pid') // it notes its pid once it is a daemon
  await until('supervisord runs', () => existsSync(noted))
}

/** What is left of supervisord's files in a cluster's folder. */
export function supervisedFiles(home: Home, name = 'etcd-cluster-1'): string[] {
  const state = join(home.path, '.cluster', name)
  return readdirSync(state, { recursive: true, encoding: 'utf8' }).filter(
    (path) => /supervis/.test(path) && !dirname(path).startsWith('logs'),
  )
}
