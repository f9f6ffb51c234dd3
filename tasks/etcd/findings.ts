// What can be wrong with a cluster, and what helps: THE table, in the order in which things are to be cured. Whoever
// finds something names a code and plain facts; the sentence and its remedy are made here, and nowhere else.
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import { compareVersions, minorOf } from '../core/programs.ts'
import { replacing } from '../core/record.ts'
import { listed } from '../core/terminal.ts'
import { restoreHint } from './certificates.ts'
import type { RoleFinding } from './play-events.ts'

/** All facts that there are. `is`, `due`, `most`: what is there, what should be, and what more than half have. */
interface Facts
  extends Record<'host' | 'id' | 'name' | 'is' | 'due' | 'most' | 'at' | 'reason' | 'what' | 'remedy', string>,
    Record<'port' | 'days' | 'voters' | 'needed' | 'well', number> {
  hosts: string[]
}
type Why = 'host' | 'reason'
type Taken<Needed extends keyof Facts, Known extends keyof Facts> = Pick<Facts, Needed> & {
  [K in Known]?: Facts[K] | undefined
}

interface Row<F> {
  /** What is wrong: a clause without its full stop. */
  sentence: (facts: F) => string
  /** What a person does about it: commands that can be pasted. */
  remedy: (cluster: Cluster, facts: F) => string
  /** It may heal by itself (an election, a member that starts): worth waiting for. */
  heals?: boolean
  /** Of the verbs that ask first how the cluster is, those that cure it. */
  curedBy?: string[]
  /** The role finds it. */
  ofRole?: boolean
}
type More = Pick<Row<never>, 'heals' | 'curedBy' | 'ofRole'>

/** `row<'reason', 'host'>`: the reason is always told, the host where it is known. */
const row = <Needed extends keyof Facts = never, Known extends keyof Facts = never>(
  sentence: Row<Taken<Needed, Known>>['sentence'],
  remedy: Row<Taken<Needed, Known>>['remedy'],
  more: More = {},
): Row<Taken<Needed, Known>> => ({ sentence, remedy, ...more })

/** What the role refuses it says itself, and what can be done by hand; here is the verb of ours that does it. */
const ofRole = (remedy: Row<RoleFinding>['remedy'], more: More = {}): Row<RoleFinding> => ({
  sentence: ({ detail }) => detail,
  remedy,
  ofRole: true,
  ...more,
})

const passes = { heals: true }
const byReplace = { curedBy: ['replace'] }
const byJoining = { curedBy: ['replace', 'scale'] }
const byDefrag = { curedBy: ['defrag --disarm'] }

type Remedy = (cluster: Cluster) => string
type RemedyOfHost = (cluster: Cluster, facts: { host?: string | undefined }) => string

/** etcdctl, for this cluster, from a shell that knows nothing of it yet. */
const etcdctl = (cluster: Cluster, args: string): string => `eval "$(${command(cluster, 'env')})" && etcdctl ${args}`

const look: Remedy = (cluster) => `See what is wrong: ${command(cluster, 'verify')}`
const wait: Remedy = (cluster) => `Look again in a moment: ${command(cluster, 'verify')}`
/** A move to another etcd that is half done: the record still has the version before. */
const endMove: Remedy = (cluster) => {
  const { version = '', upgradingTo: to = '' } = cluster.etcd
  const isDown = compareVersions(to, version) < 0
  const verb = isDown ? 'downgrade' : 'upgrade'
  const onward = command(cluster, `${verb} --etcd-version ${to}`)
  const back = command(cluster, isDown ? 'downgrade --cancel' : `upgrade --etcd-version ${version}`)
  return `Finish the ${verb}: ${onward}; or take it back: ${back}`
}

/** While a move is half done, `up` refuses: whoever goes on with the move starts what is down. */
const orEndMove = (cluster: Cluster, otherwise: string): string =>
  cluster.etcd.upgradingTo ? endMove(cluster) : otherwise
/** A host whose replacement was cut short has no member to start. */
const start: RemedyOfHost = (cluster, { host = '' }) =>
  host in replacing(cluster.paths)
    ? `Finish its replacement: ${command(cluster, `replace ${host}`)}`
    : orEndMove(cluster, `Start ${host}: ${command(cluster, 'up')}`)
