// X.509: key pairs, authorities and leaf certificates. node:crypto makes keys and signatures, node-forge the
// certificate around them.
import {
  createHash,
  generateKeyPair,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import type { asn1, pki } from 'node-forge'
import { UsageError } from './errors.ts'
import { canonical } from './ip.ts'
import type { KeyAlgorithm } from './schema.ts'

export interface KeyPair {
  publicKey: KeyObject
  privateKey: KeyObject
}

export interface Authority {
  certificate: X509Certificate
  key: KeyObject
}

/** The extended key usages we issue, by their object identifiers (RFC 5280, 4.2.1.12). */
export const usageIdentifiers = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' } as const
export type Usage = keyof typeof usageIdentifiers

export interface Subject {
  commonName: string
  organization: string
}

export interface Profile extends Subject {
  sans: string[]
  usages: Usage[]
  /** Its last moment, never after its authority's: days from now, or a date (a past one for an expired certificate). */
  ends: number | Date
}

export const day = 86_400_000
/** Certificates begin a little in the past, so that a host whose clock is behind accepts a new one: 5 minutes. */
export const backdate = 5 * 60_000
const sha256WithRsa = '1.2.840.113549.1.1.11'
const ecdsaWithSha256 = '1.2.840.10045.4.3.2'
const curves: Record<string, KeyAlgorithm> = { prime256v1: 'ecdsa-p256' }

/** A new key pair. RSA takes 50 ms (2048 bits) to seconds (4096), so a thread makes it; P-256 takes 0.05 ms. */
export async function makeKeyPair(algorithm: KeyAlgorithm): Promise<KeyPair> {
  return algorithm === 'ecdsa-p256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : promisify(generateKeyPair)('rsa', { modulusLength: Number(algorithm.slice('rsa-'.length)) })
}

/** The algorithm of a key in the words of the configuration; another curve or type by its own name. */
export function keyAlgorithmOf(key: KeyObject): string {
  const { namedCurve = '', modulusLength } = key.asymmetricKeyDetails ?? {}
  return key.asymmetricKeyType === 'rsa'
    ? `rsa-${modulusLength}`
    : (curves[namedCurve] ?? (namedCurve || String(key.asymmetricKeyType)))
}

/** A private key as PKCS#8 PEM, encrypted when there is a passphrase. */
export function keyToPem(key: KeyObject, passphrase?: string): string {
  return key
    .export({ type: 'pkcs8', format: 'pem', ...(passphrase && { cipher: 'aes-256-cbc', passphrase }) })
    .toString()
}

/** A self-signed authority that signs leaves only (path length 0), valid for `days` from now. */
export async function makeAuthority(keys: KeyPair, subject: Subject, days: number): Promise<Authority> {
  const publicKey = encoded(keys.publicKey)
  const extensions = [
    { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'authorityKeyIdentifier', keyIdentifier: identifierFor(publicKey) },
  ]
  const notAfter = new Date(Date.now() + days * day)
  const pem = await build({ subject, publicKey, notAfter, extensions }, keys.privateKey)
  return { certificate: new X509Certificate(pem), key: keys.privateKey }
}

/** A leaf as PEM; its signature follows the authority's key. @throws UsageError for a SAN that cannot be named */
export async function issueLeaf(authority: Authority, publicKey: KeyObject, profile: Profile): Promise<string> {
  const altNames = [...new Set(profile.sans)].map(altName)
  const parent = await readParent(authority.certificate)
  const asked = profile.ends instanceof Date ? profile.ends.getTime() : Date.now() + profile.ends * day
  const notAfter = new Date(Math.min(asked, Date.parse(authority.certificate.validTo)))
  const rsa = publicKey.asymmetricKeyType === 'rsa'
  const extensions = [
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: rsa, critical: true },
    { name: 'extKeyUsage', ...Object.fromEntries(profile.usages.map((usage) => [usage, true])) },
    ...(altNames.length > 0 ? [{ name: 'subjectAltName', altNames }] : []),
    ...(parent.keyIdentifier ? [{ name: 'authorityKeyIdentifier', keyIdentifier: parent.keyIdentifier }] : []),
  ]
  const contents = { subject: profile, publicKey: encoded(publicKey), notAfter, extensions, issuer: parent.subject }
  return build(contents, authority.key)
}

/** A leaf with a new key, both as PEM. @throws UsageError as issueLeaf */
export async function issuePair(
  authority: Authority,
  algorithm: KeyAlgorithm,
  profile: Profile,
): Promise<[certificate: string, key: string]> {
  const keys = await makeKeyPair(algorithm)
  return [await issueLeaf(authority, keys.publicKey, profile), keyToPem(keys.privateKey)]
}

interface Contents {
  subject: Subject
  publicKey: Buffer
  notAfter: Date
  extensions: Record<string, unknown>[]
  /** The authority's name as it stands in its certificate; without it the certificate is self-signed. */
  issuer?: asn1.Asn1
}

