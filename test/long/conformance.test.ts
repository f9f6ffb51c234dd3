// What plans foresee, and what the model says, against a real cluster: stories drawn at random, compared act by act.
// HA_ETCD_SEED replays what it printed; HA_ETCD_STORIES: how many; HA_ETCD_ON: the etcd, 3.5.33 or 3.6.14.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startLoad } from '../../tasks/etcd/load.ts'
import { look } from '../../tasks/observe/look.ts'
import { befall, deeds, withCluster } from '../support/by-hand.ts'
import { type Chance, chanceOf } from '../support/chance.ts'
import { folderOf, forReal, recorded, use, v35, v36, v37 } from '../support/ladder.ts'
import { clientsView } from '../support/load.ts'
import { names } from '../support/members.ts'
import { actsToTry, carried, cured, type Tally, type Teller, tried } from '../support/stories.ts'
import { testHome } from '../support/verbs.ts'

const home = testHome()
const base = process.env.HA_ETCD_ON ?? v36
const seed = Number(process.env.HA_ETCD_SEED ?? Date.now() % 1_000_000)
const stories = Number(process.env.HA_ETCD_STORIES ?? 12)
const next = base === v35 ? v36 : v37
const hosts = names(3)

const tally: Tally = { acts: 0, plans: 0, refusals: 0, elections: 0, differences: [], cutShort: [], cures: [] }
const writes = { acknowledged: 0, lost: 0 }

/** Verbs that are carried out by plans: those may be ended between two acts. */
function planned(chance: Chance): string[] {
  const [one, other] = [chance.of(hosts), chance.of(hosts)]
  return chance.of([
    ['replace', one],
    ['replace', ...new Set([one, other])],
    ['scale', '--masters', chance.of(['5', '4', '1'])],
    ['upgrade', '--etcd-version', next],
    ['defrag', ...chance.of([[], ['--disarm']])],
  ])
}
const others = (chance: Chance): string[] =>
  chance.of([['restart'], ['restart', chance.of(hosts)], ['up'], ['rotate-certs', '--all']])

/** With the programs that the verb is for. */
function drawn(teller: Teller, words: string[], killAfter?: number): Promise<unknown> {
  use(home, folderOf(words[0] === 'upgrade' ? next : recorded(home).version))
  return carried(teller, words, { killAfter })
}

/** What befalls the cluster, and what somebody does then. */
async function tell(teller: Teller, chance: Chance): Promise<void> {
  const struck = chance.of([[], ...hosts.map((host) => [host]), [hosts[0], hosts[1]], [hosts[2], hosts[0]]])
  for (const host of struck as string[]) {
    const deed = chance.of(Object.keys(deeds))
    const failed = await befall(home, deed, host).then(
      () => '',
      (error: Error) => `: ${error.message}`,
    )
    teller.told.push(`${deed} ${host}${failed}`)
  }
  const what = chance.of(['verb', 'verb', 'other', 'killed', 'killed', 'killed', 'try', 'try', 'nothing'])
  if (what === 'verb') await drawn(teller, planned(chance))
  if (what === 'other') await drawn(teller, others(chance))
  if (what === 'killed') await drawn(teller, planned(chance), 1 + chance.below(6))
  for (let left = what === 'try' ? 3 : 0; left > 0; left--) {
    const acts = actsToTry(await withCluster(home, (cluster) => look(cluster)))
    if (acts.length > 0) await tried(teller, chance.of(acts))
  }
}

/** Three members of the version that stories begin with. */
async function asBefore(teller: Teller): Promise<void> {
  if (clientsView(home).hosts.length !== 3) await drawn(teller, ['scale', '--masters', '3'])
  if (recorded(home).version === base) return
  use(home, folderOf(base))
  await carried(teller, ['downgrade', '--etcd-version', base])
}

async function story(number: number): Promise<void> {
  const teller: Teller = { home, tally, told: [`story ${number}`] }
  const load = startLoad(clientsView(home), { writers: 3, readers: 1, pauseMs: 200, maxSeconds: 900 })
  const [differences, started] = [tally.differences.length, Date.now()]
  const broken = (error: Error): false => {
    tally.differences.push(`${error.stack}\n    ${teller.told.join('\n    ')}`)
    return false
  }
  const isCured = await tell(teller, chanceOf(number))
    .then(() => cured(teller))
    .catch(broken)
  if (isCured) await asBefore(teller).catch(broken)
  const report = await load.stop().catch(broken)
  if (report) {
    writes.acknowledged += report.acknowledged
    writes.lost += report.missing + report.backwards
  }
  console.log(`${teller.told.join('\n  ')}\n  ${Math.round((Date.now() - started) / 1000)} s: ${tally.cures.at(-1)}`)
  for (const one of tally.differences.slice(differences)) console.log(`  DIFFERENCE: ${one.split('\n    story')[0]}`)
  if (!isCured) await fresh()
}

async function fresh(): Promise<void> {
  use(home, folderOf(base))
  await home.verb('down', '--yes', '--purge')
  const { exitCode, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
}

forReal(`${stories} stories on etcd ${base}, from seed ${seed}`, async () => {
  await fresh()
  for (let number = seed; number < seed + stories; number++) await story(number)
  for (const cure of tally.cures) console.log(`cure: ${cure}`)
  console.log(
    `measured: etcd ${base}, seed ${seed}: ${stories} stories, ${tally.acts} acts and ${tally.plans} plans compared, ` +
      `${tally.refusals} refusals, ${tally.elections} elections, ${tally.differences.length} differences; ` +
      `${writes.acknowledged} writes, ${writes.lost} lost`,
  )
  assert.equal([tally.differences, tally.cutShort, writes.lost], [[], [], 0])
})

test.after(() => home.downAll())

test.run()
