// X.509: key pairs, authorities and leaf certificates. node:crypto makes keys and signatures, node-forge the
// certificate around them.
import { createHash, generateKeyPair, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import type { asn1, pki } from 'node-forge'
import { UsageError } from './errors.ts'
import type { KeyAlgorithm } from './schema.ts'

export interface KeyPair {
  publicKey: KeyObject
  privateKey: KeyObject
}

/** What signs: a CA certificate and its private key. */
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

/** What a leaf certificate says. */
export interface Profile extends Subject {
  /** DNS names and IP addresses. */
  sans: string[]
  usages: Usage[]
  /**
   * Its last moment: days from now, or a date of its own (one in the past gives an expired certificate). Never later
   * than its authority's.
   */
  ends: number | Date
}

export const day = 86_400_000
/** Certificates begin a little in the past, so that a host whose clock is behind accepts a new one: 5 minutes. */
export const backdate = 5 * 60_000
const sha256WithRsa = '1.2.840.113549.1.1.11'
const ecdsaWithSha256 = '1.2.840.10045.4.3.2'
const curves: Record<string, KeyAlgorithm> = { prime256v1: 'ecdsa-p256' }

/** A new key pair, made off the main thread. RSA takes 50 ms (2048 bits) to seconds (4096). */
export function makeKeyPair(algorithm: KeyAlgorithm): Promise<KeyPair> {
  const generate = promisify(generateKeyPair)
  return algorithm === 'ecdsa-p256'
    ? generate('ec', { namedCurve: 'P-256' })
    : generate('rsa', { modulusLength: Number(algorithm.slice('rsa-'.length)) })
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
  const extensions = [
    { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'authorityKeyIdentifier', keyIdentifier: identifierFor(keys.publicKey).toString('latin1') },
  ]
  const certificate = await build(
    { subject, publicKey: keys.publicKey, notAfter: new Date(Date.now() + days * day), extensions },
    keys.privateKey,
  )
  return { certificate, key: keys.privateKey }
}

/**
 * Issues a leaf certificate for a public key. The signature follows the authority's key, whatever the leaf's key is.
 * @throws UsageError for a SAN that is neither a DNS name nor an IP address
 */
export async function issueLeaf(
  authority: Authority,
  publicKey: KeyObject,
  profile: Profile,
): Promise<X509Certificate> {
  const altNames = [...new Set(profile.sans)].map(altName)
  const parent = await readParent(authority.certificate)
  const asked = profile.ends instanceof Date ? profile.ends.getTime() : Date.now() + profile.ends * day
  const notAfter = new Date(Math.min(asked, Date.parse(authority.certificate.validTo)))
  const extensions = [
    { name: 'basicConstraints', cA: false, critical: true },
    {
      name: 'keyUsage',
      digitalSignature: true,
      keyEncipherment: publicKey.asymmetricKeyType === 'rsa',
      critical: true,
    },
    { name: 'extKeyUsage', ...Object.fromEntries(profile.usages.map((usage) => [usage, true])) },
    ...(altNames.length > 0 ? [{ name: 'subjectAltName', altNames }] : []),
    ...(parent.keyIdentifier ? [{ name: 'authorityKeyIdentifier', keyIdentifier: parent.keyIdentifier }] : []),
  ]
  return build({ subject: profile, publicKey, notAfter, extensions, issuer: parent.subject }, authority.key)
}

interface Contents {
  subject: Subject
  publicKey: KeyObject
  notAfter: Date
  extensions: Record<string, unknown>[]
  /** The authority's name as it stands in its certificate; without it the certificate is self-signed. */
  issuer?: asn1.Asn1
}

/**
 * Forge's certificate, with what forge cannot do put in afterwards: any kind of public key, and a signature by any kind
 * of key.
 */
async function build(contents: Contents, signer: KeyObject): Promise<X509Certificate> {
  const { asn1 } = await forge()
  const tbs = await draft(contents)
  const parts = tbs.value as asn1.Asn1[]
  const algorithm = await signatureAlgorithm(signer)
  parts[2] = algorithm
  parts[3] = contents.issuer ?? (parts[5] as asn1.Asn1)
  parts[6] = asn1.fromDer(contents.publicKey.export({ type: 'spki', format: 'der' }).toString('latin1'))
  const signature = sign('sha256', Buffer.from(asn1.toDer(tbs).getBytes(), 'latin1'), signer)
  const { BITSTRING, SEQUENCE } = asn1.Type
  const whole = asn1.create(asn1.Class.UNIVERSAL, SEQUENCE, true, [
    tbs,
    algorithm,
    asn1.create(asn1.Class.UNIVERSAL, BITSTRING, false, `\0${signature.toString('latin1')}`),
  ])
  return new X509Certificate(Buffer.from(asn1.toDer(whole).getBytes(), 'latin1'))
}

/**
 * The part of a certificate that gets signed, with stand-ins for the public key and the signature algorithm: forge
 * knows RSA only.
 */
async function draft({ subject, publicKey, notAfter, extensions }: Contents): Promise<asn1.Asn1> {
  const { asn1, jsbn, pki } = await forge()
  const certificate = pki.createCertificate()
  const attribute = (name: string, value: string) => ({
    name,
    value,
    valueTagClass: asn1.Type.UTF8 as unknown as asn1.Class,
  })
  const identifier = asn1.create(
    asn1.Class.UNIVERSAL,
    asn1.Type.OCTETSTRING,
    false,
    identifierFor(publicKey).toString('latin1'),
  )
  certificate.publicKey = pki.rsa.setPublicKey(new jsbn.BigInteger('1'), new jsbn.BigInteger('1'))
  certificate.siginfo.algorithmOid = sha256WithRsa
  certificate.serialNumber = serialNumber()
  certificate.validity = { notBefore: new Date(Math.min(Date.now(), notAfter.getTime()) - backdate), notAfter }
  certificate.setSubject([
    attribute('organizationName', subject.organization),
    attribute('commonName', subject.commonName),
  ])
  // subject key identifier
  certificate.setExtensions([...extensions, { id: '2.5.29.14', value: asn1.toDer(identifier).getBytes() }])
  return (pki as unknown as { getTBSCertificate(certificate: pki.Certificate): asn1.Asn1 }).getTBSCertificate(
    certificate,
  )
}

/**
 * The signature's algorithm as the standards write it: RSA with a NULL, ECDSA without parameters (RFC 4055, RFC 5758).
 */
async function signatureAlgorithm(signer: KeyObject): Promise<asn1.Asn1> {
  const { asn1 } = await forge()
  const rsa = signer.asymmetricKeyType === 'rsa'
  const identifier = asn1.create(
    asn1.Class.UNIVERSAL,
    asn1.Type.OID,
    false,
    asn1.oidToDer(rsa ? sha256WithRsa : ecdsaWithSha256).getBytes(),
  )
  const none = asn1.create(asn1.Class.UNIVERSAL, asn1.Type.NULL, false, '')
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, rsa ? [identifier, none] : [identifier])
}

