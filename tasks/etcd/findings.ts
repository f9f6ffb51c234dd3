// What can be wrong with a cluster, and what helps: THE table, in the order in which things are to be cured. Whoever
// finds something names a code and plain facts; the sentence and its remedy are made here, and nowhere else.
import { existsSync } from 'node:fs'
import { beingReplaced, type Cluster, finishBegun, halfDone, movingHosts, sslFolderOf } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { compareVersions, minorOf } from '../core/programs.ts'
import { scaling, withoutRecord } from '../core/record.ts'
import { type Action, byHand, etcdctl, inText, ours, type Remedy, remedy, waysIn } from '../core/remedy.ts'
import { areOrIs, capital, listed } from '../core/terminal.ts'
import { changeFiles } from './authority-stages.ts'
import type { RoleFinding } from './play-events.ts'

/** All facts that there are. `is`, `due`, `most`: what is there, what should be, and what more than half have. */
interface Facts
  extends Record<
      'host' | 'id' | 'name' | 'is' | 'due' | 'most' | 'from' | 'to' | 'at' | 'now' | 'reason' | 'what',
      string
    >,
    Record<'port' | 'days' | 'voters' | 'needed' | 'well', number> {
  hosts: string[]
  remedy: Remedy
  free: boolean
  lost: KeyCode
}
type Why = 'host' | 'reason'
/** Whose key is lost. */
export type KeyCode = 'no-authority-key' | 'no-next-authority-key'
type Taken<Needed extends keyof Facts, Known extends keyof Facts> = Pick<Facts, Needed> & {
  [K in Known]?: Facts[K] | undefined
}

/** What is half done. */
export interface Half {
  /** The hosts whose replacement was. */
  replaced: string[]
  /** The hosts that a scale was to end with; undefined where none was. */
  scaledTo?: string[] | undefined
  /** The hosts that are moving to another address. */
  moving?: string[] | undefined
  /** The authority is being changed, and the next one issues. */
  changing?: boolean | undefined
}

interface Row<F> {
  /** What is wrong: a clause without its full stop. */
  sentence: (facts: F) => string
  /** What helps. */
  remedy: (cluster: Cluster, facts: F, half: Half) => Remedy
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
  helps: Row<Taken<Needed, Known>>['remedy'],
  more: More = {},
): Row<Taken<Needed, Known>> => ({ sentence, remedy: helps, ...more })

/** What the role refuses it says itself, and what can be done by hand; here is the verb of ours that does it. */
const ofRole = (helps: Row<RoleFinding>['remedy'], more: More = {}): Row<RoleFinding> => ({
  sentence: ({ detail }) => detail,
  remedy: helps,
  ofRole: true,
  ...more,
})

const passes = { heals: true }
const byReplace = { curedBy: ['replace'] }
const byJoining = { curedBy: ['replace', 'scale'] }
const byDefrag = { curedBy: ['defrag --disarm'] }

type Helps = (cluster: Cluster) => Remedy
type HelpsHost = (cluster: Cluster, facts: { host?: string | undefined }, half: Half) => Remedy

const look: Helps = () => remedy`See what is wrong: ${ours('verify')}`
const wait: Helps = () => remedy`Look again in a moment: ${ours('verify')}`
/** A move to another etcd that is half done: the record still has the version before. */
const endMove: Helps = ({ etcd: { version = '', upgradingTo: to = '' } }) => {
  const isDown = compareVersions(to, version) < 0
  const verb = isDown ? 'downgrade' : 'upgrade'
  const back = isDown ? ours('downgrade', '--cancel') : ours('upgrade', '--etcd-version', version)
  return remedy`Finish the ${verb}: ${ours(verb, '--etcd-version', to)}; or take it back: ${back}`
}

/** While a move is half done, `up` refuses: whoever goes on with the move starts what is down. */
const orEndMove = (cluster: Cluster, otherwise: Remedy): Remedy =>
  cluster.etcd.upgradingTo ? endMove(cluster) : otherwise
const scaleTo = ({ own }: Cluster, hosts: string[]): Action =>
  ours('scale', ...(own ? [] : ['--masters', `${hosts.length}`]))
/** While a scale is half done, it finishes hosts that come, and that go. */
const orFinishScale = (cluster: Cluster, { scaledTo }: Half, otherwise: Remedy): Remedy =>
  scaledTo ? remedy`Finish the scale: ${scaleTo(cluster, scaledTo)}` : otherwise
/** A host whose replacement was cut short, or that is about to go, has no member to start. */
function startMember(cluster: Cluster, host: string, half: Half, otherwise: Remedy): Remedy {
  if (half.replaced.includes(host)) return remedy`Finish its replacement: ${ours('replace', ...half.replaced)}`
  return half.scaledTo?.includes(host) ? otherwise : orFinishScale(cluster, half, otherwise)
}
const start: HelpsHost = (cluster, { host = '' }, half) =>
  startMember(cluster, host, half, orEndMove(cluster, remedy`Start ${host}: ${ours('up')}`))
