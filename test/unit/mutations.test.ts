// The mistakes that are planted to try the tests: each must still find the line that it spoils.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { projectFolder } from '../../tasks/core/environment.ts'
import { mistakes } from '../mutations/mistakes.ts'

test('each line that a mistake spoils is there once', () => {
  const lost = mistakes.filter(
    ({ file, line }) => readFileSync(join(projectFolder, file), 'utf8').split(line).length !== 2,
  )
  assert.equal(
    lost.map(({ file, line }) => `${file}: ${line}`),
    [],
  )
})

test.run()
