// Notes of verbs that are half done, spoilt by hand or by a disk.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { UsageError } from '../../../tasks/core/errors.ts'
import { clusterPaths, replacing, scaling } from '../../../tasks/core/record.ts'
import { Mark } from '../../../tasks/drill/mark.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

test('a note that is damaged is named, with what helps; one that is not there says nothing', () => {
  const paths = clusterPaths('test', temporaryFolder())
  assert.is(scaling(paths), undefined)
  assert.equal(replacing(paths), {})
  mkdirSync(dirname(paths.scaling), { recursive: true })
  for (const text of ['', '{', 'null', '{"a":1}']) {
    for (const path of [paths.scaling, paths.replacing]) writeFileSync(path, text)
    for (const [read, words] of [
      [scaling, /^Remove that file, then scale again/],
      [replacing, /^Remove that file, then replace the hosts again/],
    ] as const)
      assert.throws(
        () => read(paths),
        (error: UsageError) =>
          error instanceof UsageError &&
          /cannot be understood\.$/.test(error.message) &&
          words.test(error.more.hint ?? ''),
      )
  }
})

test("so is a drill's", () => {
  const cluster = testCluster()
  const mark = new Mark(cluster)
  mark.note({ scratch: true })
  assert.is(mark.noted.scratch, true)
  writeFileSync(`${cluster.paths.state}/drill.json`, '{')
  assert.throws(() => mark.noted, /drill\.json cannot be understood\.$/)
})

test.run()