const startStopped: Helps = (cluster) =>
  remedy`${orEndMove(cluster, remedy`Start members that are only stopped: ${ours('up')}`)}.`
/** Who takes the place of another tool's members starts those of its own. */
const startWhileJoining: Helps = (cluster) => remedy`Start hosts of ours that are down: ${goOnAdopting(cluster)}. \
${cluster.begun?.taken ? '' : remedy`If old members are down, ${byHand('start them by the means that they had')}. `}\
If most members are lost for good, the adoption cannot be finished. ${asAnother}`
const goOnAdopting = ({ begun }: Cluster): Action => (begun?.taken ? ours('adopt', '--finish') : ours('adopt'))
const asAnother = byHand(
  'Restore a backup, or the database of a member that is left (member/snap/db, with --skip-hash-check), as a ' +
    'cluster of another name',
)
const restoreOne: Helps = ({ begun }) =>
  begun?.joining ? [asAnother] : remedy`restore a backup: ${ours('restore', 'FILE')}`
/** Another tool runs it. */
const isOld = ({ hosts }: Cluster, name?: string): boolean =>
  hosts.some((host) => host.name === name && host.foreign !== undefined)
const startOld = (cluster: Cluster, host: string): Remedy =>
  remedy`${byHand(`Start ${host} by the means that it was set up with`)}. \
If it is lost for good, go on without it: ${goOnAdopting(cluster)}`
/** An old member that is damaged gets no new data: hosts of ours are to take its place. */
function rebuildAtOnce(cluster: Cluster, damaged: string[], id: string): Remedy {
  if (isOld(cluster, damaged[0]))
    return remedy`Lower the alarm, then remove that member: ${disarm} && ${removeMember(id)}. \
If others that are down keep etcd from it, go on without those: ${disarm} && ${goOnAdopting(cluster)}`
  const hosts = damaged.filter((name) => !isOld(cluster, name))
  return remedy`Lower the alarm, then rebuild ${listed(hosts)} at once: ${disarm} && ${ours('replace', ...hosts)}`
}
const startOrReplace = (cluster: Cluster, hosts: string[]): Remedy =>
  remedy`${startStopped(cluster)} Replace members that are lost: ${ours('replace', ...hosts)}`
/** For data that members still have. While a recover is half done, `up` refuses. */
const startThem: Helps = (cluster) =>
  cluster.begun
    ? remedy`See why they do not run: ${ours('verify')}; then run the same command again`
    : orEndMove(cluster, remedy`Start them: ${ours('up')}`)
const toRole: HelpsHost = (_, { host = '' }) =>
  remedy`Reinstall ${host}'s certificates and configuration: ${ours('etcd-role')}`
const issue = remedy`${ours('pki')} && ${ours('etcd-role')}`
const renew: Helps = () => remedy`Renew the certificates and install them: ${issue}`
const makeSpace = (host: string): Action =>
  byHand(`Make room on ${host}. Old data that was moved aside lies beside the data, as member.TIME`)
const makeRoom: Helps = () => remedy`Make room and lower the alarm: ${ours('defrag', '--disarm')}`
const setCompaction = byHand(
  'set etcd.environment: { ETCD_AUTO_COMPACTION_MODE: periodic, ETCD_AUTO_COMPACTION_RETENTION: 1h } in cluster.yaml',
)
const disarm = etcdctl('alarm', 'disarm')
const removeMember = (id: string): Action => etcdctl('member', 'remove', id)
const again = byHand('Run the same command again.')
const fromWhatIsLeft = remedy`If any host has data: ${ours('recover', '--plan')}. \
If no host has data: ${ours('restore', 'FILE')}`
const startOthers: Helps = ({ provider }) =>
  provider === 'local'
    ? remedy`Start etcd on the other hosts first: ${ours('up')}`
    : remedy`Start etcd on the other hosts first. Where hosts are off: ${ours('up')}. \
Where a host is up, ${byHand('run systemctl start etcd-member there')}`
const joinAll = (hosts: string[]): Remedy =>
  remedy`Make ${listed(hosts)} ${hosts.length === 1 ? 'a member' : 'members'} again: ${ours('replace', ...hosts)}`
const finish: HelpsHost = (cluster, { host = '' }, half) =>
  orFinishScale(cluster, half, remedy`Finish adding ${host}: ${ours('replace', host)}`)
const whoseIsRight: Helps = (cluster) =>
  remedy`If you know which member has the right data, replace all others in one go: ${ours('replace', 'HOST')}. \
If not, ${restoreOne(cluster)}`
const rebuild: HelpsHost = (_, { host = '' }) => remedy`Rebuild ${host}: ${ours('replace', host)}`

const removeStranger = (id: string): Remedy => remedy`If nobody needs it, remove it: ${removeMember(id)}`

