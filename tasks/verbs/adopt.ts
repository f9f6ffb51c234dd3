import { resolve } from 'node:path'
import { UsageError } from '../core/errors.ts'
import { readGiven } from '../core/files.ts'
import { type Flags, oneOf, planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { adopt, giveBack } from '../operations/adopt.ts'
import { dropOld, finish } from '../operations/adopt-end.ts'
import type { ClientFiles } from '../operations/adopt-files.ts'
import { type Access, adoptByJoining, takeOut } from '../operations/adopt-join.ts'

export const verb: Verb = {
  name: 'adopt',
  summary: 'Take over a running etcd that something else has set up, while it serves.',
  writes: true,
  evenHalfDone: true,
  byRecord: true,
  formedOnly: true,
  flags: {
    ...planFlag,
    back: { summary: 'give the members back, or take ours out again' },
    finish: { summary: 'once clients trust ca.crt: have our authority issue all' },
    'drop-old': { summary: 'once clients have new certificates: end the old trust' },
    endpoints: { value: 'URL,…', summary: 'have the configured hosts join what runs there' },
    'keep-old': { summary: 'stop before the old members go' },
    'ca-cert': { value: 'FILE', summary: 'with --endpoints: the authority of that cluster' },
    'ca-key': { value: 'FILE', summary: 'its key' },
    'peer-ca-cert': { value: 'FILE', summary: 'its authority for peers (default: the same)' },
    'peer-ca-key': { value: 'FILE', summary: 'its key' },
    'client-cert': { value: 'FILE', summary: "a client's certificate of the running cluster" },
    'client-key': { value: 'FILE', summary: 'its key' },
  },
  help: `In place: list its servers under hosts in the configuration, as for \`up\`; etcd
must run there under systemd, or as kubeadm has it. With --endpoints: hosts of
any provider join it, and its own members are retired. --plan says what stands
against it, and changes nothing. docs/adopt.md goes through it step by step.

Example: npx zx scripts/adopt.ts --plan`,
  act: async (cluster, flags) => {
    for (const [one, other] of [
      ['back', 'drop-old'],
      ['back', 'finish'],
      ['finish', 'drop-old'],
      ['back', 'plan'],
    ] as const)
      oneOf(flags, one, other)
    const client = pairOf(flags, 'client-cert', 'client-key')
    const access = accessOf(flags, client)
    if (flags.back) return cluster.begun?.joining ? takeOut(cluster) : giveBack(cluster)
    if (flags.finish) return finish(cluster, flags.plan === true)
    if (flags['drop-old']) return dropOld(cluster, flags.plan === true)
    const how = { keepOld: flags['keep-old'] === true, plan: flags.plan === true }
    if (cluster.begun?.joining) return adoptByJoining(cluster, undefined, how)
    if (access && cluster.formed)
      throw new UsageError(`There is a cluster ${cluster.name} here already.`, {
        hint: 'Name another one with --cluster.',
      })
    if (access) return adoptByJoining(cluster, access, how)
    if (how.keepOld) throw new UsageError('--keep-old is for hosts that join: --endpoints says what.')
    if (cluster.provider !== 'ssh' && !cluster.formed)
      throw new UsageError('Only servers that are reached over ssh can be adopted in place.', {
        hint: 'List them under hosts, or name an inventory, in the configuration. To have hosts join it: --endpoints',
      })
    await adopt(cluster, client, how.plan)
  },
}

/** A certificate and its key belong together, and can be read. @throws UsageError */
function pairOf(flags: Flags, one: string, other: string): ClientFiles | undefined {
  const [certificate, key] = [flags[one], flags[other]].map((path) => path && resolve(String(path)))
  if (!certificate !== !key) throw new UsageError(`--${one} and --${other} belong together.`)
  if (!certificate || !key) return undefined
  for (const path of [certificate, key]) readGiven(path)
  return { certificate, key }
}

function accessOf(flags: Flags, client: ClientFiles | undefined): Access | undefined {
  const authority = pairOf(flags, 'ca-cert', 'ca-key')
  const peerAuthority = pairOf(flags, 'peer-ca-cert', 'peer-ca-key') ?? authority
  if (!flags.endpoints && !authority && !peerAuthority) return undefined
  if (!flags.endpoints || !authority || !peerAuthority)
    throw new UsageError('--endpoints, --ca-cert and --ca-key belong together.')
  const endpoints = String(flags.endpoints).split(',')
  const wrong = endpoints.find((url) => !/^https:\/\/[^/]+:\d+$/.test(url))
  if (wrong !== undefined)
    throw new UsageError(`--endpoints: ${JSON.stringify(wrong)} is no URL such as https://10.0.0.11:2379.`)
  return { endpoints, authority, peerAuthority, client }
}
