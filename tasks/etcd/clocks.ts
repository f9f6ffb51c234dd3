// Whether this machine's clock is right by the others': a wrong one issues certificates that nobody accepts.
import { existsSync } from 'node:fs'
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { clock, run } from '../core/run.ts'
import { ask } from '../core/shell.ts'
import { age, listed } from '../core/terminal.ts'
import { backdate } from '../core/x509.ts'
import { identityAt, knock } from './probe.ts'
import { sshOptions } from './reach.ts'

/** By how many ms this machine's clock is ahead of a host's; negative where it is behind. */
export interface Reading {
  host: string
  ahead: number
}

const sshMs = 10_000

/**
 * To be called before anything is issued. Who does not answer is passed over; where nobody does, as before the first
 * start on this machine, there is nothing to compare.
 * @throws OperationError where this machine's clock is off
 */
export async function requireRightClock(cluster: Cluster): Promise<void> {
  const { refusal, warnings } = judgeClocks(await readClocks(cluster))
  if (refusal) throw refusal
  run().warnings.push(...warnings.filter((warning) => !run().warnings.includes(warning)))
}

/**
 * Who is off. Certificates are backdated by 5 minutes, so a difference up to that does no harm. Where more than half of
 * the others differ from this machine, it is the one that is off; else those that differ are.
 */
export function judgeClocks(readings: Reading[]): { refusal?: OperationError; warnings: string[] } {
  const off = readings.filter(({ ahead }) => Math.abs(ahead) > backdate)
  const apart = ({ ahead }: Reading): string => `${age(Math.abs(ahead))} ${ahead > 0 ? 'ahead of' : 'behind'}`
  const warning = (reading: Reading): string =>
    `This machine's clock is ${apart(reading)} ${reading.host}, and right by the others: ` +
    `${reading.host} may refuse new certificates. Set its clock right (timedatectl, chrony).`
  if (off.length * 2 <= readings.length) return { warnings: off.map(warning) }
  const words = [...new Set(off.map(apart))].map(
    (words) => `${words} ${listed(off.filter((reading) => apart(reading) === words).map(({ host }) => host))}`,
  )
  const wrong = off.length > 1 ? 'it' : 'the one of the two that is wrong'
  const hint = `Set ${wrong} right (timedatectl, chrony), then run the same command again.`
  return {
    refusal: new OperationError(`This machine's clock is ${listed(words)}: nothing was issued.`, { hint }),
    warnings: [],
  }
}

/** Every host at once: its member's by the date of an HTTPS answer, else its own over ssh. Local hosts share ours. */
async function readClocks(cluster: Cluster): Promise<Reading[]> {
  const clocks = await Promise.all(
    cluster.hosts.map(async (host) => {
      const theirs = (await memberClock(cluster, host)) ?? (await hostClock(cluster, host))
      return theirs === undefined || Number.isNaN(theirs) ? [] : [{ host: host.name, ahead: clock() - theirs }]
    }),
  )
  return clocks.flat()
}

/**
 * Asked with the client's certificate; where that is missing or refused with the host's server certificate, which etcd
 * takes for a client's, too. Whatever the member shows is accepted: by a wrong clock a good certificate seems bad.
 */
async function memberClock(cluster: Cluster, host: Host): Promise<number | undefined> {
  for (const file of ['etcd-client', `${host.name}/server`]) {
    const as = identityAt(cluster, file)
    if (!as) continue
    const probe = await knock(cluster, host, { as })
    if (probe.kind === 'answered' && probe.date) return Date.parse(probe.date)
    if (probe.kind === 'closed') return undefined
  }
  return undefined
}

async function hostClock(cluster: Cluster, { name }: Host): Promise<number | undefined> {
  if (cluster.provider === 'local' || !existsSync(cluster.paths.sshConfig)) return undefined
  const { stdout, exitCode } = await ask('ssh', [...sshOptions(cluster), name, 'date +%s'], { timeout: sshMs })
  return exitCode === 0 && /^\d+\s*$/.test(stdout) ? Number(stdout) * 1000 : undefined
}
