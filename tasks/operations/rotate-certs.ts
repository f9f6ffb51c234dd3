// rotate-certs: leaves issued again and installed while etcd runs on, and the proof that every member serves them.
import { withCopies } from '../copies.ts'
import { type Cluster, hostNamed } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { clock, run, sleep } from '../core/run.ts'
import { authorityCertificate, certificateReport, type Leaf, leaves } from '../etcd/certificates.ts'
import { requireRightClock } from '../etcd/clocks.ts'
import { refusal } from '../etcd/findings.ts'
import type { Change } from '../etcd/play-events.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { type Issued, renewLeaves, requireKey } from '../pki/index.ts'
import { requireHealthy } from './guard.ts'
import { sayDone } from './say.ts'
import { isInstalled, type Served, servedCertificates } from './served.ts'
import { carryOutSteps, look, proveItWorks, type Step, stepsOf } from './steps.ts'

export interface RotateOptions {
  /** This host's two only. */
  host: string | undefined
  /** Every leaf, due or not. */
  all: boolean
  plan: boolean
}

const proofMs = 10_000

/**
 * Guard, try on copies, issue, install, prove, verify. Run again after a kill, it installs what was issued, and goes
 * on.
 */
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
      task: async () => {
        proof = await prove(cluster, before)
      },
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

/**
 * Certificates that have expired keep everybody out: renewing them is the cure then, so an ill cluster is no reason to
 * refuse.
 */
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

/** What would be issued, and what the role would change. */
interface Rehearsal {
  issued: Issued[]
  role: Change[]
}

/** The same on copies, in Ansible's check mode. */
const rehearse = (cluster: Cluster, asked: (leaf: Leaf, due: boolean) => boolean): Promise<Rehearsal> =>
  withCopies(cluster, async (copy) => ({
    issued: await renewLeaves(copy, asked),
    role: await etcdRole.changes(copy),
  }))

/** @throws OperationError when one of these changes of the role restarts a member */
export function refuseRestarts(cluster: Cluster, role: Change[]): void {
  const hosts = etcdRole.restarted(role).toSorted()
  if (hosts.length > 0) throw refusal(cluster, { code: 'restart-due', hosts }, 'Nothing was changed: ')
}

/** @throws OperationError naming the ports that serve something else, or refuse the client certificate */
async function prove(cluster: Cluster, before: Served[]): Promise<object[]> {
  for (const deadline = clock() + proofMs; ; await sleep(200)) {
    const now = await servedCertificates(cluster)
    const wrong = now.filter((one) => !isInstalled(one))
    if (wrong.length === 0) {
      return now.map(({ host, port, file, certificate }) => {
        const old = before.find((one) => one.file === file)?.certificate
        return {
          host: host.name,
          port,
          serial: certificate?.serialNumber ?? null,
          serialBefore: old?.serialNumber ?? null,
          notAfter: certificate && new Date(certificate.validTo).toISOString(),
        }
      })
    }
    if (clock() < deadline) continue
    const words = wrong.map(({ host, port, ours }) =>
      ours
        ? `${host.name} refuses the new client certificate`
        : `${host.name} serves another certificate on its ${port} port`,
    )
    throw new OperationError(`${words.join('; ')}.`, {
      hint: `Run the same command again; if that does not help: ${command(cluster, 'verify')}`,
    })
  }
}
