// An etcd that something else has set up: how it was started, and what stands against taking it over. Pure.
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import type { Cluster, Host } from '../core/cluster.ts'
import { roleVariables } from '../core/config.ts'
import { architectureHere, byUname } from '../core/machines.ts'
import { compareVersions, minorOf } from '../core/programs.ts'
import { isHostName } from '../core/schema.ts'
import { listed } from '../core/terminal.ts'
import { leaves } from './certificates.ts'
import type { Member } from './etcdctl.ts'
import type { Probe } from './probe.ts'

/** An etcd that runs on a host, as the role's module etcd_adopt reports it. */
export interface RunningEtcd {
  /** What uname calls the host's machine. */
  machine: string
  version: string
  args: string[]
  environment: Record<string, string>
  /** Its configuration file; null where it has none. */
  config: string | null
  cwd: string
  /** The systemd unit that runs it; '' for none. */
  unit: string
  container: boolean
  /** The manifest of the static pod that runs it; '' for none. */
  manifest: string
  /** The paths of its settings that are not the same files on the host as in its container. */
  elsewhere: string[]
  /** Whether its data can be moved to where the role has them by a rename. */
  movable: boolean
  /** Other data that lie where the role has them; '' for none. */
  in_the_way: string
}

/** What a host's etcd was set up with: its settings as ETCD_* variables, and the certificates that it serves. */
export interface ForeignHost {
  host: Host
  etcd: RunningEtcd
  settings: Record<string, string>
  server?: X509Certificate | undefined
  peer?: X509Certificate | undefined
}

/** The kinds of files that are fetched from a host, each named by the setting that has its path. */
export const certificateSettings = {
  'client-ca.crt': 'ETCD_TRUSTED_CA_FILE',
  'server.crt': 'ETCD_CERT_FILE',
  'server.key': 'ETCD_KEY_FILE',
  'peer-ca.crt': 'ETCD_PEER_TRUSTED_CA_FILE',
  'peer.crt': 'ETCD_PEER_CERT_FILE',
  'peer.key': 'ETCD_PEER_KEY_FILE',
} as const

/** etcd's own word: where there is a configuration file, flags and variables are not heard (embed.ConfigFromFile). */
export function settingsOf({ args, environment, config }: RunningEtcd): Record<string, string> {
  if (config !== null) return fromFile(config)
  return { ...environment, ...fromFlags(args) }
}

/** etcd's own default is a folder of its name where it was started. */
export function dataOf({ etcd: { cwd }, settings }: ForeignHost): string {
  const folder = settings.ETCD_DATA_DIR ?? `${settings.ETCD_NAME ?? 'default'}.etcd`
  return folder.startsWith('/') ? folder : join(cwd, folder)
}

const variableOf = (flag: string): string => `ETCD_${flag.toUpperCase().replaceAll('-', '_')}`

function fromFlags(args: string[]): Record<string, string> {
  const settings: Record<string, string> = {}
  args.forEach((word, index) => {
    const [, flag, value] = /^--?([a-z][\w-]*)(?:=(.*))?$/s.exec(word) ?? []
    const next = args[index + 1]
    if (flag) settings[variableOf(flag)] = value ?? (next === undefined || next.startsWith('-') ? 'true' : next)
  })
  return settings
}

/** The file has what concerns TLS in two sections. */
function fromFile(text: string): Record<string, string> {
  const { 'client-transport-security': client, 'peer-transport-security': peer, ...others } = parse(text) ?? {}
  const inPeer = Object.entries(peer ?? {}).map(([name, value]) => [`peer-${name}`, value] as const)
  const all: (readonly [string, unknown])[] = [...Object.entries(others), ...Object.entries(client ?? {}), ...inPeer]
  return Object.fromEntries(all.map(([name, value]) => [variableOf(name), String(value)]))
}

/** What is the service's own affair, or said by the data: it is not carried over. */
const notCarried =
  /^ETCD_(CONFIG_FILE|SSL_DIR|LOGGER|LOG_OUTPUTS|LOG_PACKAGE_LEVELS|ENABLE_PPROF|DEBUG|UNSUPPORTED_ARCH)$/

/** The settings that the configuration must have, too, for the members to go on as they are. */
export function carriedSettings(settings: Record<string, string>): Record<string, string> {
  const { etcd_derived_environment: derived } = roleVariables()
  const off = (name: string, value: string): boolean => name === 'ETCD_ENABLE_V2' && value === 'false'
  return Object.fromEntries(
    Object.entries(settings).filter(
      ([name, value]) =>
        !(name in derived) && !notCarried.test(name) && !/_(CERT|KEY|TRUSTED_CA)_FILE$/.test(name) && !off(name, value),
    ),
  )
}

