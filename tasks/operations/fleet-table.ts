// Many clusters as one table for a person: a row each, and below it what is wrong, with what helps.
import { clock } from '../core/run.ts'
import { age, chalk, counted, duration, listed, plain, table, wrapped } from '../core/terminal.ts'
import type { ClusterRow } from './fleet-look.ts'
import type { HalfDone } from './fleet-memory.ts'

/** At most 80 columns wide, but for what helps: a command must stay one line, to be pasted. */
export function renderRows(rows: ClusterRow[], half: HalfDone[] = []): string {
  const ill = rows.filter(({ wrong }) => wrong).length
  const parts = [chalk.green(`${rows.length - ill} well`), ...(ill > 0 ? [chalk.red(`${ill} not`)] : [])]
  const heading = `${chalk.bold(counted(rows.length, 'cluster'))}: ${parts.join(', ')}`
  return [heading, '', fitting(rows), ...rows.flatMap(notesOf), ...half.flatMap(halfNote)].join('\n')
}

/** The leader is the first thing to go where there is too little room. */
function fitting(rows: ClusterRow[]): string {
  const all = columns(rows, true)
  const isWide = all.split('\n').some((line) => plain(line).length > 80)
  return isWide ? columns(rows, false) : all
}

function columns(rows: ClusterRow[], leaders: boolean): string {
  const titles = ['CLUSTER', 'UP', ...(leaders ? ['LEADER'] : []), 'ETCD', 'CERTS', 'BACKUP', 'STATE']
  const lines = rows.map((row) => [
    row.cluster,
    upCell(row),
    ...(leaders ? [row.leader ?? '-'] : []),
    row.versions.join(' ') || '-',
    daysCell(row),
    row.backup ? age(clock() - Date.parse(row.backup)) : row.members === null ? '-' : chalk.yellow('none'),
    stateCell(row),
  ])
  return table([titles.map((title) => chalk.dim(title)), ...lines])
}

function upCell({ up, members }: ClusterRow): string {
  if (up === null || members === null) return '-'
  const colour = up === members ? chalk.green : up > members / 2 ? chalk.yellow : chalk.red
  return colour(`${up}/${members}`)
}

function daysCell({ daysLeft, renewBeforeDays }: ClusterRow): string {
  if (daysLeft === null) return '-'
  if (daysLeft < 0) return chalk.red('expired')
  return (daysLeft < renewBeforeDays ? chalk.yellow : chalk.green)(counted(daysLeft, 'day'))
}

function stateCell({ wrong, atWork }: ClusterRow): string {
  if (atWork) return chalk.yellow(`${atWork.verb}, ${duration(Math.max(0, clock() - Date.parse(atWork.since)))}`)
  return wrong ? chalk.red(wrong.code ?? 'cannot look') : chalk.green('well')
}

const halfNote = ({ command, done, left, goOn }: HalfDone): string[] => [
  '',
  chalk.yellow(wrapped(`${command} is half done: ${listed(done)} done, ${listed(left)} not.`, 2)),
  `  Go on: ${goOn}`,
]

function notesOf({ cluster, wrong, advice, atWork }: ClusterRow): string[] {
  const step = atWork?.steps.at(-1)
  const lines = [
    ...(step ? [`${chalk.bold(cluster)}: ${atWork?.verb} is at: ${plain(step)}`] : []),
    ...(wrong ? [wrapped(`${cluster}: ${plain(wrong.sentence)}`, 2).replace(cluster, chalk.bold(cluster))] : []),
    ...(wrong?.remedy ? [`  ${plain(wrong.remedy)}`] : []),
    ...advice.map((one) => `${chalk.bold(cluster)}: ${chalk.yellow(plain(one))}`),
  ]
  return lines.length > 0 ? ['', ...lines] : []
}
