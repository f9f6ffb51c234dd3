// A cluster of ours, of which this machine has lost its record and its certificates: they come back from the hosts.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { type NewFile, readFileIfThere } from '../core/files.ts'
import { recordCluster } from '../core/record.ts'
import { run } from '../core/run.ts'
import { certificatesIn } from '../core/x509.ts'
import { authorityFiles, commonNames } from '../etcd/certificates.ts'
import * as vms from '../vms/index.ts'
import type { Found } from './adopt-look.ts'
import { fetchCertificates } from './fetch-certificates.ts'
import { sayDone } from './say.ts'
import { carryOutSteps, proveItWorks, type Step } from './steps.ts'

/** Whether the role has set these members up, for a cluster that this machine has no record of. */
export const isMadeByUs = ({ foreign }: Found): boolean =>
  foreign.length > 0 && foreign.every(({ settings }) => settings.ETCD_PEER_CERT_ALLOWED_CN === commonNames.peer)

/** Takes up again a cluster that the role has set up; only the authority's key is not to be had. */
export async function bringBack(cluster: Cluster, { foreign, version, files }: Found, plan: boolean): Promise<void> {
  const [first] = foreign
  const strange = foreign.find(({ host, settings }) => settings.ETCD_NAME !== host.name)
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
        Object.assign(etcd, { version, token: first?.settings.ETCD_INITIAL_CLUSTER_TOKEN ?? etcd.token })
        await vms.note(cluster)
        cluster.formed = true
        run().changes.push(...(await fetchCertificates(cluster)).map((path) => `took ${path} back`))
        recordCluster(cluster)
      },
    },
    proveItWorks(cluster),
  ]
  if (!(await carryOutSteps(cluster, 'adopt', steps, plan))) return
  const { key } = authorityFiles(cluster)
  const lost = `The key of its authority is on no host; bring a new authority in: ${command(cluster, 'rotate-ca')}`
  const done = `${cluster.name} was made by ha-etcd, and this machine works on it again; it is verified.`
  sayDone(cluster, 'adopt', existsSync(key) ? done : `${done} ${lost}`, {
    adopted: foreign.map(({ host }) => host.name),
    version,
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
