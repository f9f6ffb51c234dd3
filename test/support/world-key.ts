// Worlds by what they are: those that differ in members' ids only, or in names of hosts that every verb treats alike,
// are the same.
import type { World } from './model.ts'
import { keysOf } from './trust.ts'

/** What scale keeps or takes together. Within a group a host's name says nothing. */
const groups = [['h1'], ['h2', 'h3'], ['h4', 'h5']]
const names = groups.flat()

const versions = ['', '3.6', '3.6.14', '3.7', '3.7.1']
/** A small number for each version, the same in every thread. */
function numberOf(version = ''): number {
  const number = versions.indexOf(version)
  if (number < 0) throw new Error(`no world has version ${version}: name it in test/support/world-key.ts`)
  return number
}

const bits = (...flags: boolean[]): number => flags.reduce((sum, flag) => 2 * sum + Number(flag), 0)
/** 0: there is none; 1: it is the member's; 2: it is of another. */
const whose = (id: string | undefined, member: string | undefined): number =>
  id === undefined ? 0 : id === member ? 1 : 2

function hostKey(world: World, name: string, trusts = ''): string {
  const { recorded, members, replacing, uncovered, leader } = world
  const scaling = world.scaling ?? world.begun?.hosts?.map((one) => one.name)
  const host = world.hosts[name]
  const member = members.find((one) => one.host === name)
  const isRecorded = recorded.includes(name)
  if (!host && !member && !isRecorded) return scaling?.includes(name) ? '+' : '.'
  const { up = false, running = false, empty = false, frozen = false, damaged, version, holds } = host ?? {}
  const { late = false, full = false, certificates } = host ?? {}
  const alarms = (world.alarms ?? []).filter(({ id }) => id === member?.id).map(({ kind }) => kind)
  const own = String.fromCharCode(
    48 + bits(host !== undefined, isRecorded, up, running, empty, leader === name, uncovered.includes(name)),
    48 + whose(host?.data, member?.id) * 3 + whose(replacing[name], member?.id),
    48 +
      bits(member !== undefined, member?.learner === true, member?.started === true, scaling?.includes(name) === true),
    48 + bits(frozen, damaged !== undefined, damaged === name, alarms.includes('NOSPACE'), alarms.includes('CORRUPT')),
    48 + numberOf(version) * 8 + numberOf(holds),
    48 + bits(late, full) * 8 + [undefined, 'foreign', 'gone', 'expired', 'renewed', 'early'].indexOf(certificates),
  )
  return `${own}${trusts}`
}

function restKey(world: World): string {
  const { version, upgradingTo, works, downgradingTo, programs, strict, scaling, members, recorded } = world
  const strangers = members.filter(({ host }) => !names.includes(host)).map(({ learner }) => (learner ? 'l' : 'v'))
  const versions = [version, upgradingTo, works, downgradingTo, programs].map((one) => 48 + numberOf(one))
  const ofNobody = (world.alarms ?? [])
    .filter(({ id }) => !members.some((one) => one.id === id))
    .map(({ kind }) => kind)
  const rest =
    bits(strict, scaling !== undefined, world.auth === true, world.unrecorded === true) +
    (world.keyless ?? '') +
    (world.here ?? '')
  const nobodys = [...new Set(ofNobody)].sort().join('')
  const { verb = '', from = '', revision, joining = '', taken } = world.begun ?? {}
  const begun = `${verb}${from}${revision ? 'r' : ''}${joining}${taken ? 't' : ''}`
  // hosts that have joined in another order than that of their names
  const order = recorded.some((name, at) => at > 0 && name < (recorded[at - 1] ?? '')) ? recorded.join('') : ''
  return `${begun}${order}${String.fromCharCode(...versions)}${rest}${strangers.sort().join('')}${nobodys}`
}

function keyParts(world: World): [hosts: string[], rest: string] {
  const trust = world.trust && keysOf(world.trust)
  return [names.map((name) => hostKey(world, name, trust?.host(name))), `${restKey(world)}${trust?.here ?? ''}`]
}

const known = new WeakMap<World, [hosts: string[], rest: string]>()
function partsOf(world: World): [hosts: string[], rest: string] {
  const parts = known.get(world) ?? keyParts(world)
  known.set(world, parts)
  return parts
}

/** The same key: the same but for ids, and for what a run at work has done. */
export function keyOf(world: World): string {
  const [hosts, rest] = partsOf(world)
  return `${hosts.join()}|${rest}`
}

/** The same key: the same, too, but for the names of hosts. */
export function kindOf(world: World): string {
  const [[first = '', second = '', third = '', fourth = '', fifth = ''], rest] = partsOf(world)
  const sorted = (one: string, other: string): string => (one < other ? `${one},${other}` : `${other},${one}`)
  return `${first},${sorted(second, third)},${sorted(fourth, fifth)}|${rest}`
}