const startStopped: Remedy = (cluster) =>
  `${orEndMove(cluster, `Start members that are only stopped: ${command(cluster, 'up')}`)}.`
const toRole: RemedyOfHost = (cluster, { host }) =>
  `Reinstall ${host}'s certificates and configuration: ${command(cluster, 'etcd-role')}`
const issue: Remedy = (cluster) => `${command(cluster, 'pki')} && ${command(cluster, 'etcd-role')}`
const renew: Remedy = (cluster) => `Renew and distribute: ${issue(cluster)}`
const makeRoom: Remedy = (cluster) => `Make room and lower the alarm: ${command(cluster, 'defrag --disarm')}`
const again = 'Run the same command again.'
const fromWhatIsLeft: Remedy = (cluster) =>
  `If any host has data: ${command(cluster, 'recover --plan')}. ` +
  `If no host has data: ${command(cluster, 'restore FILE')}`
const join: RemedyOfHost = (cluster, { host }) => `Make it a member again: ${command(cluster, `replace ${host}`)}`
const finish: RemedyOfHost = (cluster, { host }) => `Finish adding ${host}: ${command(cluster, `replace ${host}`)}`
const rebuild: RemedyOfHost = (cluster, { host }) => `Rebuild ${host}: ${command(cluster, `replace ${host}`)}`

const refusesUs = ({ host, reason }: Pick<Facts, Why>): string =>
  `${host} refuses our client certificate, or ${host}'s certificate does not match its key: ${reason}`
/** `a is`, `a and b are`. */
const areOrIs = (hosts: string[]): string => `${listed(hosts)} ${hosts.length === 1 ? 'is' : 'are'}`
const showing = ({ host, port }: Pick<Facts, 'host' | 'port'>): string => `${host} serves a certificate on port ${port}`

