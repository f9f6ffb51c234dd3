// rotate-certs: leaves issued again and installed while etcd runs on, and the proof that every member serves them.
import { withCopies } from '../copies.ts'
import { type Cluster, hostNamed } from '../core/cluster.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { run } from '../core/run.ts'
import { authorityCertificate, certificateReport, type Leaf, leaves } from '../etcd/certificates.ts'
import { requireRightClock } from '../etcd/clocks.ts'
import { refusal } from '../etcd/findings.ts'
import type { Change } from '../etcd/play-events.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { type Issued, renewLeaves, requireKey } from '../pki/index.ts'
import { prove } from './authority-steps.ts'
import { requireHealthy } from './guard.ts'
import { sayDone } from './say.ts'
import { isInstalled, type Served, servedCertificates } from './served.ts'
import { carryOutSteps, look, proveItWorks, type Step, stepsOf } from './steps.ts'

export interface RotateOptions {
  host: string | undefined
  all: boolean
  plan: boolean
}

/** Guard, try on copies, issue, install, prove, verify. Run again after a kill, it installs what was issued. */
export async function rotateCerts(cluster: Cluster, options: RotateOptions): Promise<void> {
  const asked = selection(cluster, options)
  await guard(cluster)
  requireKey(cluster, asked)
  let before: Served[] = []
  let would: Rehearsal = { issued: [], role: [] }
  let issued: Issued[] = []
  let proof: object[] = []
  const steps: Step[] = [
    look('Try it on copies: nothing may need a restart', async () => {
      before = await servedCertificates(cluster)
      would = await rehearse(cluster, asked)
      refuseRestarts(cluster, would.role)
    }),
    {
      title: 'Issue the certificates',
      rendererOptions: { persistentOutput: true },
      task: async (_, task) => {
        issued = await renewLeaves(cluster, asked)
        run().changes.push(...issued.map(({ path }) => `issued ${path}`))
        task.title = issued.length === 0 ? 'No certificate is due' : `Issue ${issued.length} certificates`
        if (issued.length > 0) task.output = issued.map(({ path, reason }) => `${path} (${reason})`).join('\n')
      },
      would: () => would.issued.map(({ path, reason }) => `issue ${path} (${reason})`),
    },
    ...stepsOf(etcdRole.tasks(cluster), () => would.role.map(etcdRole.inWords)),
    {
      title: 'Prove by new connections that every member serves what lies here',
      task: async () => void (proof = await provenServed(cluster, before)),
    },
    proveItWorks(cluster),
  ]
  if (!(await carryOutSteps(cluster, 'rotate-certs', steps, options.plan))) return
  const what =
    issued.length === 0
      ? 'No certificate was due, and every member serves what lies here'
      : `${issued.length} certificates were renewed, and every member serves what lies here`
  sayDone(cluster, 'rotate-certs', `${what}; no member was restarted.`, { issued, served: proof })
}

function selection(cluster: Cluster, { host, all }: RotateOptions): (leaf: Leaf, due: boolean) => boolean {
  if (host && all) throw new UsageError('--host and --all contradict each other: say one of them.')
  if (host) hostNamed(cluster, host)
  return (leaf, due) => (host ? leaf.host === host : all || due)
}

/** Expired certificates keep everybody out, and renewing them is the cure: no reason to refuse an ill cluster then. */
async function guard(cluster: Cluster): Promise<void> {
  etcdRole.refuseHalfUpgraded(cluster)
  await requireRightClock(cluster) // by a wrong one the authority, or every leaf, seems expired
  try {
    await requireHealthy(cluster)
  } catch (error) {
    const ours = authorityCertificate(cluster) ? leaves(cluster).map(({ certificate }) => certificate) : []
    const expired = certificateReport(cluster).some(({ path, daysLeft }) => ours.includes(path) && daysLeft < 0)
    if (!(error instanceof OperationError) || error.exitCode !== 1 || !expired) throw error
    run().warnings.push(
      `Certificates had expired, so that the cluster could not be proven healthy before: ${error.message}`,
    )
  }
}

interface Rehearsal {
  issued: Issued[]
  role: Change[]
}

const rehearse = (cluster: Cluster, asked: (leaf: Leaf, due: boolean) => boolean): Promise<Rehearsal> =>
  withCopies(cluster, async (copy) => ({ issued: await renewLeaves(copy, asked), role: await etcdRole.changes(copy) }))

function refuseRestarts(cluster: Cluster, role: Change[]): void {
  const hosts = etcdRole.restarted(role).toSorted()
  if (hosts.length > 0) throw refusal(cluster, { code: 'restart-due', hosts }, 'Nothing was changed: ')
}

/** What each port serves, once all serve what lies here and let our client in. @throws OperationError */
async function provenServed(cluster: Cluster, before: Served[]): Promise<object[]> {
  let now: Served[] = []
  await prove(cluster, async () => {
    now = await servedCertificates(cluster)
    const wrong = now.filter((one) => !isInstalled(one))
    const other = (port: string): string => `serves another certificate on its ${port} port`
    const words = wrong.map(
      ({ host, port, ours }) => `${host.name} ${ours ? 'refuses the new client certificate' : other(port)}`,
    )
    return words.join('; ') || undefined
  })
  return now.map(({ host, port, file, certificate }) => ({
    host: host.name,
    port,
    serial: certificate?.serialNumber ?? null,
    serialBefore: before.find((one) => one.file === file)?.certificate?.serialNumber ?? null,
    notAfter: certificate && new Date(certificate.validTo).toISOString(),
  }))
}
