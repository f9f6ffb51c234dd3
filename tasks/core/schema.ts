// What cluster.yaml may say: every key, what its value must be, and the words for a value that is not.
import { isIP } from 'node:net'
import * as v from 'valibot'
import { canonical, prefixOf, whyNoHosts } from './ip.ts'
import { architectures } from './machines.ts'

export const keyAlgorithms = ['ecdsa-p256', 'rsa-2048', 'rsa-3072', 'rsa-4096'] as const
export const providers = ['auto', 'local', 'vagrant', 'ssh'] as const
export const vagrantProviders = ['docker', 'libvirt', 'virtualbox', 'parallels'] as const
/** The ways to get etcd's programs; auto: the first that works, in this order. */
export const etcdSources = ['auto', 'release', 'go', 'distribution'] as const
export const masterCounts = [1, 3, 5, 7, 9]
export const evenIsVain = 'an even number tolerates no more failures than the odd number below it'

export type KeyAlgorithm = (typeof keyAlgorithms)[number]
export type EtcdSource = (typeof etcdSources)[number]
export type VagrantProvider = (typeof vagrantProviders)[number]

const wholeNumber = (what: string, least: number, most: number) => {
  const message = `must be ${what} from ${least} to ${most}`
  const fits = (value: number): boolean => Number.isInteger(value) && value >= least && value <= most
  return v.pipe(v.number(message), v.check(fits, message))
}
const days = wholeNumber('a whole number of days', 1, 36500)
const port = wholeNumber('a port', 1, 65535)
/** What Ansible would evaluate as a template, and so run, on this machine. */
export const template = /\{[{%#]/
const controls = /\p{Cc}/u

/** Why a text cannot stand in a configuration or be told to Ansible, as a clause; undefined where it can. */
export function unfit(value: string): string | undefined {
  if (controls.test(value)) return 'must be on one line, without control characters'
  return template.test(value) ? 'must not contain {{, {% or {#, which Ansible would evaluate' : undefined
}

/** As `unfit`, for a value of ssh_config(5), where a " would end it. */
export const unfitForSsh = (value: string): string | undefined =>
  unfit(value) ?? (value.includes('"') ? 'must not contain "' : undefined)

const fits = (mistake: (value: string) => string | undefined) =>
  v.check<string, (issue: v.CheckIssue<string>) => string>(
    (value) => mistake(value) === undefined,
    ({ input }) => mistake(input) ?? '',
  )
const text = v.pipe(v.string('must be text'), fits(unfit))
const sshPath = v.pipe(v.string('must be text'), fits(unfitForSsh))
const word = v.pipe(text, v.regex(/^[^\s"'-][^\s"']*$/, 'must be one word'))

const notSubnet = 'must be an IPv4 /24 network such as 127.10.20.0/24, or an IPv6 /64 one such as fd00:10:20::/64'
const subnet = v.pipe(
  v.string(notSubnet),
  v.check((value) => prefixOf(value) !== undefined, notSubnet),
  v.transform((value) => (value.includes(':') ? `${prefixOf(value)}/64` : value)),
)

const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
const dnsName = new RegExp(`^${label}(\\.${label})*$`)
const isDNSName = (value: string): boolean => dnsName.test(value) && !/^[\d.]+$/.test(value)

/** Whether a member, its files and certificates may be called so: a DNS name (RFC 1123) in lower case, an address. */
export const isHostName = (name: string): boolean =>
  isIP(name) ? name === canonical(name) && !whyNoHosts(name) : isDNSName(name) && name.length <= 200
export const notHostName = 'must be a DNS name in lower case (letters, digits, dashes, dots) or an IP address'

const ipAddress = v.pipe(
  text,
  v.check((value) => isIP(value) > 0, 'must be an IPv4 or IPv6 address'),
  v.transform(canonical),
)

const notSan = 'must be a DNS name or an IP address'
const subjectAltName = v.pipe(
  v.string(notSan),
  v.check((value) => isIP(value) > 0 || isDNSName(value.toLowerCase().replace(/^\*\./, '')), notSan),
  v.transform(canonical),
)

const environmentValue = v.pipe(
  v.union([v.string(), v.number(), v.boolean()], 'must be text, a number or true or false'),
  v.transform(String),
  fits(unfit),
)

const folders = v.pipe(
  v.record(v.picklist(architectures, `must be one of ${architectures.join(', ')}`), text),
  v.check((value) => Object.keys(value).length > 0, 'must name a folder'),
)
const binaries = v.lazy((input): typeof text | typeof folders =>
  typeof input === 'object' && input !== null ? folders : text,
)

const notMirror = 'must be a URL such as https://mirror.example/etcd, without user, password, ? and #'
const mirror = v.pipe(
  text,
  v.check((value) => {
    const url = URL.canParse(value) ? new URL(value) : undefined
    return !!url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash
  }, notMirror),
)

export const schema = v.strictObject({
  cluster: v.optional(
    v.pipe(
      text,
      v.regex(
        /^[a-z0-9][a-z0-9.-]{0,62}$/,
        'must be 1 to 63 lower-case letters, digits, dots and dashes, and start with a letter or digit',
      ),
    ),
  ),
  provider: v.optional(v.picklist(providers, `must be one of ${providers.join(', ')}`)),
  masters: v.optional(
    v.pipe(
      v.number('must be 1, 3, 5, 7 or 9'),
      v.check((value) => value % 2 !== 0 || !Number.isInteger(value), `must be odd (1, 3, 5, 7 or 9): ${evenIsVain}`),
      v.check((value) => masterCounts.includes(value), 'must be 1, 3, 5, 7 or 9'),
    ),
  ),
  subnet: v.optional(subnet),
  etcd: v.optional(
    v.strictObject({
      version: v.optional(v.pipe(text, v.regex(/^3\.\d{1,2}\.\d{1,3}$/, 'must be an etcd version such as 3.6.14'))),
      binaries: v.optional(binaries),
      source: v.optional(v.picklist(etcdSources, `must be one of ${etcdSources.join(', ')}`)),
      mirror: v.optional(mirror),
      clientPort: v.optional(port),
      peerPort: v.optional(port),
      metricsPort: v.optional(port),
      metricsPlain: v.optional(v.boolean('must be true or false')),
      environment: v.optional(
        v.record(v.pipe(v.string(), v.regex(/^ETCD_[A-Z0-9_]+$/, 'must be an ETCD_* variable')), environmentValue),
      ),
    }),
  ),
  vagrant: v.optional(
    v.strictObject({
      provider: v.optional(v.picklist(vagrantProviders, `must be one of ${vagrantProviders.join(', ')}`)),
      box: v.optional(v.pipe(text, v.regex(/^[\w][\w./:@-]*$/, 'must be the name of a box (docker: of an image)'))),
      boxVersion: v.optional(v.pipe(text, v.regex(/^[\w.-]+$/, 'must be the version of a box'))),
      memory: v.optional(wholeNumber('a whole number of MB', 512, 1_048_576)),
      cpus: v.optional(wholeNumber('a whole number of processors', 1, 64)),
      driver: v.optional(v.picklist(['kvm', 'qemu'], 'must be kvm or qemu')),
    }),
  ),
  hosts: v.optional(
    v.array(
      v.strictObject({
        name: v.pipe(text, v.check(isHostName, notHostName)),
        address: ipAddress,
        python: v.optional(v.pipe(text, v.regex(/^\/\S+$/, 'must be the absolute path of a Python'))),
        ssh: v.optional(
          v.strictObject({
            host: v.optional(word),
            port: v.optional(port),
            user: v.optional(word),
            identityFile: v.optional(sshPath),
            knownHosts: v.optional(sshPath),
            jump: v.optional(word),
          }),
        ),
      }),
      'must be a list of hosts',
    ),
  ),
  inventory: v.optional(text),
  pki: v.optional(
    v.strictObject({
      keyAlgorithm: v.optional(v.picklist(keyAlgorithms, `must be one of ${keyAlgorithms.join(', ')}`)),
      caDays: v.optional(days),
      leafDays: v.optional(days),
      renewBeforeDays: v.optional(wholeNumber('a whole number of days', 0, 36500)),
      extraSans: v.optional(v.array(subjectAltName, 'must be a list of DNS names and IP addresses')),
    }),
  ),
})

export type Config = v.InferOutput<typeof schema>

export function keysAt(path: string[]): string[] {
  type Level = { entries?: Record<string, Level>; wrapped?: Level; item?: Level }
  const open = (level: Level | undefined): Level | undefined => (level?.wrapped ? open(level.wrapped) : level)
  const found = path.reduce<Level | undefined>(
    (level, key) => open(level?.item ?? level?.entries?.[key]),
    schema as unknown as Level,
  )
  return Object.keys(found?.entries ?? {})
}
