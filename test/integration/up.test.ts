// The whole way: up, up again, down; and clusters beside each other. smoke.test.ts runs each phase alone.
import { execFileSync } from 'node:child_process'
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Host } from '../../tasks/core/cluster.ts'
import { projectFolder } from '../../tasks/core/environment.ts'
import { birthOf } from '../../tasks/core/processes.ts'
import { requireEtcd } from '../../tasks/etcd/binaries.ts'
import { testCluster } from '../support/cluster.ts'
import { clientsView, memberPids, underLoad } from '../support/load.ts'
import { done, type Home, type Outcome, processesWith, snapshotOf, testHome } from '../support/verbs.ts'
import { pause } from '../support/wait.ts'

const home = testHome()
const certs = join(home.path, 'certs/etcd-cluster-1')
/** The same home, with more in the environment. */
const testHomeAt = (existing: Home, environment: Record<string, string>): Home =>
  testHome({ ...environment, HA_ETCD_HOME: existing.path })
/** What a running cluster writes by itself. */
const itsOwn = /\.log|\/var\//

const etcdPids = (): number[] =>
  processesWith(`${home.path}/.cluster/`)
    .filter(({ command }) => command.endsWith('/etcd'))
    .map(({ pid }) => pid)
    .sort()

const pidOf = (host: string): number => memberPids(home)[host] ?? 0

/** Makes a member lead; the request must be made to the one that leads now. */
async function moveLeader(host: Host): Promise<void> {
  const { members } = JSON.parse((await home.verb('verify', '--json')).stdout) as {
    members: { name: string; id: string; isLeader: boolean; clientURLs: string[] }[]
  }
  const leader = members.find((member) => member.isLeader)
  if (leader?.name === host.name) return
  const target = members.find((member) => member.name === host.name)
  await etcdctl({ ETCDCTL_ENDPOINTS: leader?.clientURLs[0] ?? '' }, 'move-leader', target?.id ?? '')
}

/** etcdctl over a home's cluster; etcd refuses changes of the membership for seconds after a member was lost. */
const etcdctl = async (more: Record<string, string>, ...args: string[]): Promise<string> => {
  for (let waited = 0; ; waited += 500) {
    try {
      return await etcdctlOnce(more, ...args)
    } catch (error) {
      if (waited > 60_000 || !/unhealthy cluster|no leader/.test(String((error as { stderr?: unknown }).stderr)))
        throw error
      await pause(500)
    }
  }
}

const etcdctlOnce = async (more: Record<string, string>, ...args: string[]): Promise<string> => {
  const environment = (await home.verb('env', '--json')).stdout
  const { folder } = await requireEtcd(testCluster())
  return execFileSync(join(folder, 'etcdctl'), args, {
    env: { ...process.env, ...JSON.parse(environment), ...more },
    encoding: 'utf8',
    stdio: 'pipe',
  })
}