/** The authority is not as it was, and cannot be made again. Its hosts have all but its key. */
function restoreCertificates(cluster: Cluster, put = 'Put'): Remedy {
  const { certs } = cluster.paths
  const back = byHand(`${put} ${certs} back from your copy`)
  if (!cluster.formed) return remedy`${back}. ${startOver(certs)}`
  return remedy`${back}. If there is no copy: ${takeFromHosts(cluster)}`
}
/** What is half done makes the new authority itself. */
const takeFromHosts: Helps = (cluster) => remedy`take from the hosts what they have: ${ours('pki', '--from-hosts')}. \
${cluster.begun ? finishBegun(cluster) : remedy`Then make a new authority: ${ours('rotate-ca')}`}`
const startOver = (certs: string): Remedy =>
  remedy`To start over with a new authority and without the data: ${ours('down')}. \
Then ${byHand(`move ${certs} aside`)}.`
const reinstall = (host: string): Remedy => remedy`Reinstall ${host}'s certificates: ${issue}`
/** The role restarts no member beside others that are lost. */
const asLost = (hosts: string[], helps: Remedy): Remedy =>
  remedy` If other members keep the role from it, replace ${listed(hosts)}: ${helps}.`
const replaceThem = (hosts: string[]): Remedy => [ours('replace', ...hosts)]
const moveAside = (cluster: Cluster, host: string): Action =>
  byHand(`on ${host}, move its certificates (${sslFolderOf(cluster, host)}) aside`)
const putBack = remedy`${byHand('Put the key back from your copy')}. If there is no copy:`
/** Its certificate is enough to leave an authority whose key is lost; a half-done recover does so itself. */
function withoutKey(cluster: Cluster, { lost, what }: { lost: KeyCode; what?: string | undefined }): Remedy {
  if (cluster.begun?.verb === 'adopt') return withoutAdopting(cluster)
  if (what && lost === 'no-authority-key') return takeFromHosts(cluster)
  if (cluster.begun) return remedy`go on, and a new authority is made. ${finishBegun(cluster)}`
  const make = remedy`make a new authority: ${ours('rotate-ca')}`
  if (lost === 'no-authority-key') return make
  return remedy`take back the change of the authority: ${ours('rotate-ca', '--back')}. If that is refused, ${make}`
}
/** An adoption makes no other authority on its way, but can be taken back as long as the old certificates are here. */
function withoutAdopting({ paths, begun, hosts }: Cluster): Remedy {
  const isBack = existsSync(paths.adopting) && hosts.filter(({ foreign }) => foreign).length >= (begun?.joining ?? 0)
  if (!isBack) return [byHand('the adoption cannot be finished, and the members go on with what they have')]
  const then = byHand(`move ${paths.certs} aside, and adopt it again`)
  return remedy`take the adoption back: ${ours('adopt', '--back')}, then ${then}`
}
/** A passphrase that is not known here may be known to somebody: who says that nobody knows it moves the key aside. */
const withoutPassphrase = (cluster: Cluster, facts: { lost: KeyCode; what?: string | undefined }): Remedy =>
  cluster.begun && cluster.begun.verb !== 'adopt'
    ? remedy`, ${byHand('move the key aside, and set HA_ETCD_CA_PASSPHRASE to a new passphrase')}. \
Then ${withoutKey(cluster, facts)}`
    : remedy`: ${withoutKey(cluster, facts)}`

/** `a still has its`, `a and b still have their`. */
const haveTheir = (hosts: string[]): string => `${listed(hosts)} still ${hosts.length === 1 ? 'has its' : 'have their'}`
const showing = ({ host, port }: Pick<Facts, 'host' | 'port'>): string => `${host} serves a certificate on port ${port}`