/** Forge's certificate with what forge cannot do: any kind of public key, and a signature by any kind of key. */
async function build(contents: Contents, signer: KeyObject): Promise<string> {
  const { asn1 } = await forge()
  const { BITSTRING, NULL, OID, SEQUENCE } = asn1.Type
  const node = (type: asn1.Type, value: string | asn1.Asn1[]): asn1.Asn1 =>
    asn1.create(asn1.Class.UNIVERSAL, type, Array.isArray(value), value)
  // RSA with a NULL, ECDSA without parameters (RFC 4055, RFC 5758)
  const rsa = signer.asymmetricKeyType === 'rsa'
  const kind = node(OID, asn1.oidToDer(rsa ? sha256WithRsa : ecdsaWithSha256).getBytes())
  const algorithm = node(SEQUENCE, rsa ? [kind, node(NULL, '')] : [kind])
  const tbs = await draft(contents)
  const parts = tbs.value as asn1.Asn1[]
  parts[2] = algorithm
  parts[3] = contents.issuer ?? (parts[5] as asn1.Asn1)
  parts[6] = asn1.fromDer(contents.publicKey.toString('latin1'))
  const signature = sign('sha256', Buffer.from(asn1.toDer(tbs).getBytes(), 'latin1'), signer)
  const whole = node(SEQUENCE, [tbs, algorithm, node(BITSTRING, `\0${signature.toString('latin1')}`)])
  const base64 = Buffer.from(asn1.toDer(whole).getBytes(), 'latin1').toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`
}

/** What gets signed, with stand-ins for the public key and the signature's algorithm: forge knows RSA only. */
async function draft({ subject, publicKey, notAfter, extensions }: Contents): Promise<asn1.Asn1> {
  const { asn1, jsbn, pki } = await forge()
  const certificate = pki.createCertificate()
  const valueTagClass = asn1.Type.UTF8 as unknown as asn1.Class
  const identifier = asn1.create(asn1.Class.UNIVERSAL, asn1.Type.OCTETSTRING, false, identifierFor(publicKey))
  certificate.publicKey = pki.rsa.setPublicKey(new jsbn.BigInteger('1'), new jsbn.BigInteger('1'))
  certificate.siginfo.algorithmOid = sha256WithRsa
  certificate.serialNumber = serialNumber()
  certificate.validity = { notBefore: new Date(Math.min(Date.now(), notAfter.getTime()) - backdate), notAfter }
  certificate.setSubject([
    { name: 'organizationName', value: subject.organization, valueTagClass },
    { name: 'commonName', value: subject.commonName, valueTagClass },
  ])
  // subject key identifier
  certificate.setExtensions([...extensions, { id: '2.5.29.14', value: asn1.toDer(identifier).getBytes() }])
  return (pki as typeof pki & { getTBSCertificate(of: pki.Certificate): asn1.Asn1 }).getTBSCertificate(certificate)
}

/** An authority's name and key identifier as they stand in its certificate: its leaves must repeat them to the byte. */
async function readParent(certificate: X509Certificate) {
  const { asn1 } = await forge()
  const known = parents.get(certificate)
  if (known) return known
  const children = (node: asn1.Asn1 | undefined): asn1.Asn1[] => (Array.isArray(node?.value) ? node.value : [])
  const parts = children(children(asn1.fromDer(certificate.raw.toString('latin1')))[0])
  const oid = asn1.oidToDer('2.5.29.14').getBytes()
  const extensions = children(children(parts[7])[0]).map(children)
  const found = extensions.find(([identifier]) => identifier?.value === oid)?.at(-1)?.value as string | undefined
  const parent = { subject: parts[5] as asn1.Asn1, keyIdentifier: found && (asn1.fromDer(found).value as string) }
  parents.set(certificate, parent)
  return parent
}

const parents = new WeakMap<X509Certificate, { subject: asn1.Asn1; keyIdentifier: string | undefined }>()

const encoded = (publicKey: KeyObject): Buffer => publicKey.export({ type: 'spki', format: 'der' })

/** A key's identifier: 160 bits of a SHA-256 (RFC 7093 over RFC 5280, 4.2.1.2: any unique value serves). */
const identifierFor = (publicKey: Buffer): string =>
  createHash('sha256').update(publicKey).digest().subarray(0, 20).toString('latin1')

/** 128 random bits, hexadecimal; the top bits are 01, so that it is positive and never shorter. */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40
  return bytes.toString('hex')
}

/** A SAN for forge, which itself would write a corrupt certificate for 10.0.0.300. */
function altName(san: string): { type: number; value?: string; ip?: string } {
  const family = isIP(san)
  if (family === 4) return { type: 7, ip: san }
  // forge knows the plain form only
  if (family === 6 && !san.includes('%')) return { type: 7, ip: canonical(san) }
  if (/^[\d.]+$/.test(san) || !/^(\*\.)?[\w-]+(\.[\w-]+)*$/.test(san))
    throw new UsageError(`${san} is neither a DNS name nor an IP address: no certificate can name it.`)
  return { type: 2, value: san }
}

/** Loaded with the first certificate (it takes 40 ms), and kept: asking again takes 0.7 ms. */
const forge = () => (loading ??= import('node-forge').then((module) => module.default))
let loading: Promise<typeof import('node-forge')> | undefined

/** The certificates in a file of PEM, as text. */
export const certificatesIn = (text: string): string[] =>
  text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