/** What the configuration lacks of what the members have, as YAML; '' where it has all. */
export function lackingIn(cluster: Cluster, hosts: ForeignHost[]): string {
  if (hosts.length === 0) return ''
  const carried = Object.assign({}, ...hosts.map(({ settings }) => carriedSettings(settings)))
  const has = cluster.etcd.environment
  const environment = Object.fromEntries(
    Object.entries<string>(carried).filter(([name, value]) => String(has[name]) !== value),
  )
  const extraSans = [...new Set(hosts.flatMap(({ server }) => (server ? namesIn(server) : [])))].filter(
    (name) => !leaves(cluster).some(({ sans }) => sans.includes(name)),
  )
  const clientPort = portOf(hosts[0]?.settings.ETCD_ADVERTISE_CLIENT_URLS, 2379)
  const peerPort = portOf(hosts[0]?.settings.ETCD_INITIAL_ADVERTISE_PEER_URLS, 2380)
  const etcd = {
    ...(clientPort !== cluster.etcd.clientPort && { clientPort }),
    ...(peerPort !== cluster.etcd.peerPort && { peerPort }),
    ...(Object.keys(environment).length > 0 && { environment: { ...has, ...environment } }),
  }
  const lacks = {
    ...(Object.keys(etcd).length > 0 && { etcd }),
    ...(extraSans.length > 0 && { pki: { extraSans: [...cluster.pki.extraSans, ...extraSans] } }),
  }
  return Object.keys(lacks).length > 0 ? stringify(lacks).trim() : ''
}

const portOf = (urls: string | undefined, otherwise: number): number =>
  Number(/:(\d+)\/?(?:,|$)/.exec(urls ?? '')?.[1] ?? otherwise)

/** The DNS names and addresses that a certificate is for. */
export const namesIn = ({ subjectAltName = '' }: X509Certificate): string[] =>
  subjectAltName.split(', ').flatMap((entry) => {
    const name = entry.replace(/^(DNS|IP Address):/, '')
    return name === entry ? [] : [isIP(name) === 6 ? shortened(name) : name.toLowerCase()]
  })

/** node gives an IPv6 address in upper case, and whole. */
const shortened = (address: string): string => new URL(`http://[${address}]`).hostname.slice(1, -1)

/** Only one's own folders hold programs for another kind of machine than this. */
function whyNoPrograms({ etcd: { binaries } }: Cluster, { etcd: { machine } }: ForeignHost): string[] {
  const architecture = byUname(machine)
  const own = typeof binaries === 'object' ? Object.keys(binaries) : []
  return architecture && [architectureHere(), ...own].includes(architecture)
    ? []
    : [`its machine is ${architecture ?? machine}: name a folder of etcd for it with etcd.binaries`]
}

/** What stands against taking the members over, a clause each: all at once, so that a person mends it in one go. */
export function whyNotAdopted(cluster: Cluster, hosts: ForeignHost[]): string[] {
  const versions = [...new Set(hosts.map(({ etcd }) => etcd.version))]
  const asked = cluster.etcd.version
  return [
    ...hosts.flatMap((one) =>
      [...whyNoPrograms(cluster, one), ...whyNotOf(one)].map((reason) => `${one.host.name}: ${reason}`),
    ),
    ...whyNotAlike(hosts),
    ...(versions.length > 1 ? [`the members run ${listed(versions)}: finish that upgrade first`] : []),
    ...(asked && versions.length === 1 && versions[0] !== asked ? [otherVersion(versions[0] ?? '', asked)] : []),
  ]
}

/** What a running cluster says of itself, by way of every endpoint that was given. */
export interface Known {
  members: Member[]
  clusters: string[]
  versions: string[]
  /** Endpoints that were given, that no member calls its own and nobody answers at, each with the reason. */
  silent: string[]
}

/** A member that another tool runs, as a host that is not ours. */
export const hostOfMember = (
  { name, peerURLs: [peerURL = ''], clientURLs: [clientURL = ''] }: Member,
  address: string,
): Host => ({
  name,
  address,
  foreign: { clientURL, peerURL },
  clientURL,
  peerURL,
})

/** Why nothing was learnt at an endpoint, by one connection to it with the certificates given. */
export function whyNotAsked(probe: Probe, trusted: X509Certificate[]): string {
  if (probe.kind !== 'answered') return probe.reason
  if (!trusted.some(({ publicKey }) => probe.served?.verify(publicKey)))
    return 'its certificate is not signed by the given authority'
  return probe.body.includes('"etcdserver"') ? 'it does not say who its members are' : 'what answers there is no etcd'
}

/** What stands against hosts of ours joining it, a clause each. */
export function whyNotJoined(cluster: Cluster, { members, clusters, versions, silent }: Known): string[] {
  const [runs = '', another] = versions
  const { version: asked = runs, clientPort } = cluster.etcd
  const taken = [...cluster.hosts, ...members].map(({ name }) => name)
  const ofMember = ({ id, name, peerURLs, clientURLs }: Member): string[] => {
    if (name === '' || clientURLs.length === 0) return [`member ${id} has never started`]
    const urls = [...peerURLs, ...clientURLs]
    const port = portOf(clientURLs[0], clientPort)
    return [
      ...(isHostName(name) ? [] : [`${name}: a host cannot be called so`]),
      ...(taken.filter((one) => one === name).length > 1
        ? [`${name} is the name of several members or hosts: give the host in the configuration another one`]
        : []),
      ...(urls.some((url) => url.startsWith('http:')) ? [`${name} speaks plain http: bring TLS to it before`] : []),
      ...(peerURLs.length > 1 ? [`${name} is known by several peer URLs: ${listed(peerURLs)}`] : []),
      ...(port === clientPort ? [] : [`${name} has its clients at port ${port}: set etcd.clientPort`]),
    ]
  }
  const isReachable = asked === runs || (minorOf(asked) === minorOf(runs) && compareVersions(asked, runs) > 0)
  return [
    ...(clusters.length > 1 ? [`the endpoints are of ${clusters.length} clusters`] : []),
    ...silent.map((reason) => `this endpoint may be of another cluster: ${reason}`),
    ...(another ? [`the members run ${listed(versions)}: finish that upgrade first`] : []),
    ...(isReachable || another ? [] : [otherVersion(runs, asked)]),
    ...members.flatMap(ofMember),
  ]
}