export const rows = {
  // This machine.
  'no-record': row<'name' | 'at' | 'what'>(withoutRecord.sentence, withoutRecord.remedy),
  'no-authority': row<'reason', 'host' | 'remedy'>(
    (f) => (f.host ? `this machine cannot check ${f.host}: ${f.reason}` : f.reason),
    (cluster, f) => f.remedy ?? restoreCertificates(cluster),
  ),
  'no-certificates': row<'at'>(
    (f) => `the authority is missing in ${f.at}`,
    (cluster) => (cluster.formed ? restoreCertificates(cluster) : remedy`Make it, and the cluster: ${ours('up')}`),
  ),
  'authority-expired': row<'name' | 'is' | 'now'>(
    (f) => `the authority of cluster ${f.name} expired on ${f.is}. This machine's clock says ${f.now}`,
    ({ formed, paths }) =>
      formed
        ? remedy`Replace it: ${ours('rotate-ca')}. All members start again at once, with their data`
        : remedy`${byHand(`Move ${paths.certs} aside`)}; then bring the cluster up: ${ours('up')}`,
  ),
  'authority-early': row<'at' | 'is' | 'now'>(
    (f) => `${f.at} is not valid before ${f.is}. This machine's clock says ${f.now}`,
    () => [byHand('Set the clock right.')],
  ),
  'no-authority-key': row<'at' | 'reason', 'what'>(
    (f) => `the authority's key ${f.at} ${f.reason}`,
    (cluster, { what }) => remedy`${putBack} ${withoutKey(cluster, { lost: 'no-authority-key', what })}`,
  ),
  'no-next-authority-key': row<'at' | 'reason', 'what'>(
    (f) => `the next authority's key ${f.at} ${f.reason}`,
    (cluster) => remedy`${putBack} ${withoutKey(cluster, { lost: 'no-next-authority-key' })}`,
  ),
  'authority-key-closed': row<'reason' | 'lost', 'what'>(
    (f) => f.reason,
    (cluster, facts) => remedy`${byHand('Set HA_ETCD_CA_PASSPHRASE to the passphrase that the key was made with')}, \
and run the same command again. If nobody knows it${withoutPassphrase(cluster, facts)}`,
  ),
  'no-client-certificate': row<'at' | 'reason'>(
    (f) => `the client certificate etcd-client.crt in ${f.at} is of no use: ${f.reason}`,
    ({ formed }) => remedy`Issue it: ${ours(formed ? 'pki' : 'up')}`,
  ),
  'move-begun': row<'what' | 'due'>((f) => `the ${f.what} to etcd ${f.due} is half done`, endMove),
  'not-adoptable': row<'reason'>(
    (f) => `this etcd cannot be adopted as it is, and nothing was changed: ${f.reason}`,
    () => remedy`${byHand('Put that right by the means that this etcd was set up with')}. ${again}`,
  ),
  'settings-missing': row(
    () => 'the configuration lacks what the members have, and nothing was changed',
    () => remedy`${byHand('Add these lines to the configuration, such as cluster.yaml')}. ${again}`,
  ),
  'half-restored': row<'what' | 'name'>(halfDone, finishBegun),

  // Members that are not what they should be, or let nobody in.
  'other-authority': row<'host' | 'port' | 'is', 'hosts'>(
    (f) => `${f.host}'s certificate on port ${f.port} was signed by another authority (${f.is})`,
    (cluster, { host, hosts }) =>
      remedy`If ${cluster.paths.certs} belongs to this cluster: ${orEndMove(cluster, reinstall(host))}.\
${hosts ? asLost(hosts, remedy`${moveAside(cluster, host)}, then ${replaceThem(hosts)}`) : ''} \
If not, ${restoreCertificates(cluster, 'put')}`,
  ),
  'certificate-expired': row<'host' | 'port' | 'is'>((f) => `${showing(f)} that expired on ${f.is}`, renew),
  'certificate-early': row<'host' | 'port' | 'is'>(
    (f) => `${showing(f)} that is not valid before ${f.is}: the clock of ${f.host} or of this machine is wrong`,
    () => remedy`${byHand('Set the wrong clock right')}. If both clocks are right, renew: ${issue}`,
  ),
  'certificate-of-other-address': row<'host' | 'port' | 'due'>(
    (f) => `${showing(f)} that lacks its address ${f.due}`,
    renew,
  ),
  'plain-http': row<'host'>((f) => `${f.host} answers plain HTTP on its client port, without TLS`, toRole),
  'tls-refused': row<Why>(
    (f) => `${f.host} refuses our client certificate: ${f.reason}`,
    (cluster, f, half) => remedy`If the clock of ${f.host} is wrong, ${byHand('set it right')}. \
If not: ${half.changing ? remedy`finish the change of the authority: ${ours('rotate-ca')}` : toRole(cluster, f, half)}`,
  ),
  'certificate-unusable': row<Why, 'hosts'>(
    (f) => `${f.host}'s etcd has no certificate that it can show, or one that does not match its key: ${f.reason}`,
    (cluster, { host, hosts }) =>
      remedy`${orEndMove(cluster, reinstall(host))}.${hosts ? asLost(hosts, replaceThem(hosts)) : ''}`,
  ),
  'hangs-up': row<Why>((f) => `${f.host} takes our connection, and does not answer: ${f.reason}`, toRole, passes),
  'auth-enabled': row<'name', 'host'>(
    (f) => `etcd's authentication is on, and ${f.name}, the user of our client certificate, lacks the role root`,
    (
      _,
      { name },
    ) => remedy`Give ${name} that role: ${etcdctl('--user', 'root', 'user', 'add', name, '--no-password')} && \
etcdctl --user root user grant-role ${name} root. Or turn it off: ${etcdctl('--user', 'root', 'auth', 'disable')}`,
  ),
  'member-frozen': row<Why>(
    (f) => `${f.host}'s etcd is frozen or starting: ${f.reason}`,
    (_, { host }) => [
      byHand(
        `On ${host}, resume etcd if it is suspended (kill -CONT PID). ` +
          'If it hangs, end it (kill -9 PID): the service starts it again.',
      ),
    ],
    passes,
  ),
  // A member whose disk is full ends, and does not come up again.
  'disk-full': row<'host' | 'is'>(
    (f) => `${f.host}'s disk is full: ${f.is} left for etcd's data`,
    (_, { host }) => remedy`${makeSpace(host)}.`,
  ),
  'disk-too-small': row<'host' | 'is' | 'due'>(
    (f) => `${f.host}'s disk is too small: ${f.is} left for etcd's data, and ${f.due} are needed`,
    (_, { host }) => remedy`${makeSpace(host)}. ${again}`,
  ),

  // No quorum.
  'quorum-lost': ofRole(() => fromWhatIsLeft),
  'others-silent': ofRole(
    (cluster) => remedy`${startOthers(cluster)}. If they are lost for good, go on from what is left. ${fromWhatIsLeft}`,
  ),
  'no-quorum': row<never, Why>(
    (f) => `${f.host ? `${f.host} commits nothing: ` : ''}there is no quorum${f.reason ? ` (${f.reason})` : ''}`,
    (cluster) =>
      cluster.begun?.joining
        ? startWhileJoining(cluster)
        : remedy`${startStopped(cluster)} If most members are lost for good: ${ours('recover', '--plan')}`,
    passes,
  ),

  // Members that do not work. A stranger among the members comes first: as long as it is there none is started.
  'stranger-member': row<'id' | 'is'>(
    (f) => `member ${f.id} (${f.is}) is on no host of this cluster`,
    (_, { id }) => removeStranger(id),
  ),
  'member-down': row<Why | 'at', 'hosts'>(
    (f) => `${f.host} does not answer at ${f.at}: ${f.reason}`,
    (cluster, f, half) =>
      isOld(cluster, f.host)
        ? startOld(cluster, f.host)
        : f.hosts
          ? startMember(cluster, f.host, half, startOrReplace(cluster, f.hosts))
          : start(cluster, f, half),
    passes,
  ),
  'commits-nothing': row<Why>((f) => `${f.host} answers, but cannot commit a write: ${f.reason}`, wait, passes),
  'call-fails': row<Why | 'what'>((f) => `${f.host} gave no ${f.what}: ${f.reason}`, wait, passes),
  'no-leader': row<'host'>((f) => `${f.host} knows no leader`, wait, passes),
  'other-leader': row<'host' | 'is'>((f) => `${f.host} follows leader ${f.is}, unlike the others`, wait, passes),

  // Who the members are.
  'members-differ': ofRole((cluster, _, half) => {
    if (half.replaced.length > 0) return remedy`Finish the replacement: ${ours('replace', ...half.replaced)}`
    if (half.moving?.length) return remedy`Finish the move: ${ours('move')}`
    if (half.scaledTo) return remedy`Finish the scale: ${scaleTo(cluster, half.scaledTo)}`
    const scale = ours('scale', ...(cluster.own ? [] : ['--masters', 'N']))
    return remedy`If \`scale\` was interrupted, finish it: ${scale}. \
If not, ${byHand('correct the inventory, or the membership')}.`
  }),
  'other-name': row<'host' | 'is'>((f) => `${f.host} is called ${f.is} in the cluster`, toRole),
  'other-client-url': row<'host' | 'is' | 'due'>((f) => `${f.host} has the client URL ${f.is}, not ${f.due}`, toRole),
  'other-peer-url': row<'host' | 'id' | 'is' | 'due'>(
    (f) => `${f.host} has the peer URL ${f.is}, not ${f.due}`,
    (_, { id, due }) => remedy`Correct it: ${etcdctl('member', 'update', id, `--peer-urls=${due}`)}`,
  ),
  'downgrade-enabled': row<'due'>(
    (f) => `a downgrade to etcd ${minorOf(f.due)} is enabled: until it ends, no host can get a new member`,
    (cluster) => orEndMove(cluster, remedy`If no downgrade is running, cancel it: ${ours('downgrade', '--cancel')}`),
    { ...passes, curedBy: ['downgrade --cancel'] },
  ),

  // Data that is lost or not to be trusted; members that are not there yet, or no longer.
  corrupt: row<'id', 'host' | 'hosts' | 'most'>(
    ({ host, id, most }) => {
      const whose = most ? `member ${id}, which is on no host of this cluster,` : 'a member'
      const which = host || most ? '' : ', and etcd does not say which'
      const raised = 'alarm CORRUPT is raised, and clients can neither read nor write'
      return `${host ?? whose} has damaged data${which}: ${raised}`
    },
    (cluster, { host, hosts = [host ?? ''], id, most }) =>
      host
        ? remedy`${rebuildAtOnce(cluster, hosts, id)}. \
If no other member can spare it, ${restoreOne(cluster)}`
        : most
          ? remedy`The data of all other members agree. Lower the alarm: ${disarm}`
          : remedy`See how they differ: ${ours('verify')}. If you know which member has the right data, lower the \
alarm and replace all others in one go: ${disarm} && ${ours('replace', 'HOST')}. \
If not, ${restoreOne(cluster)}`,
  ),
  'other-data': row<'host' | 'is', 'most' | 'hosts'>(
    ({ host, is, most }) =>
      `${host}'s data differs: hash ${is}; ${most ? `most members have ${most}` : 'no majority agrees'}`,
    (cluster, { host, most, hosts = [host] }) =>
      most ? remedy`Rebuild ${listed(hosts)}: ${ours('replace', ...hosts)}` : whoseIsRight(cluster),
    byReplace,
  ),
  'writes-lost': row<'host' | 'what'>(
    (f) => `${f.host} does not return keys that were written through ${f.what}`,
    rebuild,
    byReplace,
  ),
  'other-cluster': row<'host' | 'is', 'most'>(
    ({ host, is, most }) => `${host} belongs to another cluster (id ${is}${most ? `, the others' is ${most}` : ''})`,
    (_, { host }) => joinAll([host]),
    byReplace,
  ),
  'data-lost': ofRole((_, { host = '', hosts = [host], remedy: byThemselves = '' }) => {
    return remedy`Replace ${listed(hosts)}: ${ours('replace', ...hosts)}${byThemselves && `. ${byThemselves}`}`
  }, byReplace),
  'member-missing': row<'host', 'hosts'>(
    (f) => `${f.host} is no member of the cluster`,
    (cluster, { host, hosts = [host] }, half) => orFinishScale(cluster, half, joinAll(hosts)),
    byJoining,
  ),
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
  'other-learner': row<'id', 'host'>(
    ({ host = 'a member on none of our hosts' }) => `${host} is a learner, and etcd allows one at a time`,
    (cluster, { host, id }, half) => (host ? finish(cluster, { host }, half) : removeStranger(id)),
    byJoining,
  ),
  'voters-down': row<'hosts'>(
    (f) => `etcd adds no member while ${areOrIs(f.hosts)} down`,
    (cluster, { hosts }) => startOrReplace(cluster, hosts),
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
    () => [again],
  ),
  refused: row<'what' | 'reason'>((f) => `etcd will refuse the step "${f.what}", because ${f.reason}`, look),

  // What keeps one verb from its work.
  'only-member': row<'host' | 'name'>(
    (f) => `${f.host} is the only member of ${f.name}: no other member has the data`,
    (_, { host }) => remedy`Give more members the data while ${host} runs: ${ours('scale', '--masters', '3')}`,
  ),
  'has-quorum': row<'name' | 'well' | 'voters' | 'hosts'>(
    (f) => `${f.name} has a quorum: ${f.well} of ${f.voters} members commit, so there is nothing to recover`,
    (cluster, { hosts }) =>
      hosts.length > 0 ? startOrReplace(cluster, hosts) : remedy`See how it is: ${ours('verify')}`,
  ),
  'data-quorum': row<'hosts' | 'well'>(
    ({ hosts, well }) =>
      well === hosts.length
        ? `etcd runs on ${listed(hosts)}, which have their data and are a quorum, but they do not work together`
        : `${haveTheir(hosts)} data, which is a quorum: once they run, nothing is lost`,
    (cluster, { hosts, well }) =>
      remedy`${well === hosts.length ? remedy`See why: ${ours('verify')}` : startThem(cluster)}. \
Only if all but one are lost for good: ${ours('recover', '--from', 'HOST')}`,
  ),
  'no-data': row<'host' | 'hosts'>(
    (f) => `${f.host} has no member's data; ${haveTheir(f.hosts)} data`,
    (cluster, { hosts: [first = ''] }) =>
      remedy`${startThem(cluster)}. Only if the others are lost for good: ${ours('recover', '--from', first)}`,
  ),
  'all-data-lost': row(
    () => 'no host has any data left',
    () => remedy`If a disk is only missing, ${byHand('put it back')}. If not, restore a backup: \
${ours('restore', 'FILE')}. If there is no backup either, the data is lost. \
Then remove the cluster, and bring up an empty one: ${ours('down')}`,
    { ofRole: true },
  ),
  'no-authority-change': row<'name'>(
    (f) => `no change of ${f.name}'s authority is under way`,
    () => remedy`Begin one: ${ours('rotate-ca')}`,
  ),
  'restart-due': row<'hosts'>(
    (f) => `more than certificates would change on ${listed(f.hosts)}, and etcd would restart there`,
    () => remedy`See the changes: ${ours('up', '--plan')}. Apply them one member at a time: ${ours('up')}. \
Then run the same command again.`,
  ),
  'certificate-missing': row<'what'>(
    (f) => `the certificate ${f.what}, or its key, is missing`,
    () => remedy`Make what is missing: ${ours('pki')}`,
  ),
  'host-of-other-cluster': row<'host'>(
    (f) => `${f.host}'s certificates come from another authority than ours: ${f.host} belongs to another cluster`,
    (cluster, { host }) =>
      remedy`${byHand(`Put ${cluster.paths.certs} back from your copy`)}, or see what runs there: ${ours('verify')}. \
If ${host} is to leave that cluster, ${moveAside(cluster, host)}. \
Then run the same command again.`,
  ),
  'under-supervisord': row<'name'>(
    (f) => `the members of ${f.name} still run under supervisord`,
    () => remedy`Give each member a keeper of its own, which restarts the member once: ${ours('up')}`,
  ),
  'no-trace': row<'what'>(
    (f) => `"${f.what}" was done, but the cluster shows no trace of it`,
    (cluster) => remedy`${look(cluster)}. Then run the same command again.`,
  ),
  'host-not-up': row<'host'>(
    (f) => `${f.host} is not up yet`,
    () => remedy`Bring the hosts up: ${ours('vms')}`,
  ),

  // Room and versions.
  'no-space': row<never, 'host'>(
    ({ host = 'a member' }) =>
      `${host} has reached its database quota: alarm NOSPACE is raised, and the cluster takes no writes`,
    makeRoom,
    byDefrag,
  ),
  'takes-no-writes': row<Why>((f) => `${f.host} accepts no writes: ${f.reason}`, makeRoom, byDefrag),
  'keys-fill-quota': row<'name'>(
    (f) => `the keys alone fill the quota of ${f.name}: the cluster still takes no writes`,
    () => remedy`${byHand('Delete keys')}, then make room: ${ours('defrag', '--disarm')}. Or \
${byHand('raise ETCD_QUOTA_BACKEND_BYTES in etcd.environment')}, install that: ${ours('up')}. Then make room.`,
  ),
  'mixed-versions': row<'host' | 'is', 'most'>(
    ({ host, is, most }) => `${host} runs etcd ${is}${most ? `, the others ${most}` : ''}`,
    (cluster) => orEndMove(cluster, remedy`Give all the recorded version: ${ours('up')}`),
  ),
  'strange-version': row<'host' | 'is' | 'from' | 'to'>(
    (f) => `${f.host} runs etcd ${f.is}, which is neither the recorded ${f.from} nor ${f.to}`,
    ({ etcd }, { host, is, from, to }) =>
      etcd.upgradingTo
        ? [byHand(`On ${host}, install etcd ${to} by hand.`)]
        : compareVersions(is, from) > 0
          ? remedy`Record the version that runs: ${ours('upgrade', '--etcd-version', is)}`
          : remedy`Give all the recorded version: ${ours('up')}`,
  ),
  'no-way-back': row<'is' | 'due'>(
    (f) => `all members run etcd ${f.is} already: there is no way back to ${f.due}`,
    (_, { is }) => remedy`Finish the upgrade: ${ours('upgrade', '--etcd-version', is)}`,
  ),
  'v2-data': ofRole(
    () =>
      remedy`${byHand('Return to etcd 3.5. Export the v2 keys that you need')}. Run ${ours('backup')}, then restore \
that backup: ${ours('restore', 'FILE')}`,
  ),
  'no-snapshot': ofRole(() => [byHand('Take the upgrade back, start all members, then upgrade again.')]),
  ends: ofRole(
    () => remedy`If that names a setting, ${byHand('correct it in cluster.yaml (etcd.environment)')}. ${again}`,
  ),

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
    (f) => `the replacement of ${listed(f.hosts)} is half done`,
    (_, { hosts }) => remedy`Finish it: ${ours('replace', ...hosts)}`,
    byReplace,
  ),
  'half-scaled': row<'hosts'>(
    (f) => `scaling to ${f.hosts.length} ${f.hosts.length === 1 ? 'member' : 'members'} is half done`,
    (cluster, { hosts }) => remedy`Finish it: ${scaleTo(cluster, hosts)}`,
  ),
  'half-moved': row<'hosts'>(
    (f) => `the move of ${listed(f.hosts)} to another address is half done`,
    () => remedy`Finish it: ${ours('move')}`,
  ),
  'authority-changing': row<'name'>(
    (f) => `the authority of cluster ${f.name} is being changed`,
    () => remedy`Finish it: ${ours('rotate-ca')}; or take it back: ${ours('rotate-ca', '--back')}`,
  ),
  'authority-leaving': row<'name'>(
    (f) => `the authority of cluster ${f.name} is being changed, and the old one is out, has expired or lacks its key`,
    () => remedy`Finish the change: ${ours('rotate-ca')}`,
  ),
  'old-trust': row<'name' | 'what'>(
    (f) => `cluster ${f.name}, which was adopted, still ${f.what}`,
    () => remedy`Once no client needs that: ${ours('adopt', '--drop-old')}`,
  ),
  'authority-near-end': row<'name' | 'days'>(
    (f) => `the authority of cluster ${f.name} expires in ${f.days} days, and all its certificates end then`,
    () => remedy`Change it while the cluster runs: ${ours('rotate-ca')}`,
  ),
  'schedule-failed': row<'what' | 'at' | 'reason'>(
    (f) => `the scheduled ${f.what} failed on ${f.at} UTC: ${f.reason}`,
    (_, { what }) => remedy`It is tried again by itself. To try it now: ${ours('schedule', what, '--run')}`,
  ),
  'schedule-idle': row<'what'>(
    (f) => `no timer runs here, so what is scheduled is not done (${f.what})`,
    () => remedy`Set the timer up again: ${ours('schedule', '--repair')}`,
  ),
  'quota-near': row<'is' | 'due' | 'days' | 'from', 'free'>(
    (f) =>
      `as the database has grown for ${f.from}, it reaches its quota in \
${f.days < 1 ? 'less than a day' : `about ${f.days} ${f.days === 1 ? 'day' : 'days'}`} (${f.is} of ${f.due}), \
and then takes no writes`,
    ({ etcd: { environment } }, { free }) => {
      const compacts = 'ETCD_AUTO_COMPACTION_RETENTION' in environment
      return remedy`${free ? remedy`Give free space back: ${ours('defrag')}. ` : ''}\
${compacts ? '' : remedy`If no client compacts it (kube-apiserver does), ${setCompaction}, then ${ours('up')}. `}\
If the keys themselves grow, ${byHand('raise ETCD_QUOTA_BACKEND_BYTES in etcd.environment')}, then ${ours('up')}`
    },
  ),
  'members-far': row<'is' | 'due'>(
    (f) => `a message between members takes ${f.is} ms there and back, and etcd expects less: it may lose its leader`,
    (_, { due }) => remedy`${byHand(`In cluster.yaml set etcd.environment: { ${due} }`)}, then ${ours('up')}`,
  ),
}

