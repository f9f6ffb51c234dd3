// What rotate-ca does, and what it refuses, by how far the change has come. Pure.
import type { Begun } from '../core/cluster.ts'
import type { ChangeStage } from '../etcd/authority-stages.ts'
import type { Finding } from '../etcd/findings.ts'

/** A step: the stage that its files make, and those in which it is done for good. */
export interface Marks {
  makes: ChangeStage
  over: ChangeStage[]
}

/** The steps to another authority, and back to the old one. */
export const marksOf = {
  trust: { makes: 'trusted', over: ['issuing', 'leaving'] },
  issue: { makes: 'issuing', over: ['leaving'] },
  leave: { makes: 'leaving', over: [] },
  issueBack: { makes: 'trusted', over: ['made'] },
  leaveBack: { makes: 'made', over: [] },
} satisfies Record<string, Marks>

/** The step that made this stage, whose proof decides whether it is done; undefined where none is to be asked. */
export const toProve = <S extends Marks>(steps: S[], stage: ChangeStage | undefined): S | undefined =>
  steps.find(({ makes }) => makes === stage)

/**
 * Without the first steps that are done. The last one is never left out: what follows it may be missing.
 * @param proven whether the members show what the step of this stage is to bring about
 */
export function openFrom<S extends Marks>(steps: S[], stage: ChangeStage | undefined, proven: boolean): S[] {
  const isDone = ({ makes, over }: Marks): boolean =>
    stage !== undefined && (over.includes(stage) || (makes === stage && proven))
  const first = steps.findIndex((step) => !isDone(step))
  return first < 0 ? steps.slice(-1) : steps.slice(first)
}

/** Why there is no way back; undefined where there is. `expired`: the old authority has. */
export function whyNotBack(name: string, stage: ChangeStage | undefined, expired: boolean): Finding | undefined {
  if (!stage) return { code: 'no-authority-change', name }
  return stage === 'leaving' || expired ? { code: 'authority-leaving', name } : undefined
}

/** Whose key is needed before the first step: the issuer's, where leaves are due; the other one's; or a new one's. */
export function keyNeeded(stage: ChangeStage | undefined, back: boolean): 'issuer' | 'other' | 'new' | undefined {
  if (back) return stage === 'issuing' ? 'other' : 'issuer'
  if (stage === 'trusted') return 'other'
  if (stage === 'issuing') return 'issuer'
  return stage === 'leaving' ? undefined : 'new'
}

/** Whether recover and restore leave the authority themselves: only once they have begun, when rotate-ca may not. */
export const leavesAuthority = (begun: Begun | undefined, expired: boolean, lacksKey: boolean): boolean =>
  (begun?.verb === 'restore' || begun?.verb === 'recover') && (expired || lacksKey)

/** What keeps members from the change. */
export interface Standing {
  /** The authority that issues has expired. */
  expired: boolean
  /** The new one issues, and the old one has expired, or lacks its key. */
  begun: boolean
  /** Certificates are due, and the authority that issues lacks its key. */
  lacksKey: boolean
}

/** How many members must vote for all to change one after the other; with fewer they start again at once. */
export function votersNeeded({ expired, begun, lacksKey }: Standing, members: number): number {
  // neither of two authorities can issue what is due
  if (expired || (begun && lacksKey)) return Number.POSITIVE_INFINITY
  if (begun) return 1
  return lacksKey ? members : 0
}

/**
 * Whether they must start again at once, by how many vote, and how many refuse the certificates here: where the next
 * authority alone can issue, members that were started with what they had trust nobody who has been given the new ones.
 */
export const mustStartAtOnce = ({ begun }: Standing, needed: number, voting: number, refusing: number): boolean =>
  voting < needed || (begun && refusing > 0)
