// auth: etcd's own authentication, on and off. Users are known by their certificates' common names, without passwords.

import { kinds } from '../consumers/index.ts'
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { run } from '../core/run.ts'
import { commonNames } from '../etcd/certificates.ts'
import { type Consumer, consumersOf } from '../etcd/consumers.ts'
import { call, etcdctl } from '../etcd/etcdctl.ts'
import { lastWords } from '../etcd/etcdctl-output.ts'
import { openGateway } from '../etcd/gateway.ts'
import { isOff } from '../etcd/through-etcdctl.ts'
import { requireHealthy } from './guard.ts'
import { sayDone } from './say.ts'
import { carryOutSteps, proveItWorks, type Step } from './steps.ts'

interface Users {
  users?: string[]
}
interface Roles {
  roles?: string[]
}

/** Who must be there before it is on: etcd wants a user root, and our own certificate's user does its work here. */
const users = ['root', commonNames.client]

/** Turns it on or off; either may be asked for again. @throws OperationError where the cluster is not healthy */
export async function auth(cluster: Cluster, turn: 'on' | 'off', plan: boolean): Promise<void> {
  await requireHealthy(cluster)
  const question =
    turn === 'on'
      ? `Turn etcd's authentication on in ${cluster.name}? Every client is refused then whose certificate's common ` +
        `name is no user with a role; ${commonNames.client} may do all.`
      : `Turn etcd's authentication off in ${cluster.name}? Every client with a certificate may do all then.`
  const steps = [...(turn === 'on' ? onSteps(cluster) : offSteps(cluster)), proveItWorks(cluster)]
  if (!(await carryOutSteps(cluster, `auth ${turn}`, steps, plan, question))) return
  const done =
    turn === 'on'
      ? `etcd's authentication is on. Give each other client a user of its certificate's common name, and a role.`
      : "etcd's authentication is off; users and roles stay."
  sayDone(cluster, 'auth', done, { authentication: turn })
}

const onSteps = (cluster: Cluster): Step[] => [
  ...users.map((name) => ({ title: `Have a user ${name} with the role root`, task: () => makeRoot(cluster, name) })),
  ...consumersOf(cluster).map((consumer) => ({
    title: `Have a user ${consumer.name} with what it needs`,
    task: () => makeUserOf(cluster, consumer),
  })),
  {
    title: "Turn etcd's authentication on",
    task: () => turnTo(cluster, 'enable'),
  },
  { title: 'Prove that a client without a user is refused', task: () => proveRefused(cluster) },
]

/**
 * For a cluster whose authentication a person has turned on: our certificate's user is made with the certificate that
 * we show yet. etcd 3.4 cannot be asked whether it is on.
 */
export const haveOwnUser = (cluster: Cluster): Step => ({
  title: `Have a user ${commonNames.client} with the role root where etcd's authentication is on`,
  task: async () => {
    if (await isOn(cluster)) await makeRoot(cluster, commonNames.client)
  },
  would: [],
})

export const isOn = async (cluster: Cluster): Promise<boolean> => {
  const status = await call<{ enabled?: boolean }>(cluster, ['auth', 'status'], {}).catch(() => undefined)
  return status?.enabled === true
}

/** For a consumer of a cluster whose authentication is on; nothing where it is off. */
export async function userSteps(cluster: Cluster, consumer: Consumer): Promise<Step[]> {
  const title = `Have a user ${consumer.name} with what it needs`
  return (await isOn(cluster)) ? [{ title, task: () => makeUserOf(cluster, consumer) }] : []
}

/** The same taken away, also where authentication is off just now: it may be turned on again. */
export async function dropUserSteps(cluster: Cluster, name: string): Promise<Step[]> {
  const known = await call<Users>(cluster, ['user', 'list'], {}).catch(() => undefined)
  if (!known?.users?.includes(name)) return []
  const drop = async (what: 'user' | 'role', all: string[] = []): Promise<void> => {
    if (all.includes(name)) await call(cluster, [what, 'delete', name], {})
  }
  const title = `Delete the user ${name} and its role: with authentication on its certificate may do nothing`
  const task = async (): Promise<void> => {
    await drop('user', known.users)
    await drop('role', (await call<Roles>(cluster, ['role', 'list'], {})).roles)
  }
  return [{ title, task }]
}

/** Its role has the name of the user: whoever may do more gets it by hand, and keeps it. */
async function makeUserOf(cluster: Cluster, { name, kind }: Consumer): Promise<void> {
  const { prefixes, nameless, compacts } = kinds[kind] ?? {}
  if (compacts) {
    run().warn(`${name} has the role root, and may do all: it compacts the history, as etcd lets nobody else.`)
    return makeRoot(cluster, name)
  }
  if (nameless)
    run().warn(
      `${name} speaks to etcd's JSON gateway, which passes no certificate's name on: with authentication on it is ` +
        'refused, unless it has a user with a password in its own configuration.',
    )
  if (!prefixes) return run().warn(`${name} has no role yet: grant user ${name} what it may read and write.`)
  await makeRole(cluster, name, prefixes)
  await makeUser(cluster, name, name)
}

async function makeRole(cluster: Cluster, role: string, prefixes: string[]): Promise<void> {
  const { roles = [] } = await call<Roles>(cluster, ['role', 'list'], {})
  if (!roles.includes(role)) await call(cluster, ['role', 'add', role], {})
  for (const prefix of prefixes)
    await call(cluster, ['role', 'grant-permission', role, 'readwrite', prefix, '--prefix=true'], {})
}

const offSteps = (cluster: Cluster): Step[] => [
  {
    title: "Turn etcd's authentication off",
    task: () => turnTo(cluster, 'disable'),
  },
]

/** etcdctl says nothing in JSON of it. */
async function turnTo(cluster: Cluster, word: 'enable' | 'disable'): Promise<void> {
  const result = await etcdctl(cluster, ['auth', word], {})
  if (result.exitCode !== 0) throw new OperationError(`etcdctl auth ${word} failed.`, { output: lastWords(result) })
}

async function makeRoot(cluster: Cluster, name: string): Promise<void> {
  await makeRole(cluster, 'root', [])
  await makeUser(cluster, name, 'root')
}

/** Nothing is made twice: an earlier run, or a person, may have made it. */
async function makeUser(cluster: Cluster, name: string, role: string): Promise<void> {
  const known = await call<Users>(cluster, ['user', 'list'], {})
  if (!known.users?.includes(name)) {
    await call(cluster, ['user', 'add', name, '--no-password'], {})
    run().changes.push(`made user ${name}`)
  }
  const { roles: granted = [] } = await call<Roles>(cluster, ['user', 'get', name], {})
  if (!granted.includes(role)) await call(cluster, ['user', 'grant-role', name, role], {})
}

/** Through the JSON gateway, which passes no client's name on. */
async function proveRefused(cluster: Cluster): Promise<void> {
  const gateway = openGateway(cluster, 1)
  const read = gateway.endpoints.map((endpoint) => gateway.read(endpoint, 'ha-etcd'))
  const answers = await Promise.allSettled(read).finally(() => gateway.close())
  if (answers.some((answer) => answer.status === 'fulfilled' || !isOff(answer.reason as Error)))
    throw new OperationError('A client without a user was let in: authentication is not on.')
}
