// Killed anywhere: whatever step `up` dies at, the next `up` ends with a healthy cluster.
import { test } from 'uvu'
import { npxKilled, requireHealed, requireInterrupted, said, untilAtWork, untilBegun } from '../support/interrupted.ts'
import { testHome } from '../support/verbs.ts'

const home = testHome()

/** What is there before `up`, the step that it dies at, by what it says of it, and how long into the step (ms). */
const moments: ['nothing' | 'stopped' | 'running', string, number][] = [
  ['nothing', '[STARTED] Check what is needed', 0],
  ['nothing', '[STARTED] Check the certificate authority', 0],
  ['nothing', '[COMPLETED] Make the certificate authority', 0],
  ['nothing', '[STARTED] Check the certificates', 10],
  ['nothing', '[STARTED] Write the inventory', 0],
  ['nothing', '[STARTED] Run the Ansible role', 0],
  ['nothing', 'Compare the host with what it must hold', 300],
  ['nothing', "Put the host's files in place", 0],
  ['nothing', "Put the host's files in place", 150],
  ['nothing', "Put the host's files in place", 300],
  ['nothing', "Put the host's files in place", 450],
  ['nothing', "Put the host's files in place", 600],
  ['nothing', 'Restart one member at a time', 0],
  ['nothing', '[STARTED] Ask all 3 members', 0],
  ['stopped', "Put the host's files in place", 200],
  ['stopped', 'Restart one member at a time', 0],
  ['running', 'Compare the host with what it must hold', 300],
  ['running', '[STARTED] Ask all 3 members', 100],
]

for (const [before, words, ms] of moments) {
  test(`${before} before; kill -9 ${ms} ms into "${words}"; then up: healthy`, async () => {
    if (before !== 'running') await home.verb('down', '--yes', before === 'nothing' ? '--purge' : '--json')
    const run = home.start('up', '--yes')
    await said(run, words, ms)
    run.child.kill('SIGKILL')
    await run.done
    await requireHealed(home, `killed ${ms} ms into "${words}"`)
  })
}

for (const [moment, when] of [
  ['as soon as the run below it is there', untilBegun],
  ['half way', untilAtWork],
] as const) {
  test(`kill -9 of npx itself ${moment}, then up: healthy, though the run below npx lived on`, async () => {
    await npxKilled(home, when)
    await requireHealed(home, 'after npx was killed')
  })
}

for (const words of ['[STARTED] Check what is needed', 'Compare the host with', "Put the host's files in place"]) {
  test(`Ctrl-C at "${words}" ends it with 130, leaves no tool behind, and the next run goes on`, async () => {
    await requireInterrupted(home, words)
    await requireHealed(home, 'after Ctrl-C')
  })
}

test.after(() => home.downAll())

test.run()
