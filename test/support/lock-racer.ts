// One of several processes that race for a lock whose owner is dead; prints what went wrong, then how often it had the
// lock.
import { closeSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { takeLock } from '../../tasks/core/lock.ts'

const [state = '', ms = '', reusedPid = ''] = process.argv.slice(2)
const path = join(state, 'lock/owner.json')
const marker = join(state, 'alone')
const end = Date.now() + Number(ms)
let taken = 0

while (Date.now() < end) {
  const release = await takeLock(state, `racer-${process.pid}`).catch((error: Error) => {
    if (!/^Another run is at work|keeps changing/.test(error.message)) console.log(`refused with: ${error.message}`)
  })
  if (!release) continue
  taken++
  try {
    closeSync(openSync(marker, 'wx'))
  } catch {
    console.log('two had the lock at once')
    continue
  }
  await new Promise((wake) => setTimeout(wake, 2))
  rmSync(marker)
  // As if this process had died here: the lock stays, and names a pid that now belongs to a younger process.
  const dead = `${path}.by-${process.pid}`
  writeFileSync(
    dead,
    JSON.stringify({
      pid: Number(reusedPid),
      birth: String(Math.random()),
      verb: 'up',
      since: new Date().toISOString(),
    }),
  )
  renameSync(dead, path)
}
console.log(`taken ${taken}`)
