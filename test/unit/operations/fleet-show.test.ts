// A verb on its way over many clusters: on a terminal what is drawn again is wiped first, and no line wraps; elsewhere
// each change is a line.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { inRun, Run } from '../../../tasks/core/run.ts'
import { plain } from '../../../tasks/core/terminal.ts'
import { type Show, show } from '../../../tasks/operations/fleet-show.ts'

/** What is written while this is shown. */
function written(isTTY: boolean, act: (shown: Show) => void, json = false): string {
  let text = ''
  const stdout = { isTTY, columns: 40, write: (chunk: string | Uint8Array) => Boolean((text += chunk)) }
  const one = new Run({ stdout })
  one.json = json
  inRun(one, () => {
    const shown = show(() => 2)
    act(shown)
    shown.close()
  })
  return text
}

const both = (shown: Show): void => {
  shown.begins('a')
  shown.begins('b')
  shown.isAt('b', ['verify', `a step whose title is ${'very '.repeat(20)}long`])
  shown.ends('a', '✔ a  1.0 s')
}

test('elsewhere than on a terminal each change is a line, and nothing moves the cursor', () => {
  assert.is(written(false, both), 'a: begins\nb: begins\n✔ a  1.0 s\n')
})

test('on a terminal those at work stand below, cut to its width, and are wiped in the end', () => {
  const text = written(true, both)
  const lines = plain(text).split('\n')
  assert.ok(lines.every((line) => line.length <= 40))
  assert.match(lines[1] ?? '', /^… b .*…$/)
  assert.match(lines[2] ?? '', '2 to come')
  assert.ok(text.endsWith('\x1b[2A\x1b[J'))
})

test('with --json nothing is shown', () => {
  assert.is(written(true, both, true), '')
})

test.run()
