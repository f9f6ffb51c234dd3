// A verb on its way over many clusters, as a person sees it: a line for each that has ended, and on a terminal below
// them, drawn again and again, those at work with the step that they are at.
import { clock, print, run } from '../core/run.ts'
import { chalk, duration, plain } from '../core/terminal.ts'

const drawnEachMs = 300

export interface Show {
  begins: (name: string) => void
  isAt: (name: string, steps: string[]) => void
  /** `line`: what became of it. */
  ends: (name: string, line: string) => void
  close: () => void
}

/** `waiting`: how many have not begun. `lines`: false where only those at work are shown. */
export function show(waiting: () => number, lines = true): Show {
  const { json, stdout, verbose } = run()
  const atWork = new Map<string, { since: number; step: string }>()
  let drawn = 0
  const say = (text: string): void => {
    if (!json) print(text)
  }
  const wipe = (): void => {
    if (drawn > 0) say(`\x1b[${drawn}A\x1b[J`)
    drawn = 0
  }
  const isLive = stdout.isTTY === true && !json && !verbose
  const draw = (): void => {
    wipe()
    const width = (stdout.columns || 80) - 1
    const rows = [...atWork].map(([name, { since, step }]) => `… ${name}  ${duration(clock() - since)}  ${plain(step)}`)
    if (atWork.size > 0 && waiting() > 0) rows.push(`  ${waiting()} to come`)
    say(rows.map((line) => `${chalk.dim(cut(line, width))}\n`).join(''))
    drawn = rows.length
  }
  const timer = isLive ? setInterval(draw, drawnEachMs) : undefined
  return {
    begins: (name) => {
      atWork.set(name, { since: clock(), step: '' })
      if (!isLive && lines) say(`${name}: begins\n`)
    },
    isAt: (name, steps) => {
      const one = atWork.get(name)
      if (one) one.step = steps.at(-1) ?? ''
    },
    ends: (name, line) => {
      wipe()
      atWork.delete(name)
      if (lines) say(isLive ? `${cut(line, stdout.columns || 80)}\n` : `${line}\n`)
      if (isLive) draw()
    },
    close: () => {
      clearInterval(timer)
      wipe()
    },
  }
}

/** Cut, not wrapped: what is drawn again must keep its number of lines. */
const cut = (line: string, width: number): string =>
  plain(line).length > width ? `${line.slice(0, width + line.length - plain(line).length - 1)}…` : line
