// The note of a drill at work: whose cluster it is, what undoes what it has done to hosts, and what heals the cluster.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { writeFileAtomic } from '../core/files.ts'
import { birthOf } from '../core/processes.ts'
import { clusterPaths, readNote } from '../core/record.ts'
import { attempt } from '../etcd/certificates.ts'

/** A verb with its words. */
export type Line = [verb: string, ...words: string[]]

/** A script on a host that takes back what was done there; done twice, it does no harm. */
export interface Undo {
  host: string
  script: string
}

interface Noted {
  /** Of the drill at work; its birth tells it from a later process with the same pid. */
  pid?: number
  birth?: string | undefined
  /** It made its cluster for itself alone. */
  scratch?: boolean
  /** What a drill has done to hosts and not taken back. */
  undos?: Undo[]
  /** What heals that which a drill has broken and not healed. */
  heal?: Line | null
}

const fileOf = (state: string): string => join(state, 'drill.json')

/**
 * Whether a cluster is one that a drill made for itself, and was killed before it could remove it. A note that is
 * damaged hides no cluster.
 */
export const isOfDrill = (name: string): boolean =>
  attempt(() => noted(fileOf(clusterPaths(name).state)))?.scratch === true

const noted = (path: string): Noted =>
  readNote(
    path,
    v.custom<Noted>((value) => typeof value === 'object' && value !== null),
    helps,
  ) ?? {}

const helps = 'run up: what a drill has done to hosts they take back by themselves after three minutes'

/** A file of the cluster's, which outlives a drill that is killed. */
export class Mark {
  readonly #path: string
  readonly #name: string

  constructor({ name, paths }: Cluster) {
    this.#path = fileOf(paths.state)
    this.#name = name
  }

  get noted(): Noted {
    return noted(this.#path)
  }

  /** @throws OperationError while another drill is at work */
  async requireIdle(): Promise<void> {
    const { pid, birth } = this.noted
    if (pid !== undefined && birth !== undefined && (await birthOf(pid)) === birth)
      throw new OperationError(`A drill is at work on ${this.#name} (pid ${pid}).`, { hint: 'Wait for it, or end it.' })
  }

  note(more: Noted): void {
    writeFileAtomic(this.#path, JSON.stringify({ ...this.noted, ...more }), 0o600)
  }

  /** @returns what to call once the undo is known better */
  foresee(undo: Undo): (better: Undo) => void {
    const { undos = [] } = this.noted
    this.note({ undos: [...undos, undo] })
    return (better) => this.note({ undos: [...undos, better] })
  }

  /** Takes back what a drill has done to hosts. */
  async undo(by: (undo: Undo) => Promise<unknown>): Promise<void> {
    const { undos = [] } = this.noted
    await Promise.all(undos.map(by))
    if (undos.length > 0) this.note({ undos: [] })
  }

  forget(): void {
    rmSync(this.#path, { force: true })
  }
}
