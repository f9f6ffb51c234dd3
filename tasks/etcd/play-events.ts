// What Ansible tells us of a play: the events of templates/ansible/callback_plugins/etcd_events.py.

/** Something that is not as it must be, as the role says it: a code for us, the rest for a person. */
export interface RoleFinding {
  code: string
  /** The host that it concerns; none where it concerns all. */
  host?: string
  /** All that it concerns, where there may be several. */
  hosts?: string[]
  detail: string
  /** What helps somebody who uses the role alone. */
  remedy?: string
  /** A program's own last words. */
  output?: string
}

/** What a module, a command or whoever tried to reach a host said of its failure. */
export type Told = Partial<
  Record<'msg' | 'stdout' | 'stderr' | 'module_stdout' | 'module_stderr' | 'exception', string>
>

/** A failure: the role's refusal, which concerns all hosts, or what happened on one. */
export type PlayFailure =
  | { event: 'refused'; findings: RoleFinding[] }
  | { event: 'failed'; host: string; finding?: RoleFinding; told: Told }
  | { event: 'unreachable'; host: string; told: Told }

/** What a task changed on a host, or would change. `act`: its module and action, as etcd_host.restart. */
export interface Change {
  host: string
  act: string
  name: string
  /** With --diff. */
  diff: string
}

export type PlayEvent =
  | PlayFailure
  | { event: 'task'; act: string; name: string }
  | ({ event: 'changed' } & Change)
  | { event: 'said'; host: string; said: unknown }
  /** How many tasks changed something, by host. */
  | { event: 'ended'; changed: Record<string, number> }
