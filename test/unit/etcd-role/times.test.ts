// A file's time says whether etcd has read it; one in the future says nothing, and is put right.
import { utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryFolder } from '../../support/folder.ts'
import { python } from '../../support/python.ts'

/** With an etcd that has run for 100 s: whether it must start again, before and after the times were put right. */
const stale = (...paths: string[]): string =>
  python(
    `
import time, etcd_host
since = time.time() - 100
class Service:
    def status(self): return True, since, True
host = object.__new__(etcd_host.Host)
host.service, host.config = Service(), {"path": ""}
host.all_files = lambda state: [(path, "", 0o644, None, True) for path in sys.argv[1:]]
host.etcd_program = lambda: ""
before = host.stale(since)
host.put_times_right()
print(before, host.stale(since), any(map(etcd_host.lies_ahead, sys.argv[1:])))`,
    ...paths,
  )

/** A file of so many seconds ago. */
function file(name: string, age: number): string {
  const path = join(temporaryFolder(), name)
  writeFileSync(path, 'content')
  const time = Date.now() / 1000 - age
  utimesSync(path, time, time)
  return path
}

test('a file that is younger than etcd restarts it, an older one does not', () => {
  assert.is(stale(file('ca.crt', 50)), 'True True False')
  assert.is(stale(file('ca.crt', 150)), 'False False False')
})

test('a file with a time in the future restarts nobody, and has a right time afterwards', () => {
  assert.is(stale(file('ca.crt', -300 * 86_400), file('etcd.conf', 150)), 'False False False')
})

test.run()
