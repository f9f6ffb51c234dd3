// One connection to a port of a member, made by hand: what it answers, and which certificate it serves.
import { X509Certificate } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTLS, createSecureContext, type SecureContext } from 'node:tls'
import type { Cluster, Host } from '../core/cluster.ts'
import { readFileIfThere } from '../core/files.ts'
import { withPort } from '../core/ip.ts'
import { clock, run } from '../core/run.ts'
import { type Authority, issuePair, type Profile } from '../core/x509.ts'
import { commonNames } from './certificates.ts'
import { route } from './reach.ts'
import { overTheWay, tookToConnect } from './round-trip.ts'

/** The certificate we show (none: no certificate), ready for many connections; or why it cannot be used. */
export type Identity = { context: SecureContext } | { unusable: string }

/** How a port answered; `date` is the HTTP header, `served` the certificate it showed, as far as the handshake got. */
export type Probe =
  | { kind: 'answered'; status: number; body: string; date?: string | undefined; served?: X509Certificate | undefined }
  /** `mute`: it hung up without a word; `alert`: TLS said why; `bare`: it has no certificate to show. */
  | {
      kind: 'refused'
      reason: string
      served?: X509Certificate | undefined
      mute?: boolean
      alert?: boolean
      bare?: boolean
    }
  | { kind: 'plain'; reason: string; served?: undefined }
  | { kind: 'closed'; reason: string; served?: undefined }
  | { kind: 'silent'; reason: string; served?: X509Certificate | undefined }

/** How long one question to a member near by may take, in ms, on a machine that is not busy. */
export const limitMs = 1500

/** Makes an identity of PEM texts. */
export function identity(certificate?: { cert: string; key: string }): Identity {
  try {
    return { context: createSecureContext({ ...certificate }) }
  } catch (error) {
    return { unusable: (error as Error).message.replace(/^error:[^:]*:[^:]*::/, '') }
  }
}

/** That of a certificate below certs/<cluster>/, as `etcd-client`; undefined where it or its key is missing. */
export function identityAt({ paths }: Cluster, name: string): Identity | undefined {
  const [cert, key] = ['crt', 'key'].map((kind) => readFileIfThere(join(paths.certs, `${name}.${kind}`)))
  return cert && key ? identity({ cert, key }) : undefined
}

/** Makes a client's identity of an authority, in memory only. `ends` as in a profile: days from now, or a date. */
export async function clientOf(authority: Authority, organization: string, ends: number | Date): Promise<Identity> {
  const subject = { organization, commonName: commonNames.client }
  const profile: Profile = { ...subject, sans: [], usages: ['clientAuth'], ends }
  const [cert, key] = await issuePair(authority, 'ecdsa-p256', profile)
  return identity({ cert, key })
}

/**
 * Asks `GET path` over TLS and reads the first bytes of the answer: with TLS 1.3 a server refuses a client's
 * certificate only after the client's side of the handshake is done. Whatever the server shows is accepted,
 * so that it can be judged afterwards. Never throws.
 * @param timeoutMs milliseconds for the whole of it
 */
async function probeTLS(host: string, port: number, shown: Identity, path: string, timeoutMs: number): Promise<Probe> {
  if ('unusable' in shown) return { kind: 'refused', reason: `our own certificate cannot be used: ${shown.unusable}` }
  const way = route(host, port)
  const socket = connectTLS({
    host: way.host,
    port: way.port,
    secureContext: shown.context,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  })
  let served: X509Certificate | undefined // kept: a closed socket has forgotten it
  socket.once('secureConnect', () => {
    served = new X509Certificate(socket.getPeerCertificate().raw)
    socket.write(request(host, port, path))
  })
  const probe = await conversation(socket, timeoutMs, () => served)
  // A tunnel accepts for a member that does not, and closes without a word.
  const nobody = way.tunnel && probe.kind === 'refused' && !served && probe.mute
  return nobody ? { kind: 'closed', reason: 'nothing listens there (seen through ssh)' } : probe
}

