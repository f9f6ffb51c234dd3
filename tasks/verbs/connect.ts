import { resolve } from 'node:path'
import { kinds } from '../consumers/index.ts'
import { type Cluster, hostNamed } from '../core/cluster.ts'
import { UsageError } from '../core/errors.ts'
import { type Flags, oneOf, planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { suggest } from '../core/suggest.ts'
import { commonNames } from '../etcd/certificates.ts'
import type { Place } from '../etcd/consumers.ts'
import { connect, disconnect, listConsumers } from '../operations/connect.ts'

const width = Math.max(...Object.keys(kinds).map(({ length }) => length)) + 2

export const verb: Verb = {
  name: 'connect',
  summary: 'Give software a certificate of its own and its configuration for the cluster.',
  needsCluster: true,
  writes: true,
  byRecord: true,
  words: { usage: '[CONSUMER]', least: 0, most: 1 },
  flags: {
    name: { value: 'NAME', summary: "its name, and its certificate's (default: CONSUMER)" },
    output: { value: 'DIR', summary: 'put its files into this folder, too' },
    to: { value: 'HOST:DIR', summary: 'put its files into a folder of this host' },
    owner: { value: 'USER[:GROUP]', summary: 'whose these files are' },
    mode: { value: 'MODE', summary: 'who may read the private key there (default 0600)' },
    list: { summary: 'who is connected, and where its files are' },
    remove: { value: 'NAME', summary: 'delete its certificate, its key and its files' },
    ...planFlag,
  },
  help: [
    'Consumers:',
    ...Object.entries(kinds).map(([name, { summary }]) => `  ${name.padEnd(width)}${summary}`),
    '\nExample: npx zx scripts/connect.ts patroni --output /etc/patroni/etcd',
  ].join('\n'),
  act: async (cluster, flags, [kind]) => {
    for (const place of ['output', 'to']) {
      oneOf(flags, 'list', place)
      oneOf(flags, 'remove', place)
    }
    oneOf(flags, 'list', 'remove')
    if (kind !== undefined && (flags.list || flags.remove))
      throw new UsageError(`--${flags.list ? 'list' : 'remove'} takes no consumer beside it.`)
    oneOf(flags, 'output', 'to')
    if (flags.list) return listConsumers(cluster)
    if (flags.remove) return disconnect(cluster, String(flags.remove), flags.plan === true)
    const place = placeOf(cluster, flags)
    const what = kindNamed(kind)
    await connect(cluster, { name: nameOf(String(flags.name ?? what)), kind: what, place }, flags.plan === true)
  },
}

function kindNamed(kind: string | undefined): string {
  if (kind && Object.hasOwn(kinds, kind)) return kind
  if (kind === 'openbao')
    throw new UsageError('OpenBao has no storage etcd: it keeps its data itself (raft), or in PostgreSQL.')
  if (kind === undefined)
    throw new UsageError(`Say who is to use the cluster: ${Object.keys(kinds).join(', ')}.`, {
      hint: 'For software that is not among these: connect json --name NAME',
    })
  throw new UsageError(`There is no consumer ${kind}.${suggest(kind, Object.keys(kinds))}`)
}

/** As a common name, and as a file's: letters, digits and -. The cluster's own names are taken. */
function nameOf(name: string): string {
  const taken: string[] = [...Object.values(commonNames), 'root']
  if (taken.includes(name)) throw new UsageError(`--name: ${name} is a name of the cluster's own.`)
  if (/^[a-z0-9]+([.-]+[a-z0-9]+)*$/.test(name) && name.length <= 63) return name
  throw new UsageError(
    `--name takes up to 63 small letters and digits, with - and . between them, not ${JSON.stringify(name)}.`,
  )
}

function placeOf(cluster: Cluster, { output, to, owner, mode }: Flags): Place | undefined {
  if (output === undefined && to === undefined) {
    const [flag] = Object.entries({ owner, mode }).find(([, value]) => value !== undefined) ?? []
    if (flag) throw new UsageError(`--${flag} says whose the files in --output or --to are: name one of them.`)
    return undefined
  }
  if (mode !== undefined && /^0?[0-7][0-7][1-7]$/.test(String(mode)))
    throw new UsageError('--mode would let every user read the private key: its last digit must be 0.')
  if (mode !== undefined && !/^0?[4-7][0-7]0$/.test(String(mode)))
    throw new UsageError(`--mode takes three digits, of which the first lets the owner read, as 640, not ${mode}.`)
  const more = { ...(owner && { owner: String(owner) }), ...(mode && { mode: String(mode) }) }
  if (output !== undefined) return { folder: resolve(String(output)), ...more }
  const [host = '', folder = ''] = String(to).split(/:(.*)/s)
  if (!folder.startsWith('/')) throw new UsageError(`--to takes HOST:DIR, with a DIR that begins with /, not ${to}.`)
  return { host: hostNamed(cluster, host).name, folder, ...more }
}
