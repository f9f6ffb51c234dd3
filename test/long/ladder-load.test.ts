// The ladder of etcd's minor versions for real, up and down, on three members under load, killed at each step.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  count,
  folderOf,
  forReal,
  go,
  must,
  recorded,
  runs,
  use,
  v34,
  v35,
  v36,
  v37,
  writeSome,
  written,
} from '../support/ladder.ts'
import { loseHosts, underLoad } from '../support/load.ts'
import { type Home, killedAt, killedAtEachStep, testHome } from '../support/verbs.ts'

const three = testHome()

/** Under load, killed at each step of the verb in turn; the run that is not killed any more ends well. */
async function eachStepKilled(home: Home, verb: 'upgrade' | 'downgrade', to: string, steps: RegExp[]): Promise<void> {
  use(home, folderOf(to))
  const words = ['--etcd-version', to]
  const result = await underLoad(home, () => killedAtEachStep(home, verb, words), `${verb} to ${to}, each step killed`)
  console.log(`measured: ${verb} to ${to} killed at: ${result.steps.join('; ')}`)
  assert.is(result.last.exitCode, 0, result.last.stderr)
  for (const step of steps)
    assert.ok(
      result.steps.some((one) => step.test(one)),
      `it was never killed at ${step}`,
    )
  await runs(home, to)
}

/** The members in the order in which they are moved: the leader last. */
async function members(version: string): Promise<{ name: string; version: string }[]> {
  const status = JSON.parse(await must(three, version, 'status', '--json')) as {
    members: { name: string; version: string; isLeader: boolean }[]
  }
  return status.members.toSorted((a, b) => Number(a.isLeader) - Number(b.isLeader) || a.name.localeCompare(b.name))
}

/** A move that is killed when one member has the other version. @returns the members in their turn */
async function halfMoved(verb: 'upgrade' | 'downgrade', before: string, to: string): Promise<string[]> {
  const names = (await members(before)).map(({ name }) => name)
  use(three, folderOf(to))
  await killedAt(three, `Restart etcd on ${names[1]}`, verb, '--etcd-version', to)
  return names
}

/** Members of two versions run: a backup of them counts, and the mix is a warning. */
async function backupOfBoth(before: string, to: string): Promise<void> {
  const versions = (await members(to)).map(({ version }) => version)
  assert.ok(versions.includes(before) && versions.includes(to), versions.join())
  const { folder, warnings } = JSON.parse(await must(three, to, 'backup', '--json'))
  assert.ok(existsSync(join(folder, 'snapshot.db')))
  assert.match(warnings.join('\n'), 'The backup is kept all the same')
}

const ofBoth = [
  /^Save a snapshot/,
  /^Note that the way/,
  /^Write the inventory/,
  /^Run the Ansible role/,
  /^Ask all 3/,
  /^Record/,
]
const ofEachMember = [1, 2, 3].map((number) => new RegExp(`^Restart etcd on master0${number}`))

forReal(
  'up the ladder under load, killed at each step; a snapshot of each version is restored on the next',
  async () => {
    await must(three, v34, 'up', '--yes')
    for (const [before, to] of [
      [v34, v35],
      [v35, v36],
      [v36, v37],
    ] as const) {
      writeSome(three, before, `on-${before}`)
      const { folder } = JSON.parse(await must(three, before, 'backup', '--json'))
      if (to === v36) await eachStepKilled(three, 'upgrade', to, [...ofBoth, ...ofEachMember])
      else {
        const result = await underLoad(
          three,
          async () => {
            await halfMoved('upgrade', before, to)
            if (to === v37) await backupOfBoth(before, to)
            return go(three, 'upgrade', to)
          },
          `upgrade to ${to}`,
        )
        assert.ok(JSON.parse(result).backup)
        await runs(three, to)
      }
      await must(three, to, 'restore', folder, '--yes')
      assert.is(written(three, to, `on-${before}`), count)
    }
    for (const version of [v34, v35, v36]) assert.is(written(three, v37, `on-${version}`), count, version)
  },
)

/** The record names the version before, and the one that it is on the way to. */
function underWay(): void {
  const { version, upgradingTo } = recorded(three)
  assert.equal([version, upgradingTo], [v37, v36])
}

forReal('quorum lost in the middle of a downgrade: recover goes on with the newer etcd, and ends it', async () => {
  const [first, ...lost] = await halfMoved('downgrade', v37, v36)
  underWay()
  loseHosts(three, lost)
  const refused = await three.verb('recover', '--yes')
  assert.is(refused.exitCode, 2, refused.stderr)
  assert.match(refused.stderr, `Name a folder that has etcd ${v37}`)
  underWay()
  const planned = JSON.parse(await must(three, v37, 'recover', '--plan', '--json')).plan.join('\n')
  assert.match(planned, `every member runs etcd ${v37} from then on`)
  const { from, warnings } = JSON.parse(await must(three, v37, 'recover', '--yes', '--json'))
  assert.is(from, first)
  assert.match(warnings.join('\n'), `The way to etcd ${v36}, which was begun, ends`)
  await runs(three, v37)
  assert.is(JSON.parse(await must(three, v37, 'verify', '--json')).healthy, true)
  for (const version of [v34, v35, v36]) assert.is(written(three, v37, `on-${version}`), count, version)
})

forReal('down the ladder under load, killed at each step, and every write is still there', async () => {
  await eachStepKilled(three, 'downgrade', v36, [
    ...ofBoth,
    ...ofEachMember,
    /^Enable the/,
    /^Wait until every/,
    /^End/,
  ])
  await underLoad(three, () => go(three, 'downgrade', v35), `downgrade to ${v35}`)
  await runs(three, v35)
  for (const version of [v34, v35, v36]) assert.is(written(three, v35, `on-${version}`), count, version)
})

test.after(() => three.downAll())

test.run()
