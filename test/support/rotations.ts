// rotate-ca and rotate-certs on a cluster in memory, as lists of steps: each world in which they may be killed.
import { adviceOn } from '../../tasks/etcd/authority-stages.ts'
import { type Finding, inRanking } from '../../tasks/etcd/findings.ts'
import {
  keyNeeded,
  type Marks,
  marksOf,
  mustStartAtOnce,
  openFrom,
  toProve,
  votersNeeded,
  whyNotBack,
} from '../../tasks/operations/authority-rules.ts'
import { silentHosts } from '../../tasks/operations/backup.ts'
import { obstacle } from '../../tasks/operations/guard.ts'
import {
  awoken,
  cannotIssue,
  carriedOut,
  lacksKey,
  newest,
  observe,
  renewed,
  settledWith,
  type World,
  withPapers,
} from './model.ts'
import { endOfRan, isAllInstalled, moveOf, pki, type Ran, refusalOfRole, role, withIssued } from './role-in-memory.ts'
import {
  admits,
  files,
  isLeafDue,
  issuer,
  keylessBy,
  lostKey,
  ofClient,
  oldOne,
  oneAuthority,
  other,
  stage,
  type Trust,
  trustNext,
} from './trust.ts'
import { unfitIn, unreachable, withoutRoom } from './verbs-in-memory.ts'

/** As status tells it while a change is under way. */
export function changeOf({ trust }: World): Finding | undefined {
  const at = trust && stage(trust)
  if (!at) return undefined
  return { code: adviceOn(at, oldOne(trust)), name: 'x' }
}

/** From a world in which all is of one authority. */
const withTrust = (world: World): Trust =>
  world.trust ?? {
    ...oneAuthority(world.recorded, world.keyless),
    ...(world.here === 'authority expired' && { expired: 'a' }),
  }

/** Where all is of one authority again, nothing is kept of it. */
function settledTrust(world: World): World {
  const { trust, recorded } = world
  if (!trust || stage(trust) || trust.trusted.length > 1 || !isAllInstalled(world)) return world
  if ([...recorded, ofClient].some((host) => isLeafDue(trust, host))) return world
  return { ...world, trust: undefined, keyless: keylessBy(trust) }
}

type Write = keyof typeof files
interface ChangeStep extends Marks {
  write: Write
  /** Every leaf is issued. */
  issues?: true
}

const forward: ChangeStep[] = [
  { ...marksOf.trust, write: 'trust' },
  { ...marksOf.issue, write: 'issue', issues: true },
  { ...marksOf.leave, write: 'leave' },
]
const back: ChangeStep[] = [
  { ...marksOf.issueBack, write: 'issueBack', issues: true },
  { ...marksOf.leaveBack, write: 'leaveBack' },
]

const then = (world: World, trust: Trust): World => settledWith({ ...world, trust }, (host) => host)

/** Whether the members show what the step is to bring about. */
function isProven(world: World, { makes, write }: ChangeStep): boolean {
  const { trust, recorded, hosts } = world
  if (!trust) return false
  const runs = (host: string): boolean => hosts[host]?.running === true && !hosts[host].frozen
  if (write === 'trust') return recorded.every((host) => runs(host) && admits(trust, host, other(trust).name))
  if (makes === 'leaving' || makes === 'made') return true
  return (
    ![...recorded, ofClient].some((host) => isLeafDue(trust, host)) &&
    recorded.every((host) => runs(host) && trust.hosts[host]?.leaf === trust.leaves[host] && !hosts[host]?.certificates)
  )
}

/** A list that goes on from where it is, until something refuses. */
class Going {
  ran: Ran = { worlds: [] }
  now: World
  constructor(world: World) {
    this.now = world
  }
  to(...worlds: World[]): void {
    this.ran.worlds.push(...worlds)
    this.now = worlds.at(-1) ?? this.now
  }
  add(ran: Ran): boolean {
    this.to(...ran.worlds)
    this.ran.refused = ran.refused
    return ran.refused === undefined
  }
  refuse(refused: Finding): Ran {
    this.ran.refused = refused
    return this.ran
  }
}

/** Guard, then what is left of the way. */
export function rotateCa(world: World, goBack = false): Ran {
  if (world.here === 'no certificates') return pki(world)
  const going = new Going({ ...world, trust: withTrust(world) })
  if (!goBack && isCutOff(going.now)) {
    going.ran.atOnce = true
    if (!going.add(leaveAtOnce(going.now))) return going.ran
  }
  const refused = whyNot(going.now, goBack)
  if (refused) return going.refuse(refused)
  for (const step of openOf(going.now, goBack ? back : forward)) {
    const wrong = doStep(going, step)
    if (wrong) return going.refuse(wrong)
  }
  const ill = verified(going.ran, world).refused
  if (ill) return going.refuse(ill)
  const end = then(going.now, files[goBack ? 'forgetNext' : 'forgetOld'](going.now.trust as Trust))
  going.to(settledTrust(end))
  return going.ran
}

