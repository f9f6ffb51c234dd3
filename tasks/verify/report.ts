// The outcome of the checks as data, and as the error that says what to do.
import type { Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { type CertificateReport, certificateReport } from '../etcd/certificates.ts'
import type { Member } from '../etcd/etcdctl.ts'
import { warningsOf } from '../etcd/faults.ts'
import { type Code, type Finding, rankOf, remedyOf, sentenceOf } from '../etcd/findings.ts'
import { statusesOf } from '../etcd/judge.ts'
import { agreedLeader, memberOf } from '../etcd/membership.ts'
import { checks } from './checks.ts'
import type { Facts } from './facts.ts'

/** One member; what is not known, because it does not answer, is null. Sizes in bytes. */
export interface MemberReport {
  id: string | null
  name: string
  host: string | null
  peerURLs: string[]
  clientURLs: string[]
  isLeader: boolean
  isLearner: boolean
  version: string | null
  dbSizeBytes: number | null
  raftIndex: number | null
  healthy: boolean
  tookMs: number | null
}

/** One fault; `detail` and `remedy` are for a person, `code` for a program (docs/findings.md). */
interface FaultReport {
  code: Code
  host: string | null
  detail: string
  remedy: string
}

/** `detail`: what was found, or each fault with its remedy. A skipped check is ok, but proves nothing. */
export interface CheckReport {
  name: string
  ok: boolean
  skipped?: true
  detail: string
  findings?: FaultReport[]
}

export interface Report {
  cluster: string
  healthy: boolean
  members: MemberReport[]
  checks: CheckReport[]
  certificates: CertificateReport[]
  warnings: string[]
}

export interface Verdict {
  report: Report
  findings: { check: string; finding: Finding }[]
}

/** A check that finds no fault, but could not look everywhere, is skipped, not passed. */
export function judge(facts: Facts): Verdict {
  const results = checks.map((check) => ({ check, findings: check.check(facts) }))
  const reports = results.map(({ check, findings }): CheckReport => {
    const { name } = check
    if (findings.length > 0) {
      const faults = findings.map((finding) => faultReport(facts, finding))
      return {
        name,
        ok: false,
        detail: faults.map((one) => `${one.detail}. ${one.remedy}`).join('\n'),
        findings: faults,
      }
    }
    const reason = check.skip?.(facts)
    return reason ? { name, ok: true, skipped: true, detail: reason } : { name, ok: true, detail: check.title(facts) }
  })
  const findings = results.flatMap(({ check, findings }) => findings.map((finding) => ({ check: check.name, finding })))
  return {
    report: {
      cluster: facts.cluster.name,
      healthy: findings.length === 0,
      members: memberReports(facts),
      checks: reports,
      certificates: certificateReport(facts.cluster),
      warnings: [...facts.warnings, ...versionWarnings(facts)],
    },
    findings,
  }
}

/** Every fault with its check and host, those with the same remedy together above it; a host's is told once. */
export function failure({ report }: Verdict): OperationError {
  const failing = report.checks.filter((check) => !check.ok).length
  const faults = report.checks
    .flatMap(({ name, findings = [] }) => findings.map((one) => ({ check: name, ...one })))
    .toSorted((one, other) => rankOf(one.code) - rankOf(other.code))
  const told = ({ code, host, remedy }: FaultReport): string =>
    (host && faults.find((one) => one.code === code && one.host === host)?.remedy) || remedy
  const lines = [...new Set(faults.map(told))].flatMap((remedy) => [
    ...faults.filter((one) => told(one) === remedy).map(({ check, detail }) => `  ${check}: ${detail}.`),
    `    ${remedy}`,
  ])
  return new OperationError(
    `${report.cluster} is not healthy: ${failing} of ${report.checks.length} checks ` +
      `${failing === 1 ? 'fails' : 'fail'}.\n${lines.join('\n')}`,
  )
}

const versionWarnings = ({ hosts }: Facts): string[] =>
  [...new Set(statusesOf(hosts).map(({ status }) => status.version))].flatMap(warningsOf)

const faultReport = ({ cluster }: Facts, finding: Finding): FaultReport => ({
  code: finding.code,
  host: finding.host ?? null,
  detail: sentenceOf(finding),
  remedy: remedyOf(cluster, finding),
})

function memberReports(facts: Facts): MemberReport[] {
  const { cluster, hosts, members } = facts
  const listed = members?.ok ? members.value : []
  const unknown = ({ name, peerURL, clientURL }: Host): Member => {
    const urls = { peerURLs: [peerURL], clientURLs: [clientURL] }
    return { id: '', name, isLearner: false, ...urls }
  }
  const ofHosts = cluster.hosts.map((host) => ({ host: host.name, member: memberOf(host, listed) ?? unknown(host) }))
  const extra = listed
    .filter((member) => !ofHosts.some((one) => one.member === member))
    .map((member) => ({ host: null, member }))
  const leader = agreedLeader(statusesOf(hosts).map(({ status }) => status))
  return [...ofHosts, ...extra].map(({ host, member }) => {
    const known = hosts.find((one) => one.host.name === host)
    const status = known?.status?.ok ? known.status.value : undefined
    const id = member.id || status?.memberId || null
    const { name, peerURLs, clientURLs, isLearner } = member
    const took = known?.health?.ok ? known.health.value.tookMs : null
    return {
      id,
      name,
      host,
      peerURLs,
      clientURLs,
      isLeader: id !== null && id === leader,
      isLearner,
      version: status?.version ?? null,
      dbSizeBytes: status?.dbSizeBytes ?? null,
      raftIndex: status?.raftIndex ?? null,
      healthy: took !== null,
      tookMs: took,
    }
  })
}
