// A process that fetches releases as its parent asks, one after the other: an authority is settled when it starts.
import { OperationError } from '../../tasks/core/errors.ts'
import { fetchRelease } from '../../tasks/etcd/release.ts'
import { machineOf, NotThisWay } from '../../tasks/etcd/ways.ts'
import type { Asked, Outcome } from './release-site.ts'

process.on('message', ({ version, options, env }: Asked) => {
  const before = { ...process.env }
  Object.assign(process.env, env)
  void fetched(version, options).then((outcome) => {
    for (const name of Object.keys(env)) {
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
    }
    process.send?.(outcome)
  })
})

async function fetched(version: string, options: Asked['options']): Promise<Outcome> {
  const progress: string[] = []
  const report = (line: string): void => {
    progress.push(line)
    if (progress.length === 1) process.stderr.write('begun\n')
  }
  const outcome = await fetchRelease(version, machineOf('local', 'amd64'), { ...options, report }).catch(
    (error: unknown) => {
      if (error instanceof NotThisWay) return { closed: error.message }
      if (error instanceof OperationError) return { refused: error.message, hint: error.more.hint }
      throw error
    },
  )
  return { ...outcome, progress }
}
