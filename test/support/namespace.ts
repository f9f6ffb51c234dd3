// A network namespace of a test's own, with nothing but a loopback interface: addresses of any kind can be put there.
import { execFileSync, spawnSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'

const name = `etcd-ipv6-${process.pid}`
const ip = (...words: string[]): boolean => spawnSync('ip', words).status === 0
const able = process.platform === 'linux' && process.getuid?.() === 0 && ip('netns', 'add', name)
if (able) assert.ok(ip('-n', name, 'link', 'set', 'lo', 'up'))

/** The command that runs another one in it. */
export const within = ['ip', 'netns', 'exec', name]

/** A test in it; skipped where it cannot be made. */
export const inNamespace = (title: string, act: () => Promise<void>): void =>
  able ? test(title, act) : test.skip(`${title} (needs root, and network namespaces by ip)`, act)

export function addAddress(address: string): void {
  const bits = address.includes(':') ? 128 : 32
  assert.ok(ip('-n', name, 'address', 'add', `${address}/${bits}`, 'dev', 'lo', 'nodad'), address)
}

/** Ends all that still runs in it, all of it the test's. */
export function removeNamespace(): void {
  if (!able) return
  for (const pid of execFileSync('ip', ['netns', 'pids', name], { encoding: 'utf8' }).split('\n'))
    if (pid) process.kill(Number(pid), 'SIGKILL')
  ip('netns', 'delete', name)
}
