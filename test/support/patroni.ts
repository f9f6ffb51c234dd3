// Patroni with PostgreSQL, both from Debian's packages, connected to a cluster.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'

const postgres = '/usr/lib/postgresql'

/** Why it cannot be tried here; undefined where it can. */
export const noPatroni = (): string | undefined =>
  existsSync('/usr/bin/patroni') && existsSync(postgres) && process.getuid?.() === 0
    ? undefined
    : 'needs root, and the packages patroni, python3-idna and postgresql'

/** What a node of Patroni says of itself. */
interface Node {
  role: string
  timeline: number
}

export interface Patroni {
  /** Undefined while it does not answer. */
  node: () => Promise<Node | undefined>
  /** Writes a row through the primary. @throws where it refuses */
  write: () => void
  rows: () => number
  stop: () => Promise<void>
}

/** Starts a node below `folder`, which the user postgres may enter; its section etcd3 is the file that it was given. */
export function startPatroni(folder: string, section: string, name: string, port: number): Patroni {
  const bin = join(postgres, readdirSync(postgres).at(-1) ?? '', 'bin')
  const own = join(folder, name)
  mkdirSync(own)
  const rest = port + 1
  const config = {
    scope: 'orders',
    name,
    restapi: { listen: `127.0.0.1:${rest}`, connect_address: `127.0.0.1:${rest}` },
    bootstrap: { dcs: { ttl: 30, loop_wait: 2, retry_timeout: 10 }, initdb: ['data-checksums', { encoding: 'UTF8' }] },
    postgresql: {
      listen: `127.0.0.1:${port}`,
      connect_address: `127.0.0.1:${port}`,
      data_dir: join(own, 'data'),
      bin_dir: bin,
      authentication: {
        superuser: { username: 'postgres', password: 'of-a-test' },
        replication: { username: 'replicator', password: 'of-a-test' },
      },
      parameters: { unix_socket_directories: own },
    },
    ...(parse(readFileSync(section, 'utf8')) as object),
  }
  writeFileSync(join(own, 'patroni.yaml'), stringify(config))
  spawnSync('chown', ['-R', 'postgres:postgres', own])
  const log = openSync(join(own, 'log'), 'a')
  const child = spawn(
    'setpriv',
    ['--reuid', 'postgres', '--regid', 'postgres', '--init-groups', 'patroni', `${own}/patroni.yaml`],
    {
      stdio: ['ignore', log, log],
      env: { PATH: '/usr/bin:/bin', HOME: own, LC_ALL: 'C.UTF-8' },
    },
  )
  const sql = (statement: string): string => {
    const { status, stdout, stderr } = spawnSync(
      join(bin, 'psql'),
      ['-X', '-A', '-t', '-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', '-c', statement, 'postgres'],
      { encoding: 'utf8', timeout: 10_000, env: { PGPASSWORD: 'of-a-test', PATH: '/usr/bin:/bin' } },
    )
    if (status !== 0) throw new Error(stderr)
    return stdout.trim()
  }
  return {
    node: () =>
      fetch(`http://127.0.0.1:${rest}/patroni`)
        .then(async (answer) => (await answer.json()) as Node)
        .catch(() => undefined),
    write: () => void sql('create table if not exists t (at timestamptz default now()); insert into t default values'),
    rows: () => Number(sql('select count(*) from t')),
    stop: () => ended(child),
  }
}

/** Patroni stops PostgreSQL on SIGTERM. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((done) => child.once('exit', done))
  child.kill('SIGTERM')
  await gone
}
