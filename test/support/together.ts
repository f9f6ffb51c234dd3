// Runs test files in one process, one after the other; each has a report of its own. Arguments: a file and its report's
// path, and so on.
import { pathToFileURL } from 'node:url'

const queue: unknown[][] = []
Object.assign(globalThis, { UVU_DEFER: true, UVU_QUEUE: queue, UVU_INDEX: 0 }) // so uvu waits until it is told
const { begin, exec, finish } = await import('./uvu.ts')

const words = process.argv.slice(2)
for (let at = 0; at < words.length; at += 2) {
  begin(words[at + 1] ?? '')
  queue.splice(0, queue.length, [null])
  await import(pathToFileURL(words[at] ?? '').href)
  await exec()
  finish()
}
