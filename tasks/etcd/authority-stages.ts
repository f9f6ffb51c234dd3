// How far a change of the authority has come, and who issues: by what lies under certs/<cluster>/. Pure; an authority
// goes by any name that only it has, such as its fingerprint.
import { join } from 'node:path'

/**
 * made: the next authority's key lies here, and nobody trusts it. trusted: ca.crt has both, and the old one issues.
 * issuing: ca.crt has both, and the new one issues. leaving: ca.crt has the new one only.
 */
export type ChangeStage = 'made' | 'trusted' | 'issuing' | 'leaving'

/** Beside ca.crt and ca.key while the authority is changed: the next one's key, then the certificate of the old one. */
export const changeFiles = ({ paths: { certs } }: { paths: { certs: string } }) => ({
  nextKey: join(certs, 'next-ca.key'),
  oldCertificate: join(certs, 'old-ca.crt'),
})

/** What lies here of the authorities. */
export interface Papers {
  /** In ca.crt, in its order. */
  trusted: string[]
  /** In old-ca.crt. */
  old?: string | undefined
  /** Whether next-ca.key is there. */
  hasNextKey: boolean
}

/** The one that issues: the first that is not the old one. */
export const issuerOf = ({ trusted, old }: Pick<Papers, 'trusted' | 'old'>): string | undefined =>
  trusted.find((one) => one !== old) ?? trusted[0]

/** The one that comes, before the old one has a file of its own; else the one that has come. */
export const nextOf = ({ trusted, old }: Pick<Papers, 'trusted' | 'old'>, own = trusted): string | undefined =>
  own.find((one) => one !== (old ?? issuerOf({ trusted })))

/** Undefined: no change is under way. `own`: of those in ca.crt the cluster's own. */
export function stageOf({ trusted, old, hasNextKey }: Papers, own = trusted): ChangeStage | undefined {
  if (old) return trusted.includes(old) ? 'issuing' : 'leaving'
  if (!hasNextKey) return undefined
  return nextOf({ trusted }, own) ? 'trusted' : 'made'
}

/** The key's file of the one that issues. The next one's gets the name ca.key only at the end of a change. */
export const keyOfIssuer = ({ old, hasNextKey }: Omit<Papers, 'trusted'>): 'ca.key' | 'next-ca.key' =>
  old && hasNextKey ? 'next-ca.key' : 'ca.key'

/**
 * ca.crt with one more. Whatever was trusted stays so: members may have certificates of an earlier change whose files
 * were lost here. `issuer`: none or one.
 */
export function withNext<T>(trusted: T[], issuer: T[], next: T, nameOf: (one: T) => string): T[] {
  const names = issuer.map(nameOf)
  return [...issuer, next, ...trusted.filter((one) => !names.includes(nameOf(one)))]
}

/** The authority that is to go. */
export interface OldOne {
  hasExpired: boolean
  hasKey: boolean
}

/** What is said of a change that is under way: the second one offers the way back. */
export const adviceOn = (stage: ChangeStage, old: OldOne): 'authority-leaving' | 'authority-changing' =>
  stage === 'leaving' || old.hasExpired || (stage === 'issuing' && !old.hasKey)
    ? 'authority-leaving'
    : 'authority-changing'

/**
 * Which way out there is where the key of that authority is lost. Of the next one it is the way back, also once that
 * one issues, as long as the old one can issue again.
 */
export function codeOfLostKey(
  papers: Papers,
  whose: string,
  old: OldOne,
  own = papers.trusted,
): 'no-authority-key' | 'no-next-authority-key' {
  const stage = stageOf(papers, own)
  const isNext = whose !== (papers.old ?? issuerOf(papers))
  return stage && isNext && adviceOn(stage, old) === 'authority-changing' ? 'no-next-authority-key' : 'no-authority-key'
}
