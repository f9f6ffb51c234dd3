// Which backups --keep removes: the revision decides within one life of the cluster, the time between lives.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Backup, doubts, keptBackups, surplus, surplusOf } from '../../../tasks/acts/backup-store.ts'
import { testCluster } from '../../support/cluster.ts'

/** "revision@day", of the life before the slash; without one it is of an older release, which noted none. */
function parse(text: string): Backup {
  const [, life, revision, day] = /^(?:(\w+)\/)?(\d+)@(\d+)$/.exec(text) ?? []
  const time = new Date(Date.UTC(2026, 0, Number(day))).toISOString()
  return { folder: text, metadata: { cluster: 'c', ...(life && { life }), revision: Number(revision), time } }
}

const removed = (keep: number, made: string, ...others: string[]): string[] =>
  surplusOf([...others, made].map(parse), parse(made), { count: keep, days: undefined }).map(({ folder }) => folder)

test('the oldest go, and the backup just made stays', () => {
  assert.equal(removed(2, 'a/40@4', 'a/10@1', 'a/30@3', 'a/20@2'), ['a/20@2', 'a/10@1'])
  assert.equal(removed(1, 'a/40@4', 'a/10@1'), ['a/10@1'])
  assert.equal(removed(5, 'a/40@4', 'a/10@1'), [])
})

test('a backup made while the clock was ahead is as old as its revision says', () => {
  assert.equal(removed(1, 'a/40@4', 'a/30@300'), ['a/30@300'])
  assert.equal(removed(2, 'a/40@4', 'a/10@300', 'a/30@3'), ['a/10@300'])
})

test('at one revision the later one is the newer one, and the one just made stays whatever its time is', () => {
  assert.equal(removed(2, 'a/40@4', 'a/40@2', 'a/40@3'), ['a/40@2'])
  assert.equal(removed(1, 'a/40@1', 'a/40@2', 'a/40@3'), ['a/40@2'])
})

test('the one just made and the newest by revision stay, though revisions went back', () => {
  assert.equal(removed(1, 'a/10@4', 'a/50@3', 'a/40@2'), ['a/40@2'])
})

test('a cluster made again under its name goes first, and the newest of each life before stays', () => {
  assert.equal(removed(2, 'b/5@9', 'a/900@8', 'a/800@7', 'b/4@8'), ['a/800@7'])
  assert.equal(removed(1, 'b/5@9', 'b/4@8', 'a/900@300'), ['b/4@8'])
  assert.equal(removed(3, 'c/5@9', 'a/900@1', 'a/800@7', 'b/7@4', 'b/6@3'), ['b/6@3'])
})

test('backups that name no life are one life of their own, of that cluster name', () => {
  assert.equal(removed(1, 'a/5@9', '900@8', '800@7'), ['800@7'])
  assert.equal(removed(1, '40@4', '30@300', '20@2'), ['30@300', '20@2'])
})

test('by days: what was made in them stays; with a number, too, what either keeps', () => {
  const old = (keep: { count?: number; days?: number }, made: string, ...others: string[]): string[] =>
    surplusOf(others.map(parse), parse(made), { count: keep.count, days: keep.days }).map(({ folder }) => folder)
  assert.equal(old({ days: 1 }, 'a/40@4', 'a/10@1', 'a/20@2', 'a/30@3'), ['a/10@1'])
  assert.equal(old({ days: 1, count: 3 }, 'a/40@4', 'a/10@1', 'a/20@2', 'a/30@3'), ['a/10@1'])
  assert.equal(old({ days: 3, count: 1 }, 'a/40@4', 'a/10@1', 'a/20@2'), [])
})

test('by days: age counts from the one before: a clock that has jumped ahead makes nothing old', () => {
  const all = ['a/10@1', 'a/20@2', 'a/30@3'].map(parse)
  assert.equal(surplusOf(all, parse('a/40@340'), { count: undefined, days: 5 }), [])
})

test('by days: one that is later than the newest shows that a clock was wrong, and nothing is called old', () => {
  const all = ['a/10@1', 'a/20@2', 'a/30@300'].map(parse)
  assert.equal(surplusOf(all, parse('a/40@40'), { count: undefined, days: 1 }), [])
})

test('what is removed is read from the folders; a damaged one is said, not counted and not removed', () => {
  const cluster = testCluster()
  const add = (name: string, metadata: string): string => {
    const folder = join(cluster.paths.backups, name)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'metadata.json'), metadata)
    return folder
  }
  const of = (revision: number, time: string): string =>
    JSON.stringify({ cluster: cluster.name, life: 'a', revision, time })
  const ahead = add('2027-05-01T00-00-00Z', of(20, '2027-05-01T00:00:00.000Z'))
  const damaged = add('2026-01-02T00-00-00Z', '{"cluster": "test-cluster"}')
  add('2026-01-03T00-00-00Z.unproven', of(1, '2026-01-03T00:00:00.000Z'))
  const made = { folder: join(cluster.paths.backups, '2026-07-01T00-00-00Z'), metadata: parse('a/30@180').metadata }
  assert.equal(surplus(cluster, made, { count: 1, days: undefined }), [ahead])
  const now = Date.parse('2026-07-01T00:00:00Z')
  assert.equal(doubts(cluster, now), [
    `The time of backup ${ahead} lies in the future (2027-05-01T00:00:00.000Z): a clock was wrong then, ` +
      `or this machine's is wrong now.`,
    `The metadata.json of backup ${damaged} is damaged: the backup is not counted, and never removed.`,
  ])
  assert.is(doubts(cluster, Date.parse('2027-04-30T23:59:30Z')).length, 1, 'half a minute is no doubt')
})

test('of this life of the cluster the newest backup counts, but none whose time lies in the future', () => {
  const cluster = testCluster({ life: 'b' })
  const at = (day: number): string => `2026-01-0${day}T00:00:00.000Z`
  const kept = (...all: [life: string, name: string, day: number][]): object => {
    for (const [life, name, day] of all) {
      const folder = join(cluster.paths.backups, `2026-01-0${day}T00-00-00Z`)
      mkdirSync(folder, { recursive: true })
      const metadata = { cluster: name, ...(life && { life }), revision: 1, time: at(day) }
      writeFileSync(join(folder, 'metadata.json'), JSON.stringify(metadata))
    }
    return keptBackups(cluster, Date.parse(at(6)))
  }
  assert.equal(kept(), { count: 0, newest: undefined })
  assert.equal(kept(['a', cluster.name, 5], ['b', 'another', 4]), { count: 0, newest: undefined })
  assert.equal(kept(['', cluster.name, 1], ['b', cluster.name, 2]), { count: 2, newest: Date.parse(at(2)) })
  assert.equal(kept(['b', cluster.name, 8]), { count: 3, newest: Date.parse(at(2)) })
})

test.run()
