// Whom each trusts while the authority of a cluster in memory is changed: here, on the hosts, and in their members. An
// authority is a letter.
import {
  type ChangeStage,
  codeOfLostKey,
  issuerOf,
  keyOfIssuer,
  nextOf,
  type OldOne,
  type Papers,
  stageOf,
  withNext,
} from '../../tasks/etcd/authority-stages.ts'
import type { Finding } from '../../tasks/etcd/findings.ts'

/** On a host: its ca.crt, who signed its certificates and the client's, and the ca.crt that its member has read. */
interface OnHost {
  trusted: string
  leaf: string
  client: string
  runs: string
}

export interface Trust {
  /** ca.crt here, and old-ca.crt. */
  trusted: string
  old?: string | undefined
  /** Whose keys are in ca.key and next-ca.key. */
  key?: string | undefined
  nextKey?: string | undefined
  /** Those whose keys are here and nobody can open. */
  closed?: string | undefined
  /** Whose the certificates here are, by host; the client's has no host. */
  leaves: Record<string, string | undefined>
  hosts: Record<string, OnHost | undefined>
  /** The authority that has expired. */
  expired?: string | undefined
}

export const ofClient = ''

/** All is of one authority; its key is there, lost, or of no use. */
export function oneAuthority(hosts: string[], keyless: 'lost' | 'closed' | undefined): Trust {
  const there: OnHost = { trusted: 'a', leaf: 'a', client: 'a', runs: 'a' }
  return {
    trusted: 'a',
    key: keyless === 'lost' ? undefined : 'a',
    closed: keyless === 'closed' ? 'a' : undefined,
    leaves: Object.fromEntries([...hosts, ofClient].map((host) => [host, 'a'])),
    hosts: Object.fromEntries(hosts.map((host) => [host, there])),
  }
}

const papersOf = ({ trusted, old, nextKey }: Trust): Papers => ({
  trusted: [...trusted],
  old,
  hasNextKey: nextKey !== undefined,
})
export const issuer = (trust: Trust): string => issuerOf(papersOf(trust)) ?? ''
export const stage = (trust: Trust): ChangeStage | undefined => stageOf(papersOf(trust))
const keyHere = (trust: Trust): string | undefined =>
  keyOfIssuer(papersOf(trust)) === 'ca.key' ? trust.key : trust.nextKey
const isClosed = ({ closed = '' }: Trust, key: string | undefined): boolean => key !== undefined && closed.includes(key)
export const hasIssuersKey = (trust: Trust): boolean =>
  keyHere(trust) === issuer(trust) && !isClosed(trust, issuer(trust))
/** What is to be known of the issuer's key, once all is of one authority. */
export function keylessBy(trust: Trust): 'lost' | 'closed' | undefined {
  if (keyHere(trust) !== issuer(trust)) return 'lost'
  return isClosed(trust, issuer(trust)) ? 'closed' : undefined
}

/** Nobody knows the passphrase of the keys that are here; whether there is one that opens. */
export const closed = (trust: Trust): Trust => ({ ...trust, closed: [trust.key, trust.nextKey].join('') })
export const isAnyOpen = (trust: Trust): boolean =>
  [trust.key, trust.nextKey].some((key) => key !== undefined && !isClosed(trust, key))
export const withoutClosedKeys = (trust: Trust): Trust => ({
  ...trust,
  key: isClosed(trust, trust.key) ? undefined : trust.key,
  nextKey: isClosed(trust, trust.nextKey) ? undefined : trust.nextKey,
})
/** The one of the two that does not issue, and whether its key is there. */
export const other = (trust: Trust): { name: string | undefined; hasKey: boolean } => {
  const name = trust.old ?? nextOf(papersOf(trust))
  const hasKey = name !== undefined && (trust.old ? trust.key : trust.nextKey) === name && !isClosed(trust, name)
  return { name, hasKey }
}

/** What is left of the one that is to go; and which way out is named where that one's key is lost. */
export const oldOne = ({ old, key, expired }: Trust): OldOne => ({
  hasExpired: expired !== undefined && expired === old,
  hasKey: key !== undefined,
})
export function lostKey(trust: Trust, whose: string, what?: string): Finding {
  const lost = codeOfLostKey(papersOf(trust), whose, oldOne(trust))
  const isHere = [trust.key, trust.nextKey].includes(whose)
  return isHere && isClosed(trust, whose)
    ? { code: 'authority-key-closed', reason: '', lost, what }
    : { code: lost, at: '', reason: '', what }
}

export const isLeafDue = (trust: Trust, host: string): boolean => trust.leaves[host] !== issuer(trust)

/** Each of the two lets the other in. */
export function hear({ hosts }: Trust, one: string, another: string): boolean {
  const [here, there] = [hosts[one], hosts[another]]
  return here !== undefined && there !== undefined && here.runs.includes(there.leaf) && there.runs.includes(here.leaf)
}

