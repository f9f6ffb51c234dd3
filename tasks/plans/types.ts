// The words that plans are made of: what is seen of a cluster, what can be done to it, and what is next. Values only.
import type { Finding } from '../etcd/findings.ts'

/** What a host's etcd says of itself when it is asked. */
export interface Answer {
  /** Its member's id. */
  member: string
  learner: boolean
  /** It knows a leader. */
  follows: boolean
  /** It commits: a learner does not. */
  commits: boolean
  /** How far its raft log goes. */
  index: number
  /** The etcd that it runs. */
  version: string
  /**
   * The version that its cluster works at, which etcd raises once every member runs the next, and the one that its
   * database is written for ('' before 3.6), both as 3.6.0.
   */
  works?: string | undefined
  written?: string | undefined
}

/** One host at one moment. */
export interface HostSeen {
  /** It is up, Ansible can reach it, and its certificates are here; false where that is not asked. */
  ready: boolean
  /** Its etcd was stopped, and what it had of data moved aside. */
  empty: boolean
  /** Undefined: its etcd does not answer. */
  answer?: Answer | undefined
  /** Another tool runs it; there while hosts of ours take its cluster over. */
  foreign?: true | undefined
}

/** One member, as a cluster with a quorum lists it. */
export interface MemberSeen {
  id: string
  /** The host that it lives on; undefined for a stranger. */
  host?: string | undefined
  learner: boolean
  /** It has run before: from then on it has a name. */
  started: boolean
}

export interface Observation {
  /** By name: the recorded hosts, and those that are to come. */
  hosts: Record<string, HostSeen>
  /** Undefined: no quorum answers. */
  members?: MemberSeen[] | undefined
  /** The host that leads; undefined where none does, or it is a stranger. */
  leader?: string | undefined
  /** What is wrong with the recorded members. */
  findings: Finding[]
  /** Its etcd adds nobody while any voter is down (before 3.5.30). */
  strict: boolean
  /** The hosts that the record names, in its order. */
  recorded: string[]
  /** What the record says of a replacement that was begun: the members that are to go, by host. */
  replacing: Record<string, string>
  /** The version of etcd that the record names, and the one of a move that was begun and is not done. */
  version?: string | undefined
  upgradingTo?: string | undefined
  /** The version (as 3.5.0) of a downgrade that is enabled; undefined, too, where etcdctl is too old to tell. */
  downgradingTo?: string | undefined
  /** The version to move to, where its programs are here. */
  programs?: string | undefined
  /** The proven backups, by name. */
  backups: string[]
  /**
   * Hosts whose member lacks a snapshot of its own, without which the next etcd does not start; and for local hosts the
   * folder of the etcd that they run.
   */
  uncovered: Record<string, string>
  /** What the run that is at work has done, the last one last; a run that is killed forgets it. */
  done: Act[]
}

/** One member's turn to be restarted. */
export interface Turn {
  host: string
  /** Leadership is handed over before. */
  leads: boolean
  /** The etcd that it runs before; undefined where none answers. */
  runs: string | undefined
}

/** All that can be done to a cluster. */
export type Act =
  | { do: 'record host'; host: string }
  | { do: 'note who goes'; host: string; id: string }
  | { do: 'bring up'; host: string }
  | { do: 'hand over'; from: string; to: string }
  | { do: 'set aside'; host: string }
  | { do: 'remove member'; host: string; id: string }
  | { do: 'add learner'; host: string }
  | { do: 'start learner'; host: string; version: string }
  | { do: 'promote'; host: string; id: string }
  | { do: 'remove host'; host: string }
  | { do: 'forget host'; host: string }
  | { do: 'compact' }
  | { do: 'defragment'; host: string }
  | { do: 'disarm' }
  | { do: 'prove a write' }
  | { do: 'back up' }
  | { do: 'get programs'; version: string }
  | { do: 'record target'; version: string }
  | { do: 'take snapshots'; hosts: string[]; programs: string }
  | { do: 'enable downgrade'; minor: string }
  | { do: 'install'; version: string; turns: Turn[] }
  | { do: 'end downgrade' }
  | { do: 'verify'; version: string }
  | { do: 'record version'; version: string }

/** Why a plan cannot go on; the sentence and its remedy are made from it where it is shown. */
export type Obstacle =
  | { code: 'no-quorum' }
  | { code: 'quorum-at-risk'; host: string; voters: number; needed: number; well: number }
  | { code: 'no-heir'; host: string }
  | { code: 'voters-down'; hosts: string[] }
  | { code: 'stranger-member'; id: string; is: string }
  | { code: 'other-learner'; host: string | undefined; id: string }
  | { code: 'others-ill'; host: string; hosts: string[] }
  | { code: 'silent'; host: string }
  | { code: 'other-version'; host: string; is: string | undefined; due: string }
  | { code: 'strange-version'; host: string; is: string; from: string; to: string }
  | { code: 'mixed-versions'; host: string; is: string; most: string | undefined }
  | { code: 'no-way-back'; is: string; due: string }
  | { code: 'refused'; act: Act; why: string }

/** What is to be done next, or why nothing can be, or that nothing is left to do. */
export type Next = { act: Act } | { obstacle: Obstacle } | 'done'

/** What a verb wants, asked again after each act. Pure: no clock, no file, no network. */
export type Rules = (seen: Observation) => Next