function openOf(world: World, steps: ChangeStep[]): ChangeStep[] {
  const at = world.trust && stage(world.trust)
  const last = toProve(steps, at)
  return openFrom(steps, at, last !== undefined && isProven(world, last))
}

function doStep(going: Going, step: ChangeStep): Finding | undefined {
  going.to(then(going.now, files[step.write](going.now.trust as Trust)))
  if (step.issues && !going.add(pki(going.now))) return going.ran.refused
  if (!going.add(role(going.now))) return going.ran.refused
  return isProven(going.now, step) ? undefined : { code: 'no-trace', what: step.write }
}

/** A run that was killed may have left a member down. */
function whyNot(world: World, goBack: boolean): Finding | undefined {
  const { trust } = world
  const at = trust && stage(trust)
  const begun =
    moveOf(world) ?? (goBack ? whyNotBack('x', at, trust !== undefined && oldOne(trust).hasExpired) : undefined)
  if (begun) return begun
  const needed = keyNeeded(at, goBack)
  const { name = '', hasKey = false } = trust ? other(trust) : {}
  if (needed === 'other' && trust && !hasKey) return lostKey(trust, name)
  const keyless = needed === 'issuer' ? cannotIssue(world) : undefined
  if (keyless) return keyless
  const seen = observe(world)
  return obstacle(seen, { allowDown: at ? silentHosts(seen) : [] })
}

function isCutOff(world: World): boolean {
  const { trust, scaling, here, recorded } = world
  if (!trust) return false
  const isLeft = oldOne(trust).hasExpired || !other(trust).hasKey
  const standing = {
    expired: here === 'authority expired',
    begun: stage(trust) === 'issuing' && isLeft,
    lacksKey: cannotIssue(world) !== undefined || (lacksKey(world) && scaling !== undefined),
  }
  const needed = votersNeeded(standing, recorded.length)
  if (needed === 0) return false
  const { hosts, findings } = observe(world)
  const voting = recorded.filter((host) => hosts[host]?.answer?.commits).length
  return mustStartAtOnce(standing, needed, voting, findings.filter(({ code }) => code === 'tls-refused').length)
}

/** All are started with what a new authority has issued. */
function leaveAtOnce(world: World): Ran {
  const going = new Going(world)
  going.to(awoken({ ...world, version: newest(world), upgradingTo: undefined }))
  if (!going.add(stopAndIssue(going.now))) return going.ran
  going.to(allAtOnce(going.now))
  const refused = refusalOfRole(going.now)
  if (refused) return going.refuse(refused)
  const ended = carriedOut(going.now, { do: 'end downgrade' })
  if (typeof ended !== 'string') going.to({ ...ended, done: going.now.done })
  return going.ran
}

/** All are stopped before a new authority issues every certificate. */
export function stopAndIssue(awake: World): Ran {
  const found =
    unreachable(awake) ?? withoutRoom(awake, awake.recorded) ?? unfitIn({ ...awake, hosts: renewedIn(awake) })
  if (found) return { worlds: [], refused: found }
  const stopped = settledWith(awake, (host) => ({ ...host, running: false, frozen: false }))
  return { worlds: [stopped, ...leaveAuthority(stopped)] }
}

/** A new one issues every certificate, where the present one cannot. */
export function leaveAuthority(world: World): World[] {
  const trust = withTrust(world)
  const isLeft = world.here === 'authority expired' || cannotIssue(world) || (lacksKey(world) && world.scaling)
  const left: World = isLeft
    ? { ...then(world, { ...trustNext(trust), old: issuer(trust) }), here: world.here && 'no client' }
    : world
  const issued = withIssued(left, [...world.recorded, ofClient])
  return [left, { ...settledWith(issued, (host) => ({ ...host, ...renewed(host) })), here: undefined }]
}

const renewedIn = (world: World): World['hosts'] =>
  Object.fromEntries(Object.entries(world.hosts).map(([name, host]) => [name, { ...host, ...renewed(host) }]))

/** The role on hosts of which none runs. */
function allAtOnce(world: World): World {
  const put = world.recorded.reduce((now, host) => withPapers(now, host, true), world)
  const ready = settledWith(put, (host) => ({ ...host, certificates: undefined, holds: world.version }))
  return awoken(ready)
}

/** The same, with verify at its end. */
export function verified(ran: Ran, world: World): Ran {
  const [found] = inRanking(observe(endOfRan(ran, world)).findings)
  return { ...ran, refused: ran.refused ?? found }
}

/** Every leaf again, by the authority that issues, while members run on. */
export function rotateCerts(world: World): Ran {
  const { trust, recorded } = world
  const refused = moveOf(world) ?? cannotIssue(world) ?? obstacle(observe(world), {})
  if (refused) return { worlds: [], refused }
  const hosts = recorded.filter((host) => trust && trust.hosts[host]?.runs !== trust.trusted)
  if (hosts.length > 0) return { worlds: [], refused: { code: 'restart-due', hosts } }
  const issues = pki(world)
  const ran = issues.refused ? issues : role(endOfRan(issues, world))
  return verified({ ...ran, worlds: [...issues.worlds, ...ran.worlds] }, world)
}
