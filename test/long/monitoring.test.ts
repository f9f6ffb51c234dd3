// The alerts on real members: a real Prometheus with our scrape configuration and rules sees each fault that is made,
// and sees it cured by the verb that the alert names.
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { stringify } from 'yaml'
import { findProgram } from '../../tasks/core/programs.ts'
import { openGateway } from '../../tasks/etcd/gateway.ts'
import type { AlertName } from '../../tasks/monitoring/alerts.ts'
import { killHost } from '../../tasks/vms/keeper.ts'
import { lackingAt } from '../support/exposed.ts'
import { clientsView, memberPids, whileFrozen } from '../support/load.ts'
import { type Watching, watch, withoutPrometheus } from '../support/prometheus.ts'
import { killedAt, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'
import { pause, until } from '../support/wait.ts'

const suiteOf = suite('monitoring')
const [old, now, next] = [await etcdOf('3.5.33'), await etcdOf('3.6.14'), await etcdOf('3.7.1')]
const test = withoutPrometheus || !old || !now || !next ? suiteOf.skip : suiteOf
if (withoutPrometheus) console.log(`${withoutPrometheus}, so no alert is seen on real members`)

const home = testHome()
let watching: Watching
const quota = 16 * 2 ** 20
const use = (folder = '', more: object = {}): void =>
  writeFileSync(
    join(home.path, 'cluster.yaml'),
    stringify({
      etcd: { binaries: folder, metricsPort: 2381, environment: { ETCD_QUOTA_BACKEND_BYTES: quota } },
      ...more,
    }),
  )
const view = () => clientsView(home)

/** A verb that must succeed. */
async function must(verb: string, ...words: string[]): Promise<void> {
  const { exitCode, stderr } = await home.verb(verb, ...words)
  assert.is(exitCode, 0, `${verb}: ${stderr}`)
}

/** As the timer does. */
const refresh = async (): Promise<void> => watching.serve((await home.verb('metrics')).stdout)

const firing = async (): Promise<string[]> => (await watching.firing()).map(({ labels }) => labels.alertname ?? '')

/** Waits until all of these fire; `meanwhile` is done between two looks. */
async function fires(names: AlertName[], meanwhile: () => Promise<unknown> = refresh): Promise<void> {
  for (const name of names) {
    const isSeen = async (): Promise<boolean> => {
      await meanwhile()
      return (await firing()).includes(name)
    }
    console.log(`measured: ${name} fires after ${await until(`${name} fires`, isSeen, 180_000)} ms`)
  }
}

/** Waits until none of these fires any more. */
async function clears(names: AlertName[]): Promise<void> {
  const isOver = async (): Promise<boolean> => {
    await refresh()
    const left = await firing()
    return !names.some((name) => left.includes(name))
  }
  console.log(`measured: cleared after ${await until(`${names.join(', ')} cleared`, isOver)} ms`)
}

suiteOf.after(async () => {
  await watching?.stop()
  await home.downAll()
})

test('a cluster that is well has no backup yet, which is said; once there is one, nothing is', async () => {
  use(now?.folder)
  await must('up', '--yes')
  watching = await watch(home)
  await until('all members are seen', async () => (await watching.query('sum(up{job=~"ha-etcd-.+"})'))[0] === 3)
  await fires(['HaEtcdBackupTooOld'])
  await must('backup')
  await clears(['HaEtcdBackupTooOld'])
  assert.equal(
    (await firing()).filter((name) => !name.startsWith('HaEtcdSlow')),
    [],
  )
})

test('each metric that a rule or a panel names is there, on 3.6', async () => {
  const lacking = async (): Promise<string[]> => {
    const each = await Promise.all(view().hosts.map(({ address }) => lackingAt(view(), `https://${address}:2381`)))
    return each.flat()
  }
  await until('all are exposed', async () => (await lacking()).length === 0, 90_000)
})

test('a member that was killed, its keeper, too: the alert names its host; up cures it', async () => {
  const hosts = join(home.path, '.cluster/etcd-cluster-1/hosts')
  await killHost({ paths: { hosts } } as never, { name: 'master02' })
  await fires(['HaEtcdMemberDown', 'HaEtcdQuorumAtRisk'])
  const alert = (await watching.firing()).find(({ labels }) => labels.alertname === 'HaEtcdMemberDown')
  assert.equal([alert?.labels.host, alert?.labels.cluster], ['master02', 'etcd-cluster-1'])
  assert.match(alert?.annotations.runbook ?? '', 'npx zx scripts/up.ts --cluster etcd-cluster-1')
  await must('up', '--yes', '--cluster', 'etcd-cluster-1')
  await clears(['HaEtcdMemberDown', 'HaEtcdQuorumAtRisk'])
})

test('two frozen members: the quorum is lost, the third has no leader, and verify notes that it failed', async () => {
  await whileFrozen(home, ['master01', 'master02'], async () => {
    assert.is((await home.verb('verify', '--timeout', '1')).exitCode, 1)
    await fires(['HaEtcdQuorumLost', 'HaEtcdNoLeader', 'HaEtcdVerifyFailed'])
  })
  await must('verify', '--timeout', '60')
  await clears(['HaEtcdQuorumLost', 'HaEtcdNoLeader', 'HaEtcdMemberDown', 'HaEtcdVerifyFailed'])
})

test('a full database: near its quota, at it, writes refused, the alarm; defrag --disarm cures all', async () => {
  const gateway = openGateway(view(), 1)
  const write = async (): Promise<void> => {
    for (let round = 0; round < 20; round++)
      await gateway.put(gateway.endpoints[0] ?? '', 'full', 'x'.repeat(100_000)).catch(() => undefined)
    await pause(300)
  }
  const names: AlertName[] = ['HaEtcdDatabaseNearQuota', 'HaEtcdDatabaseFull', 'HaEtcdWritesRefused']
  await fires(names, write).finally(() => gateway.close())
  await fires(['HaEtcdAlarm'])
  await must('defrag', '--disarm')
  await clears([...names, 'HaEtcdAlarm'])
})

test('an alarm of damaged data: refused requests say so; it clears when the alarm is lowered', async () => {
  const gateway = openGateway(view(), 1)
  const [endpoint = ''] = gateway.endpoints
  const { members } = (await gateway.ask(endpoint, 'cluster/member/list', {})) as { members: { ID: string }[] }
  const alarm = { alarm: 'CORRUPT', memberID: members[0]?.ID }
  try {
    await gateway.ask(endpoint, 'maintenance/alarm', { action: 'ACTIVATE', ...alarm })
    await fires(['HaEtcdDataDamaged'], async () => {
      await gateway.put(endpoint, 'any', 'x').catch(() => undefined)
      await pause(200)
    })
    await fires(['HaEtcdAlarm'])
    await gateway.ask(endpoint, 'maintenance/alarm', { action: 'DEACTIVATE', ...alarm })
  } finally {
    gateway.close()
  }
  await clears(['HaEtcdDataDamaged', 'HaEtcdAlarm'])
})

test('a learner that never started is seen, and is gone once it is removed', async () => {
  const gateway = openGateway(view(), 1)
  const [endpoint = ''] = gateway.endpoints
  const added = { peerURLs: ['https://127.0.0.1:1'], isLearner: true }
  const { member } = (await gateway.ask(endpoint, 'cluster/member/add', added)) as { member: { ID: string } }
  await fires(['HaEtcdLearnerLeftOver'])
  await gateway.ask(endpoint, 'cluster/member/remove', { ID: member.ID }).finally(() => gateway.close())
  await clears(['HaEtcdLearnerLeftOver'])
})

test('leaders that change again and again are seen', async () => {
  const gateway = openGateway(view(), 1)
  const handOver = async (): Promise<void> => {
    const status = (await gateway.ask(gateway.endpoints[0] ?? '', 'maintenance/status', {})) as { leader: string }
    const { members } = (await gateway.ask(gateway.endpoints[0] ?? '', 'cluster/member/list', {})) as {
      members: { ID: string; clientURLs: string[] }[]
    }
    const leader = members.find(({ ID }) => ID === status.leader)
    const other = members.find(({ ID }) => ID !== status.leader)
    const target = { targetID: other?.ID }
    await gateway.ask(leader?.clientURLs[0] ?? '', 'maintenance/transfer-leadership', target).catch(() => undefined)
    await pause(1500)
  }
  await fires(['HaEtcdLeaderChanges'], handOver).finally(() => gateway.close())
  await clears(['HaEtcdLeaderChanges'])
})

test('certificates that are due, and about to end by the configuration: rotate-certs renews them', async () => {
  use(now?.folder, { pki: { leafDays: 3000, renewBeforeDays: 1500 } })
  await fires(['HaEtcdCertificateDue', 'HaEtcdCertificateEnding'])
  await must('rotate-certs')
  await clears(['HaEtcdCertificateDue', 'HaEtcdCertificateEnding'])
  use(now?.folder)
})

/** What `act` gives while each call of one kind takes a follower so much longer, in ms. */
async function whileSlow(call: string, ms: number, act: () => Promise<void>): Promise<void> {
  const gateway = openGateway(view(), 1)
  const status = (await gateway.ask(gateway.endpoints[0] ?? '', 'maintenance/status', {}).finally(gateway.close)) as {
    header: { member_id: string }
    leader: string
  }
  const follower = status.header.member_id === status.leader ? 'master02' : 'master01'
  const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:delay_enter=${ms * 1000}`]
  const words = ['-f', '-qq', '-o', '/dev/null', ...inject, '-p', String(memberPids(home)[follower])]
  const strace = spawn('strace', words, { stdio: 'ignore' })
  const gone = new Promise((done) => strace.once('exit', done))
  await act().finally(() => strace.kill('SIGINT'))
  await gone
}

const withStrace = findProgram('strace') ? test : suiteOf.skip

withStrace('a disk that takes 600 ms to write through: its log and its commits are slow', async () => {
  const gateway = openGateway(view(), 1)
  const write = async (): Promise<void> => {
    await gateway.put(gateway.endpoints[0] ?? '', 'slow', 'x').catch(() => undefined)
    await pause(100)
  }
  const names: AlertName[] = ['HaEtcdSlowLog', 'HaEtcdSlowCommits']
  await whileSlow('fdatasync', 600, () => fires(names, write)).finally(() => gateway.close())
  await clears(names)
})

withStrace('a member whose network takes 300 ms longer: the way to it is slow', async () => {
  await whileSlow('write', 300, () => fires(['HaEtcdSlowPeers'], () => pause(500)))
  await clears(['HaEtcdSlowPeers'])
})

const withFaketime = findProgram('faketime') ? test : suiteOf.skip

withFaketime('metrics by a clock that is off, of some hours ago, and a verify of long ago', async () => {
  const at = async (offset: string): Promise<void> => watching.serve((await home.at(offset, 'metrics')).stdout)
  await fires(['HaEtcdClockOff'], () => at('+10s'))
  await fires(['HaEtcdMetricsOld'], () => at('-2h'))
  await home.at('-9d', 'verify', '--timeout', '1')
  await fires(['HaEtcdVerifyTooOld'])
  await must('verify')
  await clears(['HaEtcdClockOff', 'HaEtcdMetricsOld', 'HaEtcdVerifyTooOld', 'HaEtcdVerifyFailed'])
})

test('an upgrade that was killed: it is half done, and versions are apart; the same command finishes it', async () => {
  use(next?.folder)
  await killedAt(home, /Restart etcd on \S+[\s\S]*Restart etcd on/, 'upgrade', '--etcd-version', '3.7.1', '--verbose')
  await fires(['HaEtcdHalfDone', 'HaEtcdVersionsApart'])
  await must('upgrade', '--etcd-version', '3.7.1')
  await clears(['HaEtcdHalfDone', 'HaEtcdVersionsApart'])
})

test('each metric that a rule or a panel names is there on 3.7, too, and on 3.5', async () => {
  const { address = '' } = view().hosts[0] ?? {}
  await until('3.7 has all', async () => (await lackingAt(view(), `https://${address}:2381`)).length === 0, 90_000)
  const older = testHome()
  try {
    writeFileSync(join(older.path, 'cluster.yaml'), `etcd: { binaries: ${old?.folder}, metricsPort: 2381 }\n`)
    assert.is((await older.verb('up', '--yes')).exitCode, 0)
    const there = clientsView(older)
    const url = `https://${there.hosts[0]?.address}:2381`
    await until('3.5 has all', async () => (await lackingAt(there, url)).length === 0, 90_000)
  } finally {
    await older.downAll()
  }
})

suiteOf.run()
