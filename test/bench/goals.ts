// What a bench promised and what it measured, as a table.
import { table } from '../../tasks/core/terminal.ts'

export interface Goal {
  what: string
  value: number
  unit: string
  most: number
}

export const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** Prints the goals; returns the exit code. */
export function judge(goals: Goal[], rounds: number): number {
  const rows = goals.map(({ what, value, unit, most }) => [
    what,
    `${value.toFixed(2)}${unit}`,
    `<= ${most}${unit}`,
    value <= most ? 'met' : 'MISSED',
  ])
  console.log(table([['medians of', String(rounds), 'goal', ''], ...rows]))
  return goals.every(({ value, most }) => value <= most) ? 0 : 1
}
