// A process that fetches a release and prints the outcome: an authority and a proxy are settled when a process starts.
import { OperationError } from '../../tasks/core/errors.ts'
import { fetchRelease, type ReleaseOptions } from '../../tasks/etcd/release.ts'
import { machineOf, NotThisWay } from '../../tasks/etcd/ways.ts'

const [version = '', options = '{}'] = process.argv.slice(2)
const progress: string[] = []
const report = (line: string): void => {
  progress.push(line)
  if (progress.length === 1) process.stderr.write('begun\n')
}
const given = JSON.parse(options) as ReleaseOptions
const outcome = await fetchRelease(version, machineOf('local', 'amd64'), { ...given, report }).catch(
  (error: unknown) => {
    if (error instanceof NotThisWay) return { closed: error.message }
    if (error instanceof OperationError) return { refused: error.message, hint: error.more.hint }
    throw error
  },
)
process.stdout.write(JSON.stringify({ ...outcome, progress }))