export const rows = {
  // This machine.
  'no-authority': row<'reason', 'host' | 'remedy'>(
    (f) => (f.host ? `this machine cannot check ${f.host}: ${f.reason}` : f.reason),
    (cluster, f) => f.remedy ?? restoreHint(cluster),
  ),
  'no-certificates': row<'at'>(
    (f) => `the authority is missing in ${f.at}`,
    (cluster) => (cluster.formed ? restoreHint(cluster) : `Make it, and the cluster: ${command(cluster, 'up')}`),
  ),
  'no-client-certificate': row<'at'>(
    (f) => `the client certificate is missing in ${f.at}`,
    (cluster) => `Issue it: ${command(cluster, cluster.formed ? 'pki' : 'up')}`,
  ),
  'move-begun': row<'what' | 'due'>((f) => `the ${f.what} to etcd ${f.due} was begun and is not done`, endMove),

  // Members that are not what they should be, or let nobody in.
  'other-authority': row<'host' | 'port' | 'is'>(
    (f) => `${f.host}'s certificate on port ${f.port} was signed by another authority (${f.is})`,
    (cluster, { host }) =>
      `If ${cluster.paths.certs} belongs to this cluster, reinstall ${host}'s certificates: ${issue(cluster)}. ` +
      `If not, ${restoreHint(cluster).replace('P', 'p')}`,
  ),
  'certificate-expired': row<'host' | 'port' | 'is'>((f) => `${showing(f)} that expired on ${f.is}`, renew),
  'certificate-early': row<'host' | 'port' | 'is'>(
    (f) => `${showing(f)} that is not valid before ${f.is}: a clock is wrong, there or here`,
    (cluster) => `Set the wrong clock right. If the clocks are right, renew: ${issue(cluster)}`,
  ),
  'certificate-of-other-address': row<'host' | 'port' | 'due'>(
    (f) => `${showing(f)} that does not name its address ${f.due}`,
    renew,
  ),
  'plain-http': row<'host'>((f) => `${f.host} answers plain HTTP on its client port, without TLS`, toRole),
  'tls-refused': row<Why>(refusesUs, toRole),
  'hangs-up': row<Why>(refusesUs, toRole, passes),

  // No quorum.
  'quorum-lost': ofRole(fromWhatIsLeft),
  'others-silent': ofRole(
    (cluster) =>
      `Start etcd on the other hosts first: ${command(cluster, 'up')} does where hosts are off; where a host is up, ` +
      `run systemctl start etcd-member there. If they are lost for good, go on from what is left. ` +
      fromWhatIsLeft(cluster),
  ),
  'no-quorum': row<never, Why>(
    (f) => `${f.host ? `${f.host} commits nothing: ` : ''}there is no quorum${f.reason ? ` (${f.reason})` : ''}`,
    (cluster) => `${startStopped(cluster)} If most members are lost for good: ${command(cluster, 'recover --plan')}`,
    passes,
  ),

  // Members that do not work.
  'member-frozen': row<Why>(
    (f) => `${f.host}'s etcd is frozen or starting: ${f.reason}`,
    (_, { host }) =>
      `On ${host}, resume a suspended etcd (kill -CONT), or end a hung one (kill -9): the service restarts it`,
    passes,
  ),
  'member-down': row<Why | 'at'>((f) => `${f.host} does not answer at ${f.at}: ${f.reason}`, start, passes),
  'commits-nothing': row<Why>((f) => `${f.host} answers, but cannot commit a write: ${f.reason}`, wait, passes),
  'call-fails': row<Why | 'what'>((f) => `${f.host} gave no ${f.what}: ${f.reason}`, wait, passes),
  'no-leader': row<'host'>((f) => `${f.host} knows no leader`, wait, passes),
  'other-leader': row<'host' | 'is'>((f) => `${f.host} follows leader ${f.is}, unlike the others`, wait, passes),

  // Who the members are.
  'stranger-member': row<'id' | 'is'>(
    (f) => `member ${f.id} (${f.is}) is on no host of this cluster`,
    (cluster, { id }) => `If nobody needs it, remove it: ${etcdctl(cluster, `member remove ${id}`)}`,
  ),
  'members-differ': ofRole((cluster) => {
    const half = Object.keys(replacing(cluster.paths))
    if (half.length > 0) return `Finish the replacement: ${command(cluster, `replace ${half.join(' ')}`)}`
    const scale = command(cluster, cluster.own ? 'scale' : 'scale --masters N')
    return `If \`scale\` was interrupted, finish it: ${scale}. Else correct the inventory, or the membership.`
  }),
  'other-name': row<'host' | 'is'>((f) => `${f.host} is called ${f.is} in the cluster`, toRole),
  'other-client-url': row<'host' | 'is' | 'due'>((f) => `${f.host} has the client URL ${f.is}, not ${f.due}`, toRole),
  'other-peer-url': row<'host' | 'id' | 'is' | 'due'>(
    (f) => `${f.host} has the peer URL ${f.is}, not ${f.due}`,
    (cluster, { id, due }) => `Correct it: ${etcdctl(cluster, `member update ${id} --peer-urls=${due}`)}`,
  ),
  'downgrade-enabled': row<'due'>(
    (f) => `a downgrade to etcd ${minorOf(f.due)} is enabled: until it ends, no host can get a new member`,
    (cluster) => `If no downgrade is running, cancel it: ${command(cluster, 'downgrade --cancel')}`,
    { ...passes, curedBy: ['downgrade --cancel'] },
  ),

  // Data that is lost or not to be trusted; members that are not there yet, or no longer.
  corrupt: row<'id', 'host'>(
    ({ host, id }) => `${host ?? `member ${id}`} has damaged data: alarm CORRUPT is raised, and nobody reads or writes`,
    (cluster, { host }) =>
      host
        ? `Lower the alarm, then rebuild ${host} at once: ${etcdctl(cluster, 'alarm disarm')} && ` +
          command(cluster, `replace ${host}`)
        : `Find out which member differs: ${command(cluster, 'verify')}. Then lower the alarm: ` +
          etcdctl(cluster, 'alarm disarm'),
  ),
  'other-data': row<'host' | 'is', 'most'>(
    ({ host, is, most }) =>
      `${host}'s data differs: hash ${is}; ${most ? `most members have ${most}` : 'no majority agrees'}`,
    rebuild,
    byReplace,
  ),
  'writes-lost': row<'host' | 'what'>(
    (f) => `${f.host} does not return keys that were written through ${f.what}`,
    rebuild,
    byReplace,
  ),
  'other-cluster': row<'host' | 'is', 'most'>(
    ({ host, is, most }) => `${host} belongs to another cluster (id ${is}${most ? `, the others' is ${most}` : ''})`,
    join,
    byReplace,
  ),
  'data-lost': ofRole((cluster, f) => `Replace it: ${command(cluster, `replace ${f.host}`)}. ${f.remedy}`, byReplace),
  'member-missing': row<'host'>((f) => `${f.host} is no member of the cluster`, join, byJoining),
  'unstarted-member': row<'host' | 'id'>((f) => `${f.host} was added, but has never started (member ${f.id})`, start, {
    ...passes,
    ...byJoining,
  }),
  'learner-left': row<'host' | 'id'>(
    (f) => `${f.host} is still a learner, which does not vote (member ${f.id})`,
    finish,
    byJoining,
  ),

  // What stops a plan.
  'other-learner': row<never, 'host'>(
    ({ host = 'a member of none of our hosts' }) => `${host} is a learner, and etcd takes one at a time`,
    (cluster, { host }) => (host ? finish(cluster, { host }) : look(cluster)),
    byJoining,
  ),
  'voters-down': row<'hosts'>(
    (f) => `etcd adds no member while ${areOrIs(f.hosts)} down`,
    (cluster, { hosts }) =>
      `${startStopped(cluster)} Replace members that are lost: ${command(cluster, `replace ${hosts.join(' ')}`)}`,
    byJoining,
  ),
  'quorum-at-risk': row<'host' | 'voters' | 'needed' | 'well'>(
    ({ host, voters, needed, well }) =>
      `${needed} of ${voters} members must be healthy; without ${host} only ${well} ${well === 1 ? 'is' : 'are'}`,
    look,
  ),
  'no-heir': row<'host'>((f) => `${f.host} is the leader, and no other member can become leader`, look),
  'others-ill': row<'host' | 'hosts'>(
    (f) => `stopping ${f.host} would risk the quorum: ${areOrIs(f.hosts)} not healthy`,
    look,
  ),
  silent: row<'host'>((f) => `${f.host} does not answer`, start),
  'other-version': row<'host' | 'due', 'is'>(
    ({ host, is, due }) => `${host} runs ${is ? `etcd ${is}` : 'nothing'}, not etcd ${due}`,
    () => again,
  ),
  refused: row<'what' | 'reason'>((f) => `etcd will refuse the step "${f.what}", because ${f.reason}`, look),

  // Room and versions.
  'no-space': row<never, 'host'>(
    ({ host = 'a member' }) =>
      `${host} has reached its database quota: alarm NOSPACE is raised, and the cluster takes no writes`,
    makeRoom,
    byDefrag,
  ),
  'takes-no-writes': row<Why>((f) => `${f.host} accepts no writes: ${f.reason}`, makeRoom, byDefrag),
  'mixed-versions': row<'host' | 'is', 'most'>(
    ({ host, is, most }) => `${host} runs etcd ${is}${most ? `, the others ${most}` : ''}`,
    (cluster) =>
      cluster.etcd.upgradingTo ? endMove(cluster) : `Give all the same version: ${command(cluster, 'etcd-role')}`,
  ),
  'v2-data': ofRole(
    (cluster) =>
      `Return to etcd 3.5. Export the v2 keys that you need. Run ${command(cluster, 'backup')}, then restore that ` +
      `backup: ${command(cluster, 'restore FILE')}`,
  ),
  'no-snapshot': ofRole(() => 'Take the upgrade back, start all members, then upgrade again.'),
  ends: ofRole(() => `If it names a setting, fix that in cluster.yaml (etcd.environment). ${again}`),

  // What passes.
  'no-time': row<'host' | 'what'>(
    (f) => `the time ran out before ${f.host} could be asked for ${f.what}`,
    wait,
    passes,
  ),
  'lags-behind': row<'host'>((f) => `${f.host} has not caught up with the others`, wait, passes),
  compacting: row(() => 'a compaction is under way: the members cannot be compared', wait, passes),

  // What keeps nobody from working yet.
  'lets-in': row<Why | 'what'>((f) => `${f.host} accepts ${f.what}, but must refuse it: ${f.reason}`, toRole),
  'certificate-due': row<'what' | 'reason'>((f) => `certificate ${f.what}: ${f.reason}`, renew),
  'certificate-near-end': row<'host' | 'port' | 'days' | 'is'>(
    (f) => `${showing(f)} that expires in ${f.days} ${f.days === 1 ? 'day' : 'days'}, on ${f.is}`,
    renew,
  ),
  'other-certificate': row<'host' | 'port' | 'due'>(
    (f) => `${f.host}'s port ${f.port} does not serve the certificate in ${f.due} on this machine`,
    renew,
  ),

  // What a person should know, though nothing is wrong.
  'half-replaced': row<'hosts'>(
    (f) => `the replacement of ${listed(f.hosts)} was begun and is not done`,
    (cluster, { hosts }) => `Finish it: ${command(cluster, `replace ${hosts.join(' ')}`)}`,
    byReplace,
  ),
  'half-scaled': row<'hosts'>(
    (f) => `scaling to ${f.hosts.length} ${f.hosts.length === 1 ? 'member' : 'members'} was begun and is not done`,
    (cluster, { hosts }) => `Finish it: ${command(cluster, cluster.own ? 'scale' : `scale --masters ${hosts.length}`)}`,
  ),
  'authority-changing': row<'name'>(
    (f) => `the authority of cluster ${f.name} is being changed`,
    (cluster) =>
      `Finish it: ${command(cluster, 'rotate-ca')}; or take it back: ${command(cluster, 'rotate-ca --back')}`,
  ),
  'authority-leaving': row<'name'>(
    (f) => `the authority of cluster ${f.name} is being changed, and the old one is no longer trusted`,
    (cluster) => `Finish: ${command(cluster, 'rotate-ca')}`,
  ),
  'authority-near-end': row<'name' | 'days'>(
    (f) => `the authority of cluster ${f.name} expires in ${f.days} days, and all its certificates end then`,
    (cluster) => `Change it while the cluster runs: ${command(cluster, 'rotate-ca')}`,
  ),
}

