// certs: every certificate, where it lies, how long it lasts, and what would be renewed and why. Reads only.
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import { tell } from '../core/run.ts'
import { chalk, plain, table } from '../core/terminal.ts'
import { authorityWarning } from '../etcd/authority-change.ts'
import {
  authorityCertificate,
  authorityFiles,
  type CertificateReport,
  certificateReport,
  daysLeft,
  issuingAuthority,
  leaves,
  reasonToIssue,
  trustedAuthorities,
} from '../etcd/certificates.ts'
import { refusal } from '../etcd/findings.ts'
import { servedCertificates } from './served.ts'

/** One certificate; what is not known, because there is none, is null. */
interface Row {
  file: string
  path: string
  subject: string | null
  notAfter: string | null
  daysLeft: number | null
  issues?: boolean
  renew: string | null
  /** What its host serves; not there for the authority's and the client's, which no host serves. */
  served?: { state: 'this one' | 'another one' | 'unknown'; daysLeft: number | null }
}

/** Prints what there is. @throws OperationError when one is within the warning window: exit code 1, for cron */
export async function certs(cluster: Cluster): Promise<void> {
  const rows = await gather(cluster)
  const warning = authorityWarning(cluster)
  const { renewBeforeDays } = cluster.pki
  const near = rows.filter((row) => isNear(row, renewBeforeDays))
  const data = { cluster: cluster.name, renewBeforeDays, certificates: rows, warning: warning ?? null }
  tell(data, render(cluster, rows, warning))
  authorityCertificate(cluster)
  if (near.length === 0) return
  const authority = near.some(({ file }) => file === 'ca.crt')
  throw new OperationError(
    `${near.map(({ file }) => file).join(', ')}: must be renewed, or ends within ${renewBeforeDays} days.`,
    {
      hint: authority
        ? 'An authority ends, and every certificate that it signed with it. Change it while the cluster ' +
          `runs: ${command(cluster, 'rotate-ca')}`
        : `Renew without a restart: ${command(cluster, 'rotate-certs')}`,
    },
  )
}

async function gather(cluster: Cluster): Promise<Row[]> {
  const authority = issuingAuthority(cluster)
  if (!authority) throw refusal(cluster, { code: 'no-certificates', at: cluster.paths.certs })
  const [reports, served] = [certificateReport(cluster), await servedCertificates(cluster)]
  const reportOf = (path: string): CertificateReport | undefined => reports.find((report) => report.path === path)
  const ofLeaves = leaves(cluster).map((leaf): Row => {
    const there = served.find(({ file }) => file === leaf.title)
    const state = !there?.certificate ? 'unknown' : there.ours ? 'this one' : 'another one'
    return {
      ...row(leaf.title, leaf.certificate, reportOf(leaf.certificate), reasonToIssue(leaf, authority, cluster.pki)),
      ...(there && { served: { state, daysLeft: there.certificate ? daysLeft(there.certificate) : null } }),
    }
  })
  const ofAuthorities = trustedAuthorities(cluster).map(
    ({ fingerprint256 }, index, { length }): Row => ({
      ...row('ca.crt', authorityFiles(cluster).certificate, reports[index]),
      ...(length > 1 && { issues: fingerprint256 === authority.fingerprint256 }),
    }),
  )
  return [...ofAuthorities, ...ofLeaves]
}

const row = (file: string, path: string, report: CertificateReport | undefined, renew?: string): Row => ({
  file,
  ...(report ?? { path, subject: null, notAfter: null, daysLeft: null }),
  renew: renew ?? null,
})

const isNear = ({ renew, daysLeft, served }: Row, window: number): boolean =>
  renew !== null || [daysLeft, served?.daysLeft ?? null].some((days) => days !== null && days < window)

function render(cluster: Cluster, rows: Row[], warning: string | undefined): string {
  const titles = ['CERTIFICATE', 'DAYS LEFT', 'ENDS', 'ITS HOST SERVES', 'WOULD BE RENEWED']
  const lines = rows.map((one) => {
    const colour = isNear(one, cluster.pki.renewBeforeDays) ? chalk.yellow : chalk.green
    const served = one.served
      ? one.served.state === 'another one'
        ? chalk.yellow(`another (${one.served.daysLeft} days)`)
        : one.served.state
      : '-'
    return [
      one.issues ? `${one.file} (issues)` : one.file,
      one.daysLeft === null ? '-' : colour(String(one.daysLeft)),
      one.notAfter?.slice(0, 10) ?? '-',
      served,
      one.renew ?? 'no',
    ]
  })
  const install = rows.some(({ served }) => served?.state === 'another one')
    ? `\nA host serves another certificate than the one here: ${command(cluster, 'rotate-certs')} installs it.`
    : ''
  const title = `${chalk.bold(cluster.name)}: certificates in ${cluster.paths.certs}`
  const last = warning ? `\n\n${chalk.yellow(plain(warning))}` : ''
  return `${title}\n\n${table([titles.map((title) => chalk.dim(title)), ...lines])}${install}${last}`
}
