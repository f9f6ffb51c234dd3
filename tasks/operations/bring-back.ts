// A cluster of ours, of which this machine has lost its record and its certificates: they come back from the hosts.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { type NewFile, readFileIfThere } from '../core/files.ts'
import { compareVersions } from '../core/programs.ts'
import { recordCluster } from '../core/record.ts'
import { run } from '../core/run.ts'
import { certificatesIn } from '../core/x509.ts'
import { authorityFiles } from '../etcd/certificates.ts'
import { look } from '../observe/look.ts'
import * as vms from '../vms/index.ts'
import type { Ours } from './adopt-look.ts'
import { fetchCertificates } from './fetch-certificates.ts'
import { sayDone } from './say.ts'
import { carryOutSteps, proveItWorks, type Step } from './steps.ts'

/** What no host can say. */
const lostForGood =
  'Only the lost record knew of a restore, a recover or a move that was half done, and which revision clients have ' +
  'seen. verify shows what is left of these.'

/**
 * The version, and the one that a move which was begun leads to: where members run two, it was cut short. While any
 * runs the older the cluster works at that, so all may go either way; but what is taken for an upgrade would leave a
 * downgrade enabled.
 */
export function moveIn(running: string[], isUpgrade: boolean): Pick<Cluster['etcd'], 'version' | 'upgradingTo'> {
  const sorted = running.toSorted(compareVersions)
  const [older, newer] = [sorted[0], sorted.at(-1)]
  if (older === newer) return { version: older, upgradingTo: undefined }
  return isUpgrade ? { version: older, upgradingTo: newer } : { version: newer, upgradingTo: older }
}

/** Takes up again a cluster that the role has set up, well or not; only the authority's key is not to be had. */
export async function bringBack(cluster: Cluster, { ours, files }: Ours, plan: boolean): Promise<void> {
  const [first] = ours
  const running = ours.map(({ etcd }) => etcd.version)
  const strange = ours.find(({ host, settings }) => settings.ETCD_NAME !== host.name)
  if (strange)
    throw new UsageError(`The member on ${strange.host.name} is called ${strange.settings.ETCD_NAME}.`, {
      hint: 'List each host in the configuration by the name of its member.',
    })
  refuseOther(cluster, files)
  const steps: Step[] = [
    {
      title: 'Take the record and the certificates back from the hosts',
      task: async () => {
        const { etcd } = cluster
        const token = first?.settings.ETCD_INITIAL_CLUSTER_TOKEN ?? etcd.token
        Object.assign(etcd, { ...moveIn(running, false), token })
        await vms.note(cluster)
        cluster.formed = true
        recordCluster(cluster) // at once: if the certificates cannot be fetched, other verbs then say what helps
        run().changes.push(...(await fetchCertificates(cluster)).map((path) => `took ${path} back`))
        const { members, downgradingTo } = await look(cluster, { membersOnly: true })
        Object.assign(etcd, moveIn(running, members !== undefined && downgradingTo === undefined))
        recordCluster(cluster)
      },
    },
    proveItWorks(cluster),
  ]
  run().warn(lostForGood)
  if (!(await carryOutSteps(cluster, 'adopt', steps, plan))) return
  const { key } = authorityFiles(cluster)
  const lost = `The key of its authority is on no host; bring a new authority in: ${command(cluster, 'rotate-ca')}`
  const done = `${cluster.name} was made by ha-etcd, and this machine works on it again; it is verified.`
  sayDone(cluster, 'adopt', existsSync(key) ? done : `${done} ${lost}`, {
    adopted: ours.map(({ host }) => host.name),
    version: cluster.etcd.version,
  })
}

/** `up` makes an authority where there is none; the members trust another one. @throws OperationError */
function refuseOther(cluster: Cluster, files: NewFile[]): void {
  const { certs } = cluster.paths
  const here = certificatesIn(readFileIfThere(join(certs, 'ca.crt')) ?? '')
  const theirs = certificatesIn(files.find(({ path }) => path === 'ca.crt')?.content ?? '')
  if (here.length === 0 || here.some((pem) => theirs.includes(pem))) return
  throw new OperationError(`The members of ${cluster.name} do not trust the authority in ${certs}.`, {
    hint: `Move ${certs} and ${cluster.paths.state} aside; then run the same command again.`,
  })
}