export type Code = keyof typeof rows
type FactsOf<C extends Code> = Parameters<(typeof rows)[C]['sentence']>[0]

/** Something that is wrong: its code, the host that it concerns, and the facts that its row takes. */
export type Finding = { [C in Code]: { code: C; host?: string | undefined } & FactsOf<C> }[Code]

const ranking = Object.keys(rows)
const rowOf = ({ code }: Finding): Row<Finding> => rows[code] as unknown as Row<Finding>

/** Where a code stands in the table: what is to be cured first has the lowest. */
export const rankOf = (code: Code): number => ranking.indexOf(code)

/** The rank of the first that this verb cures; where it cures none, one that nothing ranks below. */
export function firstCuredBy(verb: string): number {
  const first = Object.values<More>(rows).findIndex(({ curedBy }) => curedBy?.includes(verb))
  return first < 0 ? ranking.length : first
}

export const inRanking = (findings: Finding[]): Finding[] =>
  findings.toSorted((one, other) => rankOf(one.code) - rankOf(other.code))

export const sentenceOf = (finding: Finding): string => rowOf(finding).sentence(finding)
export const remedyOf = (cluster: Cluster, finding: Finding): string => rowOf(finding).remedy(cluster, finding)
export const mayHeal = (finding: Finding): boolean => rowOf(finding).heals === true

/** What a verb of ours does about what the role says; undefined: the role's own words are all that can be said. */
export function remedyOfRole(cluster: Cluster, said: RoleFinding): string | undefined {
  const row = (rows as Record<string, Row<never>>)[said.code]
  return row?.ofRole ? row.remedy(cluster, said as never) : undefined
}

/** A sentence or two of what concerns no host by itself. */
export const inWords = (cluster: Cluster, finding: Finding): string =>
  `${capital(sentenceOf(finding))}. ${remedyOf(cluster, finding)}`

/** A refusal because of it. `told`: what is said before its sentence. */
export const refusal = (cluster: Cluster, finding: Finding, told = ''): OperationError =>
  new OperationError(`${told ? told + sentenceOf(finding) : capital(sentenceOf(finding))}.`, {
    code: finding.code,
    hint: remedyOf(cluster, finding),
  })

const capital = (text: string): string => text.replace(/^./, (letter) => letter.toUpperCase())
