// Which of many clusters is to begin now, which are left, and which verbs go over many clusters at all. Pure.

export type Stage = 'waits' | 'at work' | 'done' | 'failed'

/** A verb on its way over many clusters. */
export interface Round {
  /** How far each cluster is, in the order in which they are to begin. */
  stages: Record<string, Stage>
  /** The cluster that goes alone before all others; undefined: none does. */
  canary: string | undefined
  /** How many may be at work at once. */
  parallel: number
  /** Whether a failure keeps the others from beginning. */
  stops: boolean
}

export const atStage = ({ stages }: Pick<Round, 'stages'>, stage: Stage): string[] =>
  Object.keys(stages).filter((name) => stages[name] === stage)

/** The clusters that are to begin now; none: somebody is to be waited for, or nobody will begin any more. */
export function whoBegins(round: Round): string[] {
  const { stages, canary, parallel, stops } = round
  if (stops && atStage(round, 'failed').length > 0) return []
  const first = canary === undefined ? undefined : stages[canary]
  if (canary !== undefined && first === 'waits') return [canary]
  if (first === 'at work') return []
  return atStage(round, 'waits').slice(0, Math.max(0, parallel - atStage(round, 'at work').length))
}

/** The canary of those that are left: the one that is asked for, else the first. */
export const canaryOf = (left: string[], asked: string | undefined): string | undefined =>
  asked !== undefined && left.includes(asked) ? asked : left[0]

/** What is noted of a verb that went over some of its clusters: of each that is done the life it had then. */
export interface Noted {
  /** When the last of them was done, in ISO 8601. */
  at: string
  /** The clusters that it was to go over. */
  asked: string[]
  done: Record<string, string>
}

/** As long as it is remembered which clusters are done, in ms. */
export const rememberedMs = 24 * 60 * 60 * 1000

/** Whether what was noted still counts. One from the future was noted by a wrong clock. */
export function counts({ at }: Noted, now: number): boolean {
  const since = now - Date.parse(at)
  return since >= 0 && since < rememberedMs
}

/** The clusters that are done already, and are the ones they were then. */
export const doneBefore = (noted: Noted | undefined, lives: Record<string, string>): string[] =>
  Object.keys(lives).filter((name) => noted?.done[name] !== undefined && noted.done[name] === lives[name])

/**
 * What is to be noted once a cluster is done; undefined once all are, and nothing need be remembered. `asked`: whom
 * this run goes over. `lives`: of all clusters that there are; one that is gone is waited for by nobody.
 */
export function notedWith(
  before: Noted | undefined,
  name: string,
  { asked, lives }: { asked: string[]; lives: Record<string, string> },
  now: number,
): Noted | undefined {
  const all = [...new Set([...(before?.asked ?? []), ...asked])]
  const done = { ...before?.done, [name]: lives[name] ?? '' }
  const left = all.filter((one) => lives[one] !== undefined && done[one] !== lives[one])
  return left.length === 0 ? undefined : { at: new Date(now).toISOString(), asked: all, done }
}

/** The verbs that go over many clusters. */
const overMany = [
  'backup',
  'certs',
  'defrag',
  'doctor',
  'downgrade',
  'etcd-role',
  'pack',
  'pki',
  'restart',
  'rotate-certs',
  'up',
  'upgrade',
  'verify',
  'vms',
]

const ofMembers = 'It changes who the members of one cluster are'
/** The verbs that do not, and why. */
const overOne: Record<string, string> = {
  adopt: 'It takes over one etcd, and its answers hold for that one',
  auth: 'The clients of each cluster need users of their own before',
  connect: 'What it gives is for one cluster',
  down: 'It removes data, and one wrong word would remove all of it',
  drill: 'It breaks the cluster on purpose',
  env: 'A shell speaks to one cluster',
  fleet: 'It goes over all clusters already',
  load: 'It loads all clusters at once, and shows nothing of any of them',
  metrics: 'The metrics of each cluster have a file of their own',
  move: ofMembers,
  recover: 'It gives writes up, and somebody must decide that for each cluster',
  replace: ofMembers,
  restore: 'A file is a snapshot of one cluster',
  'rotate-ca': 'The clients of each cluster need its new ca.crt between two steps',
  scale: ofMembers,
  schedule: 'What is to be done by the clock, and when, is said for each cluster',
  smoke: 'It makes a cluster of its own',
  unpack: 'A file holds one cluster',
}

export const verbsOverMany = (): string[] => [...overMany]

/**
 * Why a verb does not go over many clusters with these words, as a clause; undefined: it does; '': there is no such
 * verb.
 */
export function whyOnlyOne(verb: string, words: string[] = []): string | undefined {
  if (verb === 'pack' && words.length > 0) return 'One file cannot hold all of them: leave FILE out'
  return overMany.includes(verb) ? undefined : (overOne[verb] ?? '')
}
