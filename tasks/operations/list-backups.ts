// backup --list: the backups of a cluster that are here or, of all clusters, those that are at a target.
import { basename } from 'node:path'
import { keptHere } from '../acts/backup-store.ts'
import { clustersAt, heldAt, type Note } from '../acts/target.ts'
import { withScratch } from '../copies.ts'
import type { Cluster } from '../core/cluster.ts'
import { clock, print, run } from '../core/run.ts'
import { age, bytes, chalk, table, warningLines } from '../core/terminal.ts'

type Facts = Pick<Note, 'cluster' | 'time' | 'revision'> & Partial<Pick<Note, 'keys' | 'sizeBytes' | 'etcdVersion'>>

interface Listed {
  name: string
  facts: Facts
}

/** Looks only. @param target undefined: here */
export async function listBackups(cluster: Cluster, target: string | undefined): Promise<void> {
  const { found, wrong } = target === undefined ? here(cluster) : await there(cluster, target)
  if (run().json) {
    const backups = found.map(({ name, facts }) => ({ name, ...facts }))
    return print(`${JSON.stringify({ cluster: cluster.name, target: target ?? null, backups, wrong })}\n`)
  }
  const where = target === undefined ? cluster.paths.backups : target
  const rows = found.map(({ name, facts: { time, revision, keys = '?', sizeBytes, etcdVersion = '?' } }) => [
    name,
    Date.parse(time) > clock() ? 'in the future' : age(clock() - Date.parse(time)),
    String(revision),
    String(keys),
    sizeBytes === undefined ? '?' : bytes(sizeBytes),
    etcdVersion,
  ])
  const lines = table([['BACKUP', 'AGE', 'REVISION', 'KEYS', 'SIZE', 'ETCD'].map((name) => chalk.bold(name)), ...rows])
  print(`${rows.length > 0 ? lines : chalk.dim(`no backup in ${where}`)}\n${warningLines(wrong)}`)
}

function here(cluster: Cluster): { found: Listed[]; wrong: string[] } {
  const { kept, wrong } = keptHere(cluster)
  return {
    found: kept.map(({ folder, metadata }) => ({ name: basename(folder), facts: metadata })),
    wrong: wrong.map((folder) => `${folder} is damaged: no backup.`),
  }
}

const there = (cluster: Cluster, target: string): Promise<{ found: Listed[]; wrong: string[] }> =>
  withScratch(cluster, async (scratch) => {
    const found: Listed[] = []
    const wrong: string[] = []
    for (const name of await clustersAt(target)) {
      const held = await heldAt(target, name, scratch)
      found.push(...held.kept.map((one) => ({ name: `${name}/${one.name}`, facts: one.note })))
      wrong.push(...held.wrong.map((why) => `${name}: ${why}: no backup.`))
    }
    return { found, wrong }
  })