/**
 * An authority's name and key identifier, byte for byte as they stand in its certificate: its leaves must repeat them.
 */
async function readParent(
  certificate: X509Certificate,
): Promise<{ subject: asn1.Asn1; keyIdentifier: string | undefined }> {
  const { asn1 } = await forge()
  const children = (node: asn1.Asn1 | undefined): asn1.Asn1[] => (Array.isArray(node?.value) ? node.value : [])
  const parts = children(children(asn1.fromDer(certificate.raw.toString('latin1')))[0])
  const oid = asn1.oidToDer('2.5.29.14').getBytes()
  const extensions = children(children(parts[7])[0]).map(children)
  const found = extensions.find(([identifier]) => identifier?.value === oid)?.at(-1)?.value as string | undefined
  return { subject: parts[5] as asn1.Asn1, keyIdentifier: found && (asn1.fromDer(found).value as string) }
}

/** A key's identifier: 160 bits of a SHA-256 (RFC 7093 over RFC 5280, 4.2.1.2: any unique value serves). */
const identifierFor = (key: KeyObject): Buffer =>
  createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20)

/** 128 random bits, hexadecimal; the top bits are 01, so that it is positive and never shorter. */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40
  return bytes.toString('hex')
}

/** A SAN for forge, which itself would write a corrupt certificate for 10.0.0.300. */
function altName(san: string): { type: number; value?: string; ip?: string } {
  if (isIP(san) === 4) return { type: 7, ip: san }
  // forge knows the plain form only
  if (isIP(san) === 6 && !san.includes('%')) return { type: 7, ip: new URL(`http://[${san}]`).hostname.slice(1, -1) }
  if (/^[\d.]+$/.test(san) || !/^(\*\.)?[\w-]+(\.[\w-]+)*$/.test(san))
    throw new UsageError(`${san} is neither a DNS name nor an IP address: no certificate can name it.`)
  return { type: 2, value: san }
}

/**
 * Loaded when the first certificate is made (it takes 40 ms, which a run that makes none should not pay), and kept:
 * asking again takes 0.7 ms.
 */
const forge = () => (loading ??= import('node-forge').then((module) => module.default))
let loading: Promise<typeof import('node-forge')> | undefined