/** Whether a member shows us what we trust; and whether it lets in who has a certificate of that authority. */
export const isTrusted = ({ trusted, hosts }: Trust, host: string): boolean =>
  trusted.includes(hosts[host]?.leaf ?? '-')
export const admits = ({ hosts }: Trust, host: string, authority = '-'): boolean =>
  hosts[host]?.runs.includes(authority) === true

/** The certificates that are due are issued, those of these hosts only where any are named. */
export function issued(trust: Trust, hosts: string[]): Trust {
  const by = issuer(trust)
  return { ...trust, leaves: { ...trust.leaves, ...Object.fromEntries(hosts.map((host) => [host, by])) } }
}

/** A host gets what lies here. `restarts`: its member reads ca.crt, too. */
export function installed(trust: Trust, host: string, restarts: boolean): Trust {
  const { trusted, leaves, hosts } = trust
  const runs = restarts ? trusted : (hosts[host]?.runs ?? trusted)
  const there = { trusted, leaf: leaves[host] ?? '', client: leaves[ofClient] ?? '', runs }
  return { ...trust, hosts: { ...hosts, [host]: there } }
}

/** Its member starts with what lies on its host. */
export function restarted(trust: Trust, host: string): Trust {
  const there = trust.hosts[host]
  return there ? { ...trust, hosts: { ...trust.hosts, [host]: { ...there, runs: there.trusted } } } : trust
}

export const isInstalled = ({ trusted, leaves, hosts }: Trust, host: string): boolean =>
  hosts[host]?.trusted === trusted && hosts[host].leaf === leaves[host] && hosts[host].runs === trusted

export const forgotten = (trust: Trust, host: string): Trust => ({
  ...trust,
  hosts: { ...trust.hosts, [host]: undefined },
  leaves: { ...trust.leaves, [host]: undefined },
})

/** A letter that nothing bears. */
function another({ trusted, old, key, nextKey, closed, leaves, hosts }: Trust): string {
  const there = Object.values(hosts).map((one) => Object.values(one ?? {}).join(''))
  const used = [trusted, old, key, nextKey, closed, ...Object.values(leaves), ...there].join('')
  return [...'abcdefgh'].find((letter) => !used.includes(letter)) ?? '?'
}

/** One more is trusted; it does not issue yet. */
export function trustNext(trust: Trust): Trust {
  const next = another(trust)
  const by = issuer(trust)
  return { ...trust, nextKey: next, trusted: withNext([...trust.trusted], [...by], next, (one) => one).join('') }
}

/** What each of the files is written for: as in tasks/pki/change.ts. */
export const files = {
  trust: (trust: Trust): Trust => (['made', undefined].includes(stage(trust)) ? trustNext(trust) : trust),
  issue: (trust: Trust): Trust => (stage(trust) === 'trusted' ? { ...trust, old: issuer(trust) } : trust),
  issueBack: (trust: Trust): Trust => (stage(trust) === 'issuing' ? { ...trust, old: undefined } : trust),
  leave: (trust: Trust): Trust => ({ ...trust, trusted: issuer(trust) }),
  leaveBack: (trust: Trust): Trust => ({ ...trust, trusted: issuer(trust) }),
  forgetOld: ({ key, nextKey, ...trust }: Trust): Trust => ({
    ...trust,
    key: nextKey ?? key,
    nextKey: undefined,
    old: undefined,
  }),
  forgetNext: (trust: Trust): Trust => ({ ...trust, nextKey: undefined }),
}

/** What up hosts still have, once all is lost here: the keys are gone. Undefined where none has an authority. */
export function takenBack(trust: Trust, up: string[]): Trust | undefined {
  const has = up.flatMap((host) => trust.hosts[host] ?? [])
  const [first] = has
  if (!first) return undefined
  const leaves = Object.fromEntries(up.map((host) => [host, trust.hosts[host]?.leaf]))
  return { trusted: first.trusted, leaves: { ...leaves, [ofClient]: first.client }, hosts: trust.hosts }
}

/** Texts that are the same, but for the letters, where the same is trusted: here, and on each host. */
export function keysOf(trust: Trust): { here: string; host: (name: string) => string } {
  const letters = new Map<string, number>()
  const numberOf = (letter: string): number => {
    const number = letters.get(letter) ?? letters.size
    letters.set(letter, number)
    return number
  }
  const renamed = (text = ''): string => [...text].map(numberOf).join('') || '-'
  const { trusted, old, key, nextKey, closed = '', leaves, hosts, expired } = trust
  const isThere = (letter: string): boolean => letter === key || letter === nextKey
  const ofNoUse = [...closed].filter(isThere).join('')
  const here = [trusted, old, key, nextKey, ofNoUse, leaves[ofClient], expired].map(renamed).join(' ')
  return {
    here,
    host: (name) => {
      const there = hosts[name]
      return [leaves[name], there?.trusted, there?.leaf, there?.client, there?.runs].map(renamed).join(' ')
    },
  }
}