export type Code = keyof typeof rows
type FactsOf<C extends Code> = Parameters<(typeof rows)[C]['sentence']>[0]

/** Something that is wrong: its code, the host that it concerns, and the facts that its row takes. */
export type Finding = { [C in Code]: { code: C; host?: string | undefined } & FactsOf<C> }[Code]

const ranking = Object.keys(rows)
const ranks = new Map(ranking.map((code, at) => [code, at]))
const rowOf = ({ code }: Finding): Row<Finding> => rows[code] as unknown as Row<Finding>

/** Where a code stands in the table: what is to be cured first has the lowest. */
export const rankOf = (code: Code): number => ranks.get(code) ?? ranking.length

/** The rank of the first that this verb cures; where it cures none, one that nothing ranks below. */
export function firstCuredBy(verb: string): number {
  const first = Object.values<More>(rows).findIndex(({ curedBy }) => curedBy?.includes(verb))
  return first < 0 ? ranking.length : first
}

export const inRanking = (findings: Finding[]): Finding[] =>
  findings.toSorted((one, other) => rankOf(one.code) - rankOf(other.code))

export const sentenceOf = (finding: Finding): string => rowOf(finding).sentence(finding)
const halfOf = (cluster: Cluster): Half => ({
  replaced: beingReplaced(cluster),
  scaledTo: scaling(cluster.paths),
  moving: movingHosts(cluster),
  changing: existsSync(changeFiles(cluster).oldCertificate),
})
function helps(cluster: Cluster, finding: Finding, half = halfOf(cluster)): Remedy {
  const found = rowOf(finding).remedy(cluster, finding, half)
  const { begun } = cluster
  if (!begun || rankOf(finding.code) <= rankOf('half-restored')) return found
  const refusesNow = (action: Action): boolean =>
    'verb' in action &&
    !['verify', 'down', begun.verb, ...(begun.verb === 'adopt' ? ['replace', 'defrag'] : ['restore'])].includes(
      action.verb,
    )
  return waysIn(found).flat().some(refusesNow) ? finishBegun(cluster) : found
}
export const remedyOf = (cluster: Cluster, finding: Finding): string => inText(cluster, helps(cluster, finding))
/** The same as what is to be done: a way after the other. */
export const waysOf = (...what: Parameters<typeof helps>): Action[][] => waysIn(helps(...what))
export const mayHeal = (finding: Finding): boolean => rowOf(finding).heals === true

/** What a verb of ours does about what the role says; undefined: the role's own words are all that can be said. */
export function remedyOfRole(cluster: Cluster, said: RoleFinding): string | undefined {
  const row = (rows as Record<string, Row<never>>)[said.code]
  return row?.ofRole ? remedyOf(cluster, said as never) : undefined
}

/** A sentence or two of what concerns no host by itself. */
export const inWords = (cluster: Cluster, finding: Finding): string =>
  `${capital(sentenceOf(finding))}. ${remedyOf(cluster, finding)}`

/** A refusal because of it. `told`: what is said before its sentence. */
export const refusal = (cluster: Cluster, finding: Finding, told = ''): OperationError =>
  new OperationError(`${told ? told + sentenceOf(finding) : capital(sentenceOf(finding))}.`, {
    code: finding.code,
    hint: remedyOf(cluster, finding),
    remedy: helps(cluster, finding),
  })