/** Knocks at a member's client port, or another one, with our client certificate, or as somebody else. Never throws. */
export const knock = (
  cluster: Cluster,
  { address }: Pick<Host, 'address'>,
  { port = cluster.etcd.clientPort, as = identityAt(cluster, 'etcd-client') ?? identity(), timeoutMs = limitMs } = {},
): Promise<Probe> => probeTLS(address, port, as, '/version', timeoutMs)

/** The same without TLS. Go's TLS server may answer such a request with 400 and a sentence: that is a refusal. */
export async function probePlain(host: string, port: number, path: string, timeoutMs: number): Promise<Probe> {
  const socket = connect(route(host, port))
  socket.once('connect', () => socket.write(request(host, port, path)))
  const answer = await conversation(socket, timeoutMs, () => undefined)
  return answer.kind === 'answered' && answer.status === 400 ? { kind: 'refused', reason: 'it wants HTTPS' } : answer
}

function conversation(socket: Socket, timeoutMs: number, served: () => X509Certificate | undefined): Promise<Probe> {
  return new Promise((done) => {
    const began = clock()
    let connected = false
    let timer: NodeJS.Timeout | undefined
    const end = (probe: Probe): void => {
      clearTimeout(timer)
      run().signal.removeEventListener('abort', stop)
      socket.on('error', () => {}).destroy()
      done(probe)
    }
    const stop = (): void => end({ kind: 'silent', reason: 'we were stopped' })
    const giveUpIn = (ms: number): void => {
      clearTimeout(timer)
      const seconds = Math.round(ms / 100) / 10
      const mute = `it accepts connections but says nothing for ${seconds} s`
      const closed: Probe = { kind: 'closed', reason: `no connection within ${seconds} s` }
      timer = setTimeout(() => end(connected ? { kind: 'silent', reason: mute, served: served() } : closed), ms)
    }
    giveUpIn(overTheWay(timeoutMs))
    run().signal.addEventListener('abort', stop, { once: true })
    socket.once('connect', () => {
      connected = true
      tookToConnect(socket.remoteAddress ?? '', clock() - began)
      giveUpIn(overTheWay(timeoutMs))
    })
    socket.once('data', (data) => end(read(data.toString('latin1'), served())))
    socket.once('error', (error: NodeJS.ErrnoException) => end(failure(error, connected, served())))
    socket.once('close', () =>
      end({ kind: 'refused', reason: 'it closed the connection', served: served(), mute: true }),
    )
  })
}

const request = (host: string, port: number, path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: ${withPort(host, port)}\r\nConnection: close\r\n\r\n`

function read(text: string, served: X509Certificate | undefined): Probe {
  const status = /^HTTP\/1\.\d (\d{3})/.exec(text)?.[1]
  if (!status) return { kind: 'refused', reason: 'it does not answer in HTTP', served }
  const end = text.indexOf('\r\n\r\n')
  const date = /^date: *(.+)$/im.exec(text.slice(0, end))?.[1]
  return { kind: 'answered', status: Number(status), body: text.slice(end + 4), date, served }
}

/** Errors before the connection stands mean that nothing listens; later ones that TLS, or its absence, said no. */
function failure(
  error: NodeJS.ErrnoException & { reason?: string },
  connected: boolean,
  served: X509Certificate | undefined,
): Probe {
  if (error.code === 'ECONNREFUSED') return { kind: 'closed', reason: 'nothing listens there (connection refused)' }
  if (!connected) return { kind: 'closed', reason: `no connection (${error.code ?? error.message})` }
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/.test(error.code ?? ''))
    return { kind: 'plain', reason: 'it does not speak TLS' }
  const mute = !error.reason && error.code === 'ECONNRESET'
  const reason = error.reason?.replace(tls, 'TLS ') ?? (mute ? 'it reset the connection' : error.message)
  // Go's alert where it cannot load the certificate or its key (crypto/tls, handshake_server.go).
  const bare = error.code?.endsWith('ALERT_INTERNAL_ERROR') === true
  return { kind: 'refused', reason, served, mute, alert: tls.test(error.reason ?? ''), bare }
}

/** How OpenSSL's words of an alert begin. */
const tls = /^(tlsv1|sslv3|tlsv13|ssl\/tls) /
