// What calls us every few minutes: the text of a systemd timer and of a line in a crontab, and which of them it is to
// be. Pure.
import { shellQuoted } from '../core/shell.ts'
import { tickMinutes } from './due.ts'

export const timerKinds = ['system', 'user', 'cron'] as const
export type TimerKind = (typeof timerKinds)[number]

/** For people. */
export const timerNames: Record<TimerKind, string> = {
  system: 'a systemd timer',
  user: "a systemd timer of the user's own",
  cron: "a line in the user's crontab",
}

/** What this machine has. `lingers`: the user's timers run while they are not logged in, too. */
export interface Machine {
  systemd: boolean
  root: boolean
  lingers: boolean
  crontab: boolean
}

/** Undefined: there is nothing that would call us while nobody is logged in. */
export function kindFor({ systemd, root, lingers, crontab }: Machine): TimerKind | undefined {
  if (systemd && root) return 'system'
  if (systemd && lingers) return 'user'
  return crontab ? 'cron' : undefined
}

/** `script`: the file that is called. `name`: of this cluster in this home folder, and of no other. */
export interface Tick {
  name: string
  cluster: string
  script: string
}

/** The script: all that a timer's bare environment lacks is in it, so that unit and crontab hold a path and no more. */
export function tickScript(cluster: string, folder: string, words: string[], environment: [string, string][]): string {
  const variables = environment.map(([name, value]) => `${name}=${shellQuoted(value)}`)
  const repair = `npx zx scripts/schedule.ts --cluster ${cluster} --repair`
  const gone = `Nothing is done: ${folder} or its Node is gone. Where ha-etcd is now, run: ${repair}`
  return `#!/bin/sh
# Made by scripts/schedule.ts. A timer calls it: it does what is due on cluster ${cluster}.
export ${variables.join(' \\\n  ')}
if ! cd ${shellQuoted(folder)} || [ ! -x ${shellQuoted(words[0] ?? '')} ]; then
  echo ${shellQuoted(gone)} >&2
  exit 1
fi
exec ${words.map(shellQuoted).join(' ')} --run --cluster ${cluster}
`
}

/** In double quotes, as systemd reads the words of a unit: %, $, " and \ stand for themselves (systemd.service(5)). */
const unitQuoted = (text: string): string =>
  `"${text.replaceAll('%', '%%').replaceAll('$', '$$$$').replace(/[\\"]/g, '\\$&')}"`

/**
 * KillMode: a member's keeper that is started again by what we run lives on when that has ended. A script that is gone
 * is no failure.
 */
export const units = ({ name, cluster, script }: Tick): Record<string, string> => ({
  [`${name}.service`]: `[Unit]
Description=What is due on etcd cluster ${cluster}
ConditionPathExists=${script.replaceAll('%', '%%')}

[Service]
Type=oneshot
KillMode=process
ExecStart=/bin/sh ${unitQuoted(script)}
`,
  [`${name}.timer`]: `[Unit]
Description=Looks every ${tickMinutes} minutes what is due on etcd cluster ${cluster}

[Timer]
OnCalendar=*:0/${tickMinutes}

[Install]
WantedBy=timers.target
`,
})

/** By its end a line is known as ours, and for which cluster it is. */
const markOf = ({ name }: Pick<Tick, 'name'>): string => ` # ${name}`

/** cron ends a command at the first % that has no \ before it (crontab(5)). */
export function cronLine(tick: Tick): string {
  const script = shellQuoted(tick.script).replaceAll('%', '\\%')
  return `*/${tickMinutes} * * * * test ! -f ${script} || exec /bin/sh ${script}${markOf(tick)}`
}

/** The crontab with this line of ours, or without it; every other line stays as it is. */
export function crontabWith(crontab: string, tick: Tick, line: string | undefined): string {
  const lines = crontab.split('\n')
  const isOurs = (one: string): boolean => !one.startsWith('#') && one.endsWith(markOf(tick))
  const others = lines.flatMap((one) => (isOurs(one) ? [] : [one]))
  if (line === undefined) return others.length === lines.length ? crontab : others.join('\n')
  if (lines.includes(line) && others.length === lines.length - 1) return crontab
  const before = others.join('\n')
  return `${before}${before === '' || before.endsWith('\n') ? '' : '\n'}${line}\n`
}