test('up ends with a verified cluster of three and says how to use it', async () => {
  const { exitCode, stdout, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
  assert.match(stdout, 'The cluster is up and verified')
  assert.match(stdout, 'Check how fast the disk is') // what is looked at before the first up only
  assert.match(stdout, 'eval "$(npx zx scripts/env.ts)" && etcdctl member list')
  for (const name of ['master01', 'master02', 'master03']) assert.match(stdout, name)
  assert.is(etcdPids().length, 3)
})

/** The command lines of what ran below the home while `up` ran. */
const seen = new Set<string>()

test('up, run again, says that there was nothing to do, and changes nothing', async () => {
  const [pids, files] = [etcdPids(), snapshotOf(certs)]
  // a look takes tens of milliseconds on a busy machine, in which `up`, in this process, hears nothing
  const watch = setInterval(() => {
    for (const { command } of processesWith(home.path)) seen.add(command)
  }, 150)
  const { exitCode, stdout, stderr } = await home.verb('up', '--yes').finally(() => clearInterval(watch))
  assert.is(exitCode, 0, stderr)
  assert.match(stdout, 'nothing had to be changed')
  assert.equal(etcdPids(), pids)
  assert.equal(snapshotOf(certs), files)
})

test('on a host lies exactly what the design names, keys for their owner only', () => {
  const host = join(home.path, '.cluster/etcd-cluster-1/hosts/master02')
  const ssl = snapshotOf(join(host, 'etc/ssl/etcd'))
  assert.equal(Object.keys(ssl), [
    'ca.crt',
    'etcd-client.crt',
    'etcd-client.key',
    'master02.crt',
    'master02.key',
    'server.crt',
    'server.key',
  ])
  for (const [name, entry] of Object.entries(ssl))
    assert.is((Number(entry.split(' ')[2]) & 0o777).toString(8), name.endsWith('.key') ? '600' : '644', name)
  assert.is(readFileSync(join(host, 'etc/ssl/etcd/server.key'), 'utf8').includes('PRIVATE KEY'), true)
  assert.equal(readdirSync(join(host, 'etc')).sort(), ['keeper', 'ssl'])
})

test('no private key is in a log, an inventory or an argument list', () => {
  const keys = readdirSync(certs, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.key'))
  assert.is(keys.length, 8)
  const bodies = keys.map((name) => readFileSync(join(certs, name), 'utf8').split('\n')[1] ?? '')
  const state = join(home.path, '.cluster/etcd-cluster-1')
  assert.ok([...seen].some((command) => command.includes('ansible-playbook')))
  for (const command of seen) for (const body of bodies) assert.not.match(command, body)
  const written = readdirSync(state, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.(log|yml|json|conf)$/.test(name),
  )
  assert.ok(written.length > 3)
  for (const name of written) for (const body of bodies) assert.not.match(readFileSync(join(state, name), 'utf8'), body)
})

test('env prints what a shell needs, and status what a person needs', async () => {
  const env = await home.verb('env')
  assert.match(env.stdout, /^export ETCDCTL_ENDPOINTS=.*:2379,/m)
  const status = await home.verb('status')
  assert.is(status.exitCode, 0)
  for (const text of ['master01', 'master03', 'leader', 'etcd-cluster-1']) assert.match(status.stdout, text)
})

test('status --watch looks again and again until Ctrl-C, which ends it with 130', async () => {
  const { child, done } = home.start('status', '--watch')
  let seen = 0
  child.stdout?.on('data', (chunk: Buffer) => {
    seen += String(chunk).split('3 of 3 members up').length - 1
    if (seen >= 2) process.kill(child.pid ?? 0, 'SIGINT')
  })
  const { exitCode, stdout } = await done
  assert.is(exitCode, 130)
  assert.ok(stdout.split('3 of 3 members up').length > 2, stdout)
})

test('a plan names what would be done, host by host, in the order of the restarts, and touches nothing', async () => {
  const file = join(home.path, 'cluster.yaml')
  writeFileSync(file, 'etcd: { environment: { ETCD_SNAPSHOT_COUNT: 10000 } }\n')
  const leaf = join(certs, 'master03/server.crt')
  const kept = readFileSync(leaf)
  rmSync(leaf)
  const seen = (): object => ({ ...snapshotOf(certs), ...snapshotOf(join(home.path, '.cluster'), itsOwn) })
  const before = seen()
  const { exitCode, stdout, stderr } = await home.verb('up', '--plan', '--json')
  assert.is(exitCode, 0, stderr)
  assert.equal(seen(), before)
  const plan = Object.fromEntries(
    (JSON.parse(stdout).plan as { phase: string; would: string[] }[]).map(({ phase, would }) => [phase, would]),
  )
  assert.equal([plan.doctor, plan.pki, plan.vms], [[], ['issue master03/server.crt (missing)'], []])
  assert.is(plan['etcd-role']?.length, 3)
  for (const step of plan['etcd-role'] ?? [])
    assert.match(step, /^(master0\d): restart etcd on \1.*\n(.*\n)+\+ETCD_SNAPSHOT_COUNT=10000/)
  const alone = await home.verb('etcd-role', '--plan')
  assert.is(alone.exitCode, 1)
  assert.match(alone.stderr, 'master03/server.crt, or its key, is missing')
  writeFileSync(leaf, kept)
  rmSync(file)
})

test('the plan of a cluster that is not there says what would be made, and makes nothing', async () => {
  const { exitCode, stdout } = await home.verb('up', '--plan', '--cluster', 'not-there')
  assert.is(exitCode, 0)
  for (const text of [
    'make the certificate authority',
    'issue etcd-client.crt',
    'bring master03 up',
    'nothing was touched',
  ])
    assert.match(stdout, text)
  assert.not.ok(existsSync(join(home.path, '.cluster/not-there')))
  assert.not.ok(existsSync(join(home.path, 'certs/not-there')))
})

test('a changed setting restarts one member after the other: no write fails, and never are two down', async () => {
  const before = etcdPids()
  const file = join(home.path, 'cluster.yaml')
  writeFileSync(file, 'etcd: { environment: { ETCD_SNAPSHOT_COUNT: 20000 } }\n')
  const { hosts } = clientsView(home)
  await moveLeader(hosts[0] as Host)
  const looks: number[] = []
  const watch = setInterval(() => looks.push(etcdPids().length), 50)
  // As from a shell that evaluated env: the person's own ETCDCTL_* must not disturb the role.
  const fromShell = testHomeAt(home, JSON.parse((await home.verb('env', '--json')).stdout))
  const role = (): Promise<Outcome> => fromShell.verb('etcd-role', '--json').finally(() => clearInterval(watch))
  const { exitCode, stdout, stderr } = await underLoad(home, role, 'a changed setting')
  assert.is(exitCode, 0, stderr)
  assert.equal(JSON.parse(stdout).changed, { master01: 1, master02: 1, master03: 1 })
  assert.ok(etcdPids().every((pid) => !before.includes(pid)))
  // One that is down for a few milliseconds only may go unseen.
  assert.ok(looks.length > 0 && Math.min(...looks) >= 2, 'one member at a time')
  const births = await Promise.all(hosts.map(async (host) => Number(await birthOf(pidOf(host.name)))))
  assert.is(Math.max(...births), births[0], 'the leader goes last')
  assert.equal(JSON.parse((await home.verb('etcd-role', '--json')).stdout).changed, {
    master01: 0,
    master02: 0,
    master03: 0,
  })
})

test('a setting with which etcd does not start stops the run at the first member; the next run heals it', async () => {
  const file = join(home.path, 'cluster.yaml')
  writeFileSync(file, 'etcd: { environment: { ETCD_SNAPSHOT_COUNT: many } }\n')
  const broken = await home.verb('etcd-role')
  assert.is(broken.exitCode, 1)
  assert.match(
    broken.stderr,
    /^Error: master0\d: etcd does not stay up here\. The last it said:\n.*ETCD_SNAPSHOT_COUNT/s,
  )
  assert.is(etcdPids().length, 2)
  writeFileSync(file, 'etcd: { environment: { ETCD_SNAPSHOT_COUNT: 20000 } }\n')
  const { exitCode, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
  assert.is(etcdPids().length, 3)
})

const data = join(home.path, '.cluster/etcd-cluster-1/hosts/master03/var/lib/etcd/member')

test(
  'a known member that kept a part of its data only is refused, naming what replaces it, and etcd itself never ' +
    'starts on it',
  async () => {
    const pid = pidOf('master03')
    assert.ok(pid)
    process.kill(pid, 'SIGSTOP') // so that it writes nothing while its data goes
    rmSync(join(data, 'wal'), { recursive: true, maxRetries: 5 })
    process.kill(pid, 'SIGKILL') // its keeper starts it again at once
    await pause(3000)
    assert.not.ok(existsSync(join(data, 'wal')), 'a member that forgot its data must not rejoin under its old id')
    const { exitCode, stderr } = await home.verb('up', '--yes')
    assert.is(exitCode, 1)
    assert.match(stderr, /master03 is a member of the running cluster .* but its data directory is empty/)
    assert.match(stderr, 'etcdctl member remove')
    assert.is(etcdPids().length, 2)
  },
)

test('the commands that the refusals name, and then up, replace it, with nothing of its old data', async () => {
  const { stderr } = await home.verb('up', '--yes')
  const [, id = '', peerURL = ''] =
    /member remove (\w+), then etcdctl member add master03 --peer-urls=(\S+),/.exec(stderr) ?? []
  const others = {
    ETCDCTL_ENDPOINTS: clientsView(home)
      .hosts.slice(0, 2)
      .map((host) => host.clientURL)
      .join(),
  }
  await etcdctl(others, 'member', 'remove', id)
  await etcdctl(others, 'member', 'add', 'master03', `--peer-urls=${peerURL}`)
  const refused = await home.verb('up', '--yes')
  assert.is(refused.exitCode, 1)
  assert.match(refused.stderr, `mv ${data} ${data}.old`)
  renameSync(data, `${data}.old`)
  const { exitCode, stderr: said } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, said)
  assert.is(etcdPids().length, 3)
  assert.not.ok(existsSync(join(home.path, '.cluster/etcd-cluster-1/hosts/master03/var/lib/etcd/first-start')))
})

test('a cluster of another size lives beside the first', async () => {
  const config = join(home.path, 'beside.yaml')
  writeFileSync(config, 'etcd: { environment: { ETCD_ENABLE_GRPC_GATEWAY: "false" } }\n')
  const words = ['--cluster', 'beside-1', '--masters', '1', '--config', config]
  const { endpoints } = await done(home.verb('up', ...words, '--json', '--yes'))
  assert.equal([(endpoints as string[]).length, etcdPids().length], [1, 3 + 1])
})

test('where a member has its JSON gateway off, load goes through etcdctl, and says that this is slow', async () => {
  const { exitCode, stdout, stderr } = await home.verb('load', '--cluster', 'beside-1', '--seconds', '3')
  assert.is(exitCode, 0, stderr)
  assert.is(stderr, '')
  assert.match(stdout, /through etcdctl, which is slow(.|\n)*writes acknowledged +[1-9]\d*/)
})

test('down leaves no process, socket or data; certificates stay until --purge', async () => {
  assert.is((await home.verb('down', '--cluster', 'beside-1', '--yes')).exitCode, 0)
  assert.equal(processesWith(`${home.path}/.cluster/beside-1/`), [])
  assert.ok(existsSync(join(home.path, 'certs/beside-1/ca.key')))
  assert.not.ok(existsSync(join(home.path, '.cluster/beside-1')))
  assert.is((await home.verb('down', '--cluster', 'beside-1', '--yes', '--purge')).exitCode, 0)
  assert.not.ok(existsSync(join(home.path, 'certs/beside-1')))
  assert.is((await home.verb('down', '--yes', '--purge')).exitCode, 0)
  assert.equal(processesWith(home.path), [])
  assert.not.ok(existsSync(join(home.path, '.cluster')))
})

const nobody = 65_534
const asRoot = process.getuid?.() === 0 ? test : test.skip
const asOther = process.getuid?.() === 0 && readable(projectFolder) ? test : test.skip
asOther('a user who is not root brings a cluster up, and is asked for nothing', async () => {
  const theirs = testHome({ HOME: '/tmp' }, nobody)
  const { exitCode, stdout, stderr } = await theirs.verb('up', '--masters', '1')
  assert.is(exitCode, 0, stderr)
  assert.match(stdout, 'The cluster is up and verified')
  const owners = processesWith(`${theirs.path}/.cluster/`).map(
    ({ pid }) => /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1],
  )
  assert.ok(owners.length >= 2 && owners.every((owner) => owner === String(nobody)))
  assert.is((await theirs.verb('down', '--yes', '--purge')).exitCode, 0)
})

/** Whether everybody may read a folder: a checkout below /root is root's alone. */
function readable(folder: string): boolean {
  return folder === '/' || ((statSync(folder).mode & 0o005) === 0o005 && readable(dirname(folder)))
}

test('hosts whose record was lost: up refuses, and down removes them', async () => {
  assert.is((await home.verb('up', '--cluster', 'lost', '--masters', '1', '--yes')).exitCode, 0)
  for (const name of ['cluster.json', 'hosts/master01/etc/keeper/keeper.json'])
    rmSync(join(home.path, '.cluster/lost', name))
  const { exitCode, stderr } = await home.verb('up', '--cluster', 'lost', '--masters', '1', '--yes')
  assert.is(exitCode, 1)
  assert.match(stderr, 'is missing')
  assert.is((await home.verb('down', '--cluster', 'lost', '--yes', '--purge')).exitCode, 0)
  assert.equal(processesWith(`${home.path}/.cluster/lost/`), [])
})

asRoot("another user's cluster is left alone, by root too", async () => {
  const theirs = testHome({}, nobody)
  mkdirSync(join(theirs.path, '.cluster/etcd-cluster-1'), { recursive: true })
  chownSync(join(theirs.path, '.cluster/etcd-cluster-1'), nobody, nobody)
  const { exitCode, stderr } = await testHome({ HA_ETCD_HOME: theirs.path }).verb('up', '--yes')
  assert.is(exitCode, 2)
  assert.match(stderr, `belongs to the user with uid ${nobody}`)
})

test('down asks before it removes anything, and without anybody to ask it removes nothing', async () => {
  assert.is((await home.verb('pki')).exitCode, 0)
  const { exitCode, stderr } = await home.verb('down')
  assert.is(exitCode, 2)
  assert.match(stderr, '--yes')
  assert.ok(existsSync(join(home.path, '.cluster/etcd-cluster-1/cluster.json')))
})

test.after(() => home.downAll())

test.run()