const otherVersion = (runs: string, asked: string): string =>
  `they run etcd ${runs}, and etcd.version asks for ${asked}: leave it out, and upgrade afterwards`

const ports = { client: 'ETCD_LISTEN_CLIENT_URLS', peer: 'ETCD_LISTEN_PEER_URLS' } as const

/** How a port is spoken to; by etcd's default without TLS. */
function speaks({ settings }: Pick<ForeignHost, 'settings'>, port: keyof typeof ports): 'http' | 'https' | 'both' {
  const urls = (settings[ports[port]] || 'http:').split(',')
  const plain = urls.filter((url) => url.startsWith('http:')).length
  return plain === 0 ? 'https' : plain === urls.length ? 'http' : 'both'
}

/** Whether a port speaks plain HTTP on these hosts. */
export const isPlain = (hosts: ForeignHost[], port: keyof typeof ports): boolean =>
  hosts.some((one) => speaks(one, port) === 'http')

/** Members that do not speak alike could not go over to TLS together. */
function whyNotAlike(hosts: ForeignHost[]): string[] {
  return (['client', 'peer'] as const).flatMap((port) => {
    const [first, other] = new Set(hosts.map((one) => speaks(one, port)))
    return first && other ? [`at the ${port} port some members speak http and others https: make them alike`] : []
  })
}

/** Who may not be stopped by us, what could not be undone, and settings that mean something else here. */
function whyNotOf(one: ForeignHost): string[] {
  const { host, etcd, settings, server, peer } = one
  const { etcd_refused_environment: refused } = roleVariables()
  const is = (name: string): string => settings[name] ?? ''
  const harmful = Object.keys(settings).filter(
    (name) => name in refused && is(name) !== '' && !['false', 'off'].includes(is(name)) && name !== 'ETCD_CONFIG_FILE',
  )
  const both = (['client', 'peer'] as const).filter((port) => speaks(one, port) === 'both')
  const secure = (['client', 'peer'] as const).filter((port) => speaks(one, port) === 'https')
  // etcd asks for certificates where either is set (TLSInfo.ServerConfig in its client/pkg/transport).
  const infix = { client: '', peer: 'PEER_' } as const
  const open = secure.filter(
    (port) => is(`ETCD_${infix[port]}TRUSTED_CA_FILE`) === '' && is(`ETCD_${infix[port]}CLIENT_CERT_AUTH`) !== 'true',
  )
  const served = { client: server, peer }
  const misnamed = secure.filter((port) => served[port]?.checkIP(host.address) === undefined)
  const isService = etcd.manifest !== '' || (etcd.unit !== '' && !etcd.container)
  const started = etcd.container ? 'runs in a container of its own' : 'was not started by a systemd unit'
  return [
    ...(isService ? [] : [`etcd ${started}: only systemd's services and kubelet's static pods can be taken over`]),
    ...(etcd.elsewhere.length > 0
      ? [`what its container has at ${listed(etcd.elsewhere)} is elsewhere on the host`]
      : []),
    // Its gRPC server for plain HTTP is lost beside the other one on the same port.
    ...(speaks(one, 'client') === 'http' && minorOf(etcd.version) === '3.4'
      ? ['its clients speak plain http, and etcd 3.4 cannot serve both at one port: upgrade it to 3.5 before']
      : []),
    ...both.map(
      (port) => `its ${port} port speaks http, and https besides: take the former out of ${ports[port]} before`,
    ),
    ...open.map(
      (port) =>
        `its ${port} port lets in who has no certificate, and would refuse them afterwards: set ` +
        `ETCD_${infix[port]}TRUSTED_CA_FILE before`,
    ),
    ...harmful.map((name) => `${name} is set, and must not be: ${refused[name]}`),
    ...(is('ETCD_ENABLE_V2') === 'true' ? ['ETCD_ENABLE_V2 is on: etcd 3.6 has no v2 API, turn it off before'] : []),
    ...(etcd.movable ? [] : [`${dataOf(one)} is on another file system than /var/lib/etcd is to be`]),
    ...(etcd.in_the_way ? [`${etcd.in_the_way} holds other data, and is in the way`] : []),
    ...(etcd.elsewhere.length > 0 ? [] : misnamed).map(
      (port) => `the certificate of its ${port} port does not name its address ${host.address}`,
    ),
  ]
}
