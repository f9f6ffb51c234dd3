// What the hosts offer, before anything is changed on them: the role's own checks, as one table.
import { isIPv4 } from 'node:net'
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { type Architecture, byUname } from '../core/machines.ts'
import { asOne } from '../core/pipeline.ts'
import { chalk, plain, table } from '../core/terminal.ts'
import { saidByHosts } from '../etcd/playbook.ts'

/** One check on one host, as the role's module etcd_doctor reports it. */
export interface HostCheck {
  check: string
  ok: boolean
  warning: boolean
  detail: string
  remedy: string
  /** With check architecture: what the host calls its machine. */
  machine?: string
}

/** Each host's checks, by its name. Changes nothing. @throws OperationError for a host that cannot be reached */
export async function checkHosts(cluster: Cluster, onTask: (name: string) => void): Promise<Map<string, HostCheck[]>> {
  const found = await saidByHosts<HostCheck[]>(cluster, { playbook: 'doctor', onTask })
  return new Map(cluster.hosts.map(({ name }) => [name, found.get(name) ?? []]))
}

const rowsOf = (found: Map<string, HostCheck[]>): (HostCheck & { host: string })[] =>
  [...found].flatMap(([host, list]) => list.map((row) => ({ host, ...row })))

/** The architectures of hosts that the programs are not made for. */
export const lackingPrograms = (found: Map<string, HostCheck[]>): Architecture[] => {
  const rows = rowsOf(found).filter(({ check, ok }) => check === 'architecture' && !ok)
  return [...new Set(rows.flatMap(({ machine = '' }) => byUname(machine) ?? []))]
}

/** A row for each check, a column for each host (as many side by side as 80 columns hold); complaints below. */
export function hostTable(found: Map<string, HostCheck[]>): string {
  const checks = [...new Set(rowsOf(found).map(({ check }) => check))]
  const mark = (row: HostCheck | undefined): string =>
    !row ? '' : !row.ok ? chalk.red('✖') : row.warning ? chalk.yellow('!') : chalk.green('✔')
  const titles = withoutSharedDomain([...found.keys()])
  const hosts = [...found.values()].map((list, index) => ({ title: titles[index] ?? '', list }))
  const width = (cells: string[]): number => Math.max(...cells.map((cell) => cell.length)) + 2
  const atOnce = Math.max(1, Math.floor((82 - width(['', ...checks])) / width(titles)))
  const tables = hosts
    .flatMap((_, index) => (index % atOnce === 0 ? [hosts.slice(index, index + atOnce)] : []))
    .map((some) =>
      table([
        ['', ...some.map(({ title }) => title)],
        ...checks.map((check) => [check, ...some.map(({ list }) => mark(list.find((row) => row.check === check)))]),
      ]),
    )
  return [tables.join('\n\n'), ...complaints(found)].join('\n')
}

/** s1 for s1.example.com where all names end like that. */
function withoutSharedDomain(names: string[]): string[] {
  const domains = new Set(names.map((name) => (isIPv4(name) ? '' : name.replace(/^[^.]*/, ''))))
  return domains.size === 1 ? names.map((name) => name.slice(0, name.length - String([...domains]).length)) : names
}

/** What is wrong, a line each, failures first; warnings go to the end of the run as well. */
function complaints(found: Map<string, HostCheck[]>): string[] {
  return rowsOf(found)
    .filter(({ ok, warning }) => !ok || warning)
    .sort((a, b) => Number(a.ok) - Number(b.ok))
    .map(({ host, ok, detail, remedy }) =>
      `${ok ? chalk.yellow('!') : chalk.red('✖')} ${host}: ${plain(`${detail} ${remedy}`)}`.trim(),
    )
}

/** The first host that cannot carry etcd, and what to do; the others below. Undefined where all can. */
export function unfit(found: Map<string, HostCheck[]>): OperationError | undefined {
  const failures = rowsOf(found).filter(({ ok }) => !ok)
  return asOne(failures.map(({ host, detail, remedy }) => new OperationError(`${host}: ${detail}`, { hint: remedy })))
}
