// The ladder of etcd's minor versions for real, up and down, on three members under load, killed at each step.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  count,
  folderOf,
  forReal,
  go,
  must,
  runs,
  use,
  v34,
  v35,
  v36,
  v37,
  writeSome,
  written,
} from '../support/ladder.ts'
import { underLoad } from '../support/load.ts'
import { type Home, killedAt, killedAtEachStep, testHome } from '../support/verbs.ts'

const three = testHome()

/** Under load, killed at each step of the verb in turn; the run that is not killed any more ends well. */
async function eachStepKilled(home: Home, verb: 'upgrade' | 'downgrade', to: string, steps: RegExp[]): Promise<void> {
  use(home, folderOf(to))
  const words = ['--etcd-version', to]
  const { result } = await underLoad(
    home,
    () => killedAtEachStep(home, verb, ...words),
    `${verb} to ${to}, each step killed`,
  )
  console.log(`measured: ${verb} to ${to} killed at: ${result.steps.join('; ')}`)
  assert.is(result.last.exitCode, 0, result.last.stderr)
  for (const step of steps)
    assert.ok(
      result.steps.some((one) => step.test(one)),
      `it was never killed at ${step}`,
    )
  await runs(home, to)
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
        const { result } = await underLoad(
          three,
          async () => {
            use(three, folderOf(to))
            await killedAt(three, 'Restart etcd on', 'upgrade', '--etcd-version', to)
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
