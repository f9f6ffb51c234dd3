// A story of the worst that may befall a cluster, told on a real one under load: then only what the tool prints is
// followed, and what was acknowledged must be there.
import * as assert from 'uvu/assert'
import { endpointStatus } from '../../tasks/etcd/etcdctl.ts'
import { openGateway } from '../../tasks/etcd/gateway.ts'
import { type Load, startLoad } from '../../tasks/etcd/load.ts'
import { befall, deedIn, withCluster } from './by-hand.ts'
import { listHosts } from './hosts.ts'
import { folderOf, forReal, use, v36 } from './ladder.ts'
import { clientsView } from './load.ts'
import { carried, cured, type Tally, type Teller, versionFor } from './stories.ts'
import { type Home, killedAt } from './verbs.ts'
import { pause, until } from './wait.ts'
import type { Story } from './worst.ts'

/** A write that was answered, when, and at which revision. */
interface Write {
  key: string
  at: number
  revision: number
}

interface Watched {
  load: Load
  writes: Write[]
  /** What was there at the end. */
  there: Set<string>
}

/** A load whose acknowledged writes are known one by one. */
function watchedLoad(home: Home): Watched {
  const gateway = openGateway(clientsView(home), 4)
  const watched = { writes: [] as Write[], there: new Set<string>() }
  const around: typeof gateway = {
    ...gateway,
    put: async (endpoint, key, value) => {
      const revision = await gateway.put(endpoint, key, value)
      watched.writes.push({ key, revision, at: Date.now() })
      return revision
    },
    keysBelow: async (endpoint, prefix) => {
      watched.there = await gateway.keysBelow(endpoint, prefix)
      return watched.there
    },
  }
  const load = startLoad(clientsView(home), { writers: 3, readers: 1, pauseMs: 200, maxSeconds: 900 }, around)
  return Object.assign(watched, { load })
}

/** When what happened, and how far those got who live on. */
interface Moments {
  backedUp: number
  told: number
  reached: number
  cured: number
}

/** A write may be gone only where the honest end says so: with lost members, or made after the backup. */
function mayBeGone({ end }: Story, { at, revision }: Write, when: Moments): boolean {
  if (end === 'restored') return at > when.backedUp && at < when.cured
  return end === 'recovered' && at < when.told && revision > when.reached
}

/** One line of a story: a deed, or a verb, which may be ended or killed, or go by a wrong clock. */
async function befallen(teller: Teller, line: string): Promise<void> {
  const { home, told } = teller
  const deed = deedIn(line)
  if (deed !== undefined) {
    told.push(line)
    const hosts = line.slice(deed.length).split(' ').filter(Boolean)
    for (const host of hosts.length > 0 ? hosts : [undefined]) await befall(home, deed, host)
    return
  }
  const [first = '', how = ''] = line.split(', ')
  const words = wordsFor(home, first.replace('BACKUP', teller.backup ?? '').split(' '))
  const [verb = '', ...flags] = words
  use(home, folderOf(versionFor(home, words)))
  const [, act] = /^ended after act (\d+)$/.exec(how) ?? []
  const [, said] = /^killed at (.+)$/.exec(how) ?? []
  const [, offset] = /^by a clock (\S+)$/.exec(how) ?? []
  if (said) await killedAt(home, said, verb, ...flags, '--yes')
  else if (offset) await home.at(offset, verb, ...flags, '--yes')
  else return void (await carried(teller, words, { killAfter: act ? Number(act) : undefined, plan: false }))
  told.push(line)
}

/** Hosts that are listed are scaled by their list. */
function wordsFor(home: Home, words: string[]): string[] {
  if (!home.machines || words[0] !== 'scale') return words
  listHosts(home.path, home.machines, Number(words.at(-1)))
  return ['scale']
}

/** The newest revision that a living member has applied; infinite where none lives. */
async function reachedBy(home: Home): Promise<number> {
  const statuses = await withCluster(home, (cluster) => endpointStatus(cluster)).catch(() => [])
  const revisions = statuses.flatMap((one) => (one.ok ? [one.value.revision] : []))
  return revisions.length > 0 ? Math.max(...revisions) : Number.POSITIVE_INFINITY
}

/** What befalls the cluster, and the cure. */
async function happen(teller: Teller, story: Story, watched: Watched): Promise<Moments> {
  const { home } = teller
  const when: Moments = { backedUp: 0, told: 0, reached: Number.POSITIVE_INFINITY, cured: 0 }
  await until('some writes are acknowledged', () => watched.writes.length > 20)
  if (story.end === 'restored') {
    when.backedUp = Date.now()
    teller.backup = (JSON.parse((await home.verb('backup', '--json')).stdout) as { folder: string }).folder
  }
  for (const line of story.tell) {
    await befallen(teller, line)
    // Before a recovery raised it.
    if (deedIn(line)) when.reached = Math.min(when.reached, await reachedBy(home))
  }
  when.told = Date.now()
  await cured(teller)
  when.cured = Date.now()
  return when
}

/** Tells a story on a new cluster. */
async function tell(home: Home, story: Story, begin: () => Promise<void>): Promise<void> {
  const tally: Tally = { acts: 0, plans: 0, refusals: 0, elections: 0, differences: [], cutShort: [], cures: [] }
  const teller: Teller = { home, tally, told: [story.title] }
  await begin()
  const began = Date.now()
  const watched = watchedLoad(home)
  try {
    const when = await happen(teller, story, watched)
    await pause(1500) // it goes on writing
    const report = await watched.load.stop()
    const gone = watched.writes.filter(({ key }) => !watched.there.has(key))
    const lost = gone.filter((write) => !mayBeGone(story, write, when))
    const after = watched.writes.filter(({ at }) => at > when.cured).length
    console.log(
      `measured: ${story.title}: ${Math.round((Date.now() - began) / 1000)} s, ${story.end ?? 'healthy'} by ` +
        `${tally.cures.at(-1)}; ${report.acknowledged} writes, ${gone.length} gone, ${lost.length} of them lost`,
    )
    assert.equal([tally.differences, lost.length, after > 0], [[], 0, true])
    assert.not.match(tally.cures.join(), / → down(?!grade)/)
  } catch (error) {
    await watched.load.stop().catch(() => {})
    console.log(teller.told.join('\n  '))
    throw error
  }
}

/**
 * Each of the stories is a test of its own. `titles`: a pattern of those that are told. `begin`: a cluster of three
 * members of that version, as if none was before.
 */
export function tellAll(
  home: () => Home,
  stories: Story[],
  titles: string,
  begin: (version: string) => Promise<void>,
): void {
  for (const story of stories.filter(({ title }) => new RegExp(titles).test(title)))
    forReal(story.title, () => tell(home(), story, () => begin(story.on ?? v36)))
}
